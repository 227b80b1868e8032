"""What graders measure over a suite: every metric declares its level, direction and unit, and how it is computed.

Item-level metrics are means of item values. Corpus-level ones (F1, balanced accuracy) are never means of item values:
they are computed from the pooled evidence of all items.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from ftspec.evals.graders.contract import NO_LABEL
from ftspec.evals.statistics.bootstrap import DRAWS, bootstrap
from ftspec.evals.statistics.means import mean_interval
from ftspec.evals.statistics.wilson import wilson

Level = Literal["item", "corpus"]
Direction = Literal["higher", "lower"]
# The evidence of one answer: a number for item metrics, anything hashable for corpus metrics, None for "says nothing".
Evidence = Callable[[float | None, Mapping[str, Any]], Any]
Statistic = Callable[[Mapping[Any, int]], float | None]


@dataclass(frozen=True)
class Metric:
    """A number over a suite. Values lie in 0..1 (`unit: share`); `statistic` is set for corpus metrics."""

    level: Level
    evidence: Evidence
    statistic: Statistic | None = None
    direction: Direction = "higher"
    unit: str = "share"


def _score(score: float | None, parts: Mapping[str, Any]) -> float | None:
    return score


def _part(name: str) -> Evidence:
    return lambda score, parts: parts.get(name)


def _pair(score: float | None, parts: Mapping[str, Any]) -> tuple[str, str]:
    return parts["reference"], parts["predicted"]


def _fields(score: float | None, parts: Mapping[str, Any]) -> tuple[tuple[int, int, int], ...]:
    extra = [(0, parts["extra"], 0)] if parts["extra"] else []
    return tuple([tuple(counts) for counts in parts["fields"].values()] + extra)


def _declared(score: float | None, parts: Mapping[str, Any]) -> tuple[tuple[int, int, int], ...]:
    return tuple(tuple(counts) for counts in parts["fields"].values())


def _field(name: str) -> Evidence:
    return lambda score, parts: (tuple(parts["fields"][name]),)


def _all_right(score: float | None, parts: Mapping[str, Any]) -> float:
    wrong = any(fp + fn for _, fp, fn in parts["fields"].values())
    return float(score == 1.0 and not wrong and not parts["extra"])


def f1(tp: float, fp: float, fn: float) -> float | None:
    """Return 2 tp / (2 tp + fp + fn); None for 0/0."""
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def micro_f1(drawn: Mapping[Any, int]) -> float | None:
    """F1 over the pooled counts of all fields of all items."""
    totals = [0, 0, 0]
    for counts, times in drawn.items():
        for triple in counts:
            for i in range(3):
                totals[i] += triple[i] * times
    return f1(*totals)


def macro_field_f1(drawn: Mapping[Any, int]) -> float | None:
    """Mean over fields of each field's F1; a field that never occurs counts for nothing."""
    totals: list[list[int]] = []
    for counts, times in drawn.items():
        while len(totals) < len(counts):
            totals.append([0, 0, 0])
        for total, triple in zip(totals, counts, strict=False):
            for i in range(3):
                total[i] += triple[i] * times
    return _mean(f1(*total) for total in totals)


def balanced_accuracy(drawn: Mapping[Any, int]) -> float | None:
    """Mean over the reference classes of each one's recall."""
    seen: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for (reference, predicted), times in drawn.items():
        seen[reference] += times
        hits[reference] += times * (reference == predicted)
    return _mean(hits[name] / count for name, count in seen.items())


def macro_f1(drawn: Mapping[Any, int]) -> float | None:
    """Mean over all classes, of references and of answers, of each one's F1; an answer that is no label is no class."""
    expected: Counter[str] = Counter()
    given: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    for (reference, predicted), times in drawn.items():
        expected[reference] += times
        given[predicted] += times
        hits[reference] += times * (reference == predicted)
    names = (expected.keys() | given.keys()) - {NO_LABEL}
    return _mean(2 * hits[name] / (expected[name] + given[name]) for name in sorted(names))


def metric_names(graders: Mapping[str, Any]) -> list[str]:
    """Return every metric of a suite's graders as `grader.metric`."""
    return [f"{key}.{metric}" for key, grader in graders.items() for metric in metrics_of(grader)]


def metrics_of(grader: Any) -> dict[str, Metric]:
    """Return a grader's metrics by name; the first is the default."""
    kind = grader.type
    if kind == "label":
        return {
            "accuracy": Metric("item", _score),
            "balanced_accuracy": Metric("corpus", _pair, balanced_accuracy),
            "macro_f1": Metric("corpus", _pair, macro_f1),
        }
    if kind == "json_fields":
        per_field = {f"field.{name}.f1": Metric("corpus", _field(name), micro_f1) for name in grader.fields}
        return {
            "micro_f1": Metric("corpus", _fields, micro_f1),
            "macro_f1": Metric("corpus", _declared, macro_field_f1),
            "exact": Metric("item", _all_right),
            "mean": Metric("item", _score),
            **per_field,
        }
    if kind == "tool_call":
        return {
            "f1": Metric("item", _score),
            "name_f1": Metric("item", _part("name_f1")),
            "args_valid": Metric("item", _part("args_valid")),
            "no_call_accuracy": Metric("item", _part("no_call")),
        }
    return {"rate": Metric("item", _score)}


class Estimate(msgspec.Struct, frozen=True):
    """A value with its 1 - alpha interval (None where nothing can be said) over n items, and how it was found."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str


@dataclass(frozen=True)
class Values:
    """A metric's evidence of one arm by item id: a number (item level), or a tuple of its answers' evidence (corpus).

    Several answers to an item are averaged (item) or pooled (corpus) within it: the unit is the item.
    """

    name: str
    metric: Metric
    by_id: Mapping[str, Any]
    clusters: Mapping[str, str] | None = None

    def cluster_of(self, ids: Sequence[str]) -> list[str] | None:
        """Return each item's cluster, an item without one being its own; None where the suite has no clusters."""
        return None if self.clusters is None else [self.clusters.get(name, f"\0{name}") for name in ids]


def values_of(
    name: str,
    metric: Metric,
    answers: Iterable[tuple[str, float | None, Mapping[str, Any]]],
    clusters: Mapping[str, str] | None = None,
) -> Values:
    """Gather (item id, score, parts) of the answers that have a grade into values by item."""
    found: dict[str, list[Any]] = {}
    for item, score, parts in answers:
        evidence = metric.evidence(score, parts)
        if evidence is not None:
            found.setdefault(item, []).append(evidence)
    if metric.level == "item":
        return Values(name, metric, {item: math.fsum(seen) / len(seen) for item, seen in found.items()}, clusters)
    return Values(name, metric, {item: tuple(seen) for item, seen in found.items()}, clusters)


def pooled(statistic: Statistic) -> Statistic:
    """Let a statistic over answers' evidence work on items, each a tuple of its answers' evidence."""

    def over_items(drawn: Mapping[Hashable, int]) -> float | None:
        flat: Counter[Hashable] = Counter()
        for answers, times in drawn.items():
            for evidence in answers:  # type: ignore[attr-defined]
                flat[evidence] += times
        return statistic(flat)

    return over_items


def estimate(values: Values, alpha: float = 0.05, *, draws: int = DRAWS) -> Estimate:
    """Return the metric's value with its interval.

    Rates: Wilson. Means: Student's t, cluster-robust where items are clustered. Corpus metrics: bootstrap. An interval
    of width 0 claims what no sample can show: where nothing varies, Wilson over the independent units takes its place.
    """
    ids = list(values.by_id)
    if not ids:
        return Estimate(None, None, None, 0, "none")
    evidence = [values.by_id[name] for name in ids]
    clusters = values.cluster_of(ids)
    units = len(ids) if clusters is None else len(set(clusters))
    if values.metric.level == "corpus":
        assert values.metric.statistic is not None
        statistic = pooled(values.metric.statistic)
        value = statistic(Counter(evidence))
        low, high = bootstrap(evidence, statistic, clusters, draws=draws).interval(alpha)
        method = "bootstrap" if clusters is None else "cluster bootstrap"
    else:
        value = math.fsum(evidence) / len(evidence)
        if clusters is None and set(evidence) <= {0.0, 1.0}:
            low, high = wilson(sum(evidence), len(evidence), alpha)
            return Estimate(value, low, high, len(ids), "wilson")
        low, high = mean_interval(evidence, alpha, clusters)
        method = "t" if clusters is None else "cluster t"
    if value is None or math.isnan(low):
        return Estimate(value, None, None, len(ids), "none")
    if high - low < 1e-12:
        low, high = wilson(value * units, units, alpha)
        method = "wilson, nothing varies"
    return Estimate(value, max(0.0, low), min(1.0, high), len(ids), method)


def confusion(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return counts by reference, then by answer, both sorted; `__none__` is an answer that is no label."""
    counts: dict[str, Counter[str]] = {}
    for reference, predicted in pairs:
        counts.setdefault(reference, Counter())[predicted] += 1
    return {reference: dict(sorted(row.items())) for reference, row in sorted(counts.items())}
