"""Doing a run again and judging, level by level: one subject a file."""
