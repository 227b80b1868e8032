"""Tango's score interval of the difference of two paired rates (Tango 1998, Statistics in Medicine 17:891)."""

import math

from ftspec.evals.statistics.distributions import normal_quantile


def tango_score(b: int, c: int, n: int, gap: float) -> float:
    """Return the score statistic of H0: rate_1 - rate_2 = gap; b items only the first has right, c only the second.

    Its variance uses the maximum-likelihood estimate of the second cell under H0.
    """
    big_b = -b - c + (2 * n - b + c) * gap
    big_c = -c * gap * (1 - gap)
    q = (math.sqrt(max(0.0, big_b * big_b - 8 * n * big_c)) - big_b) / (4 * n)
    distance = b - c - n * gap
    variance = n * (2 * q + gap * (1 - gap))
    if variance <= 0:
        return 0.0 if distance == 0 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def tango(b: int, c: int, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return the two-sided 1 - alpha interval of rate_1 - rate_2 from n paired items. Raises ValueError for n = 0.

    Never of width 0, even where no item differs (b = c = 0).
    """
    if n <= 0:
        raise ValueError("an interval needs at least one pair")
    z = normal_quantile(1 - alpha / 2)
    centre = (b - c) / n
    return _solve(b, c, n, z, -1.0, centre), _solve(b, c, n, -z, centre, 1.0)


def _solve(b: int, c: int, n: int, target: float, low: float, high: float) -> float:
    """The gap at which the statistic, which falls as the gap grows, crosses `target`."""
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if tango_score(b, c, n, middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
