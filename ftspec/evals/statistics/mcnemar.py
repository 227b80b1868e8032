"""McNemar's exact test of two arms on the same 0/1 items."""

from ftspec.evals.statistics.distributions import binomial_cdf


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the exact two-sided p-value; the arguments count items that only one arm has right.

    Five such items can never reach 0.05 (smallest p 0.0625), six can (0.03125).
    """
    n = only_first + only_second
    return min(1.0, 2 * binomial_cdf(min(only_first, only_second), n)) if n else 1.0
