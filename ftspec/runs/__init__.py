"""Run directories: what a run was, its attempts, their seals, and who may work on it now."""
