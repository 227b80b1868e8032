"""Interval of a mean by Student's t; with clusters by the cluster-robust standard error and t with G - 1 degrees."""

import math
from collections.abc import Hashable, Sequence

from ftspec.evals.statistics.distributions import t_cdf, t_quantile


def standard_error(values: Sequence[float], clusters: Sequence[Hashable] | None = None) -> tuple[float, int]:
    """Return the standard error of the mean and its degrees of freedom; (nan, 0) below two values or clusters.

    Clustered: sqrt(G / (G - 1) * sum of squared cluster residual sums) / n, the CR1 estimate.
    """
    n = len(values)
    mean = math.fsum(values) / n if n else math.nan
    if clusters is None:
        if n < 2:
            return math.nan, 0
        return math.sqrt(math.fsum((x - mean) ** 2 for x in values) / (n - 1) / n), n - 1
    sums: dict[Hashable, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + (value - mean)
    groups = len(sums)
    if groups < 2:
        return math.nan, 0
    return math.sqrt(groups / (groups - 1) * math.fsum(s * s for s in sums.values())) / n, groups - 1


def mean_interval(
    values: Sequence[float], alpha: float = 0.05, clusters: Sequence[Hashable] | None = None
) -> tuple[float, float]:
    """Return the two-sided 1 - alpha interval of the mean; (nan, nan) below two values or clusters."""
    error, df = standard_error(values, clusters)
    if df == 0:
        return math.nan, math.nan
    mean = math.fsum(values) / len(values)
    half = t_quantile(1 - alpha / 2, df) * error
    return mean - half, mean + half


def paired_t(differences: Sequence[float], clusters: Sequence[Hashable] | None = None) -> float:
    """Return the two-sided p-value of the mean difference being 0; 1.0 where nothing can be said."""
    error, df = standard_error(differences, clusters)
    mean = math.fsum(differences) / len(differences) if differences else 0.0
    if df == 0 or mean == 0:
        return 1.0
    return 0.0 if error == 0 else min(1.0, 2 * t_cdf(-abs(mean / error), df))
