"""Normal, Student t and binomial: the distribution functions and quantiles that intervals and tests need."""

import math
from functools import lru_cache
from statistics import NormalDist

_TINY = 1e-300


def normal_quantile(p: float) -> float:
    """Return z with P(Z <= z) = p, for 0 < p < 1."""
    return NormalDist().inv_cdf(p)


def normal_cdf(z: float) -> float:
    """Return P(Z <= z)."""
    return 0.5 * math.erfc(-z / math.sqrt(2))


def beta_cdf(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), a and b positive.

    Continued fraction (DLMF 8.17.22), evaluated by Lentz's method on the side where it converges fast.
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - beta_cdf(1 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x) - math.log(a)
    )
    return min(1.0, front * _continued_fraction(x, a, b))


def _continued_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 2000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _nonzero(1 + term * d)
            c = _nonzero(1 + term / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return fraction


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def binomial_cdf(k: int, n: int, p: float = 0.5) -> float:
    """Return P(X <= k) of a binomial: n trials, success probability p."""
    if k < 0:
        return 0.0
    return 1.0 if k >= n else beta_cdf(1 - p, n - k, k + 1)


def t_cdf(t: float, df: float) -> float:
    """Return P(T <= t) of Student's t with `df` degrees of freedom."""
    tail = 0.5 * beta_cdf(df / (df + t * t), df / 2, 0.5)
    return 1 - tail if t > 0 else tail


@lru_cache(maxsize=512)
def t_quantile(p: float, df: float) -> float:
    """Return t with P(T <= t) = p, for 0 < p < 1 and df > 0; by bisection on the upper half."""
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -t_quantile(1 - p, df)
    low, high = 0.0, 2.0
    while 1 - t_cdf(high, df) > 1 - p:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        # The upper tail is compared, not 1 - tail: it keeps its digits far out.
        if 0.5 * beta_cdf(df / (df + middle * middle), df / 2, 0.5) > 1 - p:
            low = middle
        else:
            high = middle
    return (low + high) / 2
