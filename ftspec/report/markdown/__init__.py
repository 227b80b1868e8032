"""Markdown for comments and summaries: everything that users wrote is inert."""
