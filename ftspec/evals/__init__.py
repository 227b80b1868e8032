"""Suites, arms, graders, metrics, paired statistics and the response cache. Submodules are imported by name, lazily."""
