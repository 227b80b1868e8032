"""The paired tests behind a comparison: exact for 0/1 items, sign flips for scores, bootstrap for corpus metrics."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import msgspec

from ftspec.evals.metrics import Values, pooled
from ftspec.evals.statistics.bootstrap import paired_bootstrap
from ftspec.evals.statistics.equivalence import within_margin
from ftspec.evals.statistics.mcnemar import mcnemar
from ftspec.evals.statistics.means import mean_interval, standard_error
from ftspec.evals.statistics.permutation import sign_flip
from ftspec.evals.statistics.tango import tango


class PairedTest(msgspec.Struct, frozen=True):
    """What a paired test found. Intervals are of second - first; `wide` is the 1 - 2 alpha one for equivalence.

    `discordant` is the mean squared difference of an item (0/1 items: the share that differs); `counts`, of 0/1 items
    alone, are items that only the second, and only the first, has right, and all items.
    """

    first: float
    second: float
    interval: tuple[float, float]
    wide: tuple[float, float]
    p: float
    method: str
    discordant: float
    counts: tuple[int, int, int] | None = None

    def within(self, margin: float, alpha: float) -> bool:
        """Tell whether the two differ by less than the margin, by two one-sided tests at `alpha`, exact for 0/1 items.

        `alpha` is the one that the test was made with.
        """
        low, high = self.wide
        if not (-margin < low and high < margin):
            return False
        return self.counts is None or within_margin(*self.counts, margin, alpha)


def paired_test(first: Values, second: Values, alpha: float) -> PairedTest:
    """Test two arms on the items both have values for. Raises ValueError where there are none."""
    ids = [name for name in first.by_id if name in second.by_id]
    if not ids:
        raise ValueError("no item has values of both arms")
    before = [first.by_id[name] for name in ids]
    after = [second.by_id[name] for name in ids]
    clusters = first.cluster_of(ids)
    if first.metric.level == "corpus":
        return _corpus_test(first, before, after, clusters, alpha)
    if clusters is None and {*before, *after} <= {0.0, 1.0}:
        return _binary_test(before, after, alpha)
    return _mean_test(before, after, clusters, alpha)


def _binary_test(before: Sequence[float], after: Sequence[float], alpha: float) -> PairedTest:
    n = len(before)
    gained = sum(b < a for b, a in zip(before, after, strict=True))
    lost = sum(b > a for b, a in zip(before, after, strict=True))
    return PairedTest(
        sum(before) / n,
        sum(after) / n,
        tango(gained, lost, n, alpha),
        tango(gained, lost, n, 2 * alpha),
        mcnemar(lost, gained),
        "mcnemar, tango",
        (gained + lost) / n,
        (gained, lost, n),
    )


def _mean_test(
    before: Sequence[float], after: Sequence[float], clusters: Sequence[Hashable] | None, alpha: float
) -> PairedTest:
    n = len(before)
    differences = [a - b for b, a in zip(before, after, strict=True)]
    mean = math.fsum(differences) / n
    error, df = standard_error(differences, clusters)
    if df == 0 or error < 1e-12:
        # One unit, or the same difference everywhere: as wide as n pairs that do not differ.
        units = n if clusters is None else len(set(clusters))
        (low, high), (inner_low, inner_high) = tango(0, 0, units, alpha), tango(0, 0, units, 2 * alpha)
        interval, wide = (mean + low, mean + high), (mean + inner_low, mean + inner_high)
    else:
        interval, wide = mean_interval(differences, alpha, clusters), mean_interval(differences, 2 * alpha, clusters)
    return PairedTest(
        math.fsum(before) / n,
        math.fsum(after) / n,
        _clipped(interval),
        _clipped(wide),
        sign_flip(differences, clusters),
        "sign flips, t" if clusters is None else "cluster sign flips, cluster t",
        math.fsum(d * d for d in differences) / n if clusters is None or df == 0 else error * error * n + mean * mean,
    )


def _corpus_test(
    values: Values,
    before: Sequence[Hashable],
    after: Sequence[Hashable],
    clusters: Sequence[Hashable] | None,
    alpha: float,
) -> PairedTest:
    assert values.metric.statistic is not None
    statistic = pooled(values.metric.statistic)
    first, second = statistic(Counter(before)) or 0.0, statistic(Counter(after)) or 0.0
    n = len(before)
    drawn = paired_bootstrap(before, after, statistic, clusters)
    interval, wide = drawn.interval(alpha), drawn.interval(2 * alpha)
    if not drawn.draws or interval[1] - interval[0] < 1e-12:
        units = n if clusters is None else len(set(clusters))
        interval, wide = tango(0, 0, units, alpha), tango(0, 0, units, 2 * alpha)
        interval = (second - first + interval[0], second - first + interval[1])
        wide = (second - first + wide[0], second - first + wide[1])
    mean = math.fsum(drawn.draws) / len(drawn.draws) if drawn.draws else 0.0
    variance = math.fsum((x - mean) ** 2 for x in drawn.draws) / max(1, len(drawn.draws))
    method = "bootstrap" if clusters is None else "cluster bootstrap"
    return PairedTest(first, second, _clipped(interval), _clipped(wide), drawn.p_value(), method, variance * n)


def _clipped(interval: tuple[float, float]) -> tuple[float, float]:
    return max(-1.0, interval[0]), min(1.0, interval[1])
