"""Hosts as data, one client for all of them, and training jobs that survive a crash at any point."""
