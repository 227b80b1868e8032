"""Intervals and tests, in the standard library alone: scipy and statsmodels are oracles in tests."""
