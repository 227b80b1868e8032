"""Exact check of "within the margin" for paired 0/1 items (Hsueh, Liu and Chen 2001, Biometrics 57:478).

Tango's interval is asymptotic: with 100 items, a true gap of 10 points and all discordance on one side it would call
5.8 % of such pairs equivalent at alpha = 5 %. The unconditional exact p-value of the same score statistic cannot.
"""

import math
from collections.abc import Iterator

from ftspec.evals.statistics.distributions import normal_quantile
from ftspec.evals.statistics.tango import tango_score

LARGEST = 1_000  # above it the excess of the asymptotic test is below half a point
_FAR = 2.5  # a score this far out is beyond alpha whatever the shares are, and is not enumerated
_GRID = 16
_TINY = 1e-9


def within_margin(b: int, c: int, n: int, margin: float, alpha: float) -> bool:
    """Tell whether n pairs show |rate_1 - rate_2| < margin; b items only the first has right, c only the second.

    Two one-sided tests at level alpha, each by the score statistic and, near its limit, by its exact p-value.
    """
    return _below(b, c, n, margin, alpha) and _below(c, b, n, margin, alpha)


def _below(b: int, c: int, n: int, margin: float, alpha: float) -> bool:
    """Test H0: rate_1 - rate_2 >= margin."""
    score = tango_score(b, c, n, margin)
    if score >= -normal_quantile(1 - alpha):
        return False
    if n > LARGEST or score < -max(_FAR, normal_quantile(1 - alpha / 4)):
        return True
    return exact_p(b, c, n, margin) <= alpha


def exact_p(b: int, c: int, n: int, margin: float) -> float:
    """Return the largest probability, over all shares with a gap of `margin`, of a score as low as that of b and c."""
    limit = tango_score(b, c, n, margin) + 1e-9
    most = [_most(other, n, margin, limit) for other in range(n + 1)]
    shares = (step / _GRID * (1 - margin) / 2 for step in range(_GRID))
    # Shares near 0 are where the test is weakest: the grid is quadratic there.
    return max(_chance(most, n, share * share / ((1 - margin) / 2), margin) for share in shares)


def _most(c: int, n: int, margin: float, limit: float) -> int:
    """The largest b whose score beside c is not above `limit`, -1 where there is none: the score grows with b."""
    low, high = -1, n - c
    while low < high:
        middle = (low + high + 1) // 2
        if tango_score(middle, c, n, margin) <= limit:
            low = middle
        else:
            high = middle - 1
    return low


def _chance(most: list[int], n: int, second: float, margin: float) -> float:
    first = second + margin
    total = 0.0
    for c, chance in _binomial(n, second):
        if most[c] >= 0:
            total += chance * math.fsum(p for _, p in _binomial(n - c, first / (1 - second), most[c]))
    return total


def _binomial(n: int, share: float, last: int | None = None) -> Iterator[tuple[int, float]]:
    """Yield counts, up to `last`, and their probabilities where these are not negligible."""
    most = n if last is None else min(n, last)
    if share <= 0 or n == 0:
        yield 0, 1.0
        return
    spread = 7 * math.sqrt(n * share * (1 - share)) + 4
    for k in range(max(0, int(n * share - spread)), min(most, int(n * share + spread)) + 1):
        log = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
        chance = math.exp(log + k * math.log(share) + (n - k) * math.log1p(-share))
        if chance > _TINY:
            yield k, chance
