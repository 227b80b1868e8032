"""Seeded bootstrap over items (or clusters) for metrics of a whole corpus, which are no mean of item values."""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

DRAWS = 2_000
Statistic = Callable[[Mapping[Hashable, int]], float | None]


@dataclass(frozen=True)
class Bootstrap:
    """Draws of a statistic, sorted; draws on which it was undefined (0/0) are left out."""

    draws: tuple[float, ...]

    def interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Return the percentile interval; (nan, nan) without draws."""
        if not self.draws:
            return float("nan"), float("nan")
        last = len(self.draws) - 1
        return self._at(alpha / 2 * last), self._at((1 - alpha / 2) * last)

    def _at(self, position: float) -> float:
        below = int(position)
        above = min(below + 1, len(self.draws) - 1)
        return self.draws[below] + (position - below) * (self.draws[above] - self.draws[below])

    def p_value(self) -> float:
        """Return the two-sided p-value of the statistic (a difference) being 0, never below 1 / (draws + 1)."""
        if not self.draws:
            return 1.0
        lower = sum(value <= 0 for value in self.draws)
        upper = sum(value >= 0 for value in self.draws)
        return min(1.0, 2 * (min(lower, upper) + 1) / (len(self.draws) + 1))


def resamples(
    n: int, clusters: Sequence[Hashable] | None = None, *, draws: int = DRAWS, seed: int = 0
) -> list[list[int]]:
    """Return index lists drawn with replacement: items, or whole clusters. The stream depends on the seed alone."""
    random = Random(f"ftspec/bootstrap/1/{seed}").random
    if clusters is None:
        return [[int(random() * n) for _ in range(n)] for _ in range(draws)]
    members: dict[Hashable, list[int]] = {}
    for index, cluster in enumerate(clusters):
        members.setdefault(cluster, []).append(index)
    groups = list(members.values())
    count = len(groups)
    return [[i for _ in range(count) for i in groups[int(random() * count)]] for _ in range(draws)]


def bootstrap(
    evidence: Sequence[Hashable],
    statistic: Statistic,
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Bootstrap:
    """Resample items; `statistic` sees how often each distinct evidence was drawn."""
    found = []
    for indices in resamples(len(evidence), clusters, draws=draws, seed=seed):
        value = statistic(Counter(map(evidence.__getitem__, indices)))
        if value is not None:
            found.append(value)
    return Bootstrap(tuple(sorted(found)))


def paired_bootstrap(
    first: Sequence[Hashable],
    second: Sequence[Hashable],
    statistic: Statistic,
    clusters: Sequence[Hashable] | None = None,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Bootstrap:
    """Resample pairs of items; each draw is statistic(second) - statistic(first) on the same items."""
    found = []
    for indices in resamples(len(first), clusters, draws=draws, seed=seed):
        before = statistic(Counter(map(first.__getitem__, indices)))
        after = statistic(Counter(map(second.__getitem__, indices)))
        if before is not None and after is not None:
            found.append(after - before)
    return Bootstrap(tuple(sorted(found)))
