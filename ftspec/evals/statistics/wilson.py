"""Wilson's score interval of a rate (Wilson 1927)."""

import math

from ftspec.evals.statistics.distributions import normal_quantile


def wilson(successes: float, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return the two-sided 1 - alpha interval of a rate, `successes` of `n`. Raises ValueError for n = 0."""
    if n <= 0:
        raise ValueError("an interval needs at least one observation")
    z = normal_quantile(1 - alpha / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(max(0.0, rate * (1 - rate) / n + z * z / (4 * n * n)))
    low = 0.0 if successes <= 0 else max(0.0, centre - half)
    high = 1.0 if successes >= n else min(1.0, centre + half)
    return low, high
