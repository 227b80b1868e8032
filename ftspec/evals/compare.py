"""Two arms on the same items: paired difference with its interval, one of six words, and what could tell them apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from ftspec.evals.grade import GradeRow
from ftspec.evals.metrics import Values
from ftspec.evals.paired import PairedTest, paired_test
from ftspec.evals.scores import arm_values, errors_of, passed_by_id
from ftspec.evals.statistics.detectable import FEWEST_DISCORDANT, items_needed, smallest_difference
from ftspec.evals.statistics.holm import holm
from ftspec.evals.suites import ResolvedSuite
from ftspec.spec.suite import Compare

Verdict = Literal["not comparable", "invalid", "equivalent", "better", "worse", "cannot tell"]
SHARED = 0.95


@dataclass(frozen=True)
class Measured:
    """One arm's result on a suite, ready to be compared. `name` is the arm, or a run and its arm.

    `asked` holds the ids of all items it was asked, errors included (None: those with values); `passed` says by id
    whether the primary grader was content with every answer.
    """

    name: str
    eval_digest: str
    values: Values
    error_rate: float = 0.0
    max_error_rate: float = 0.02
    passed: Mapping[str, bool] = field(default_factory=dict)
    asked: frozenset[str] | None = None

    @property
    def ids(self) -> frozenset[str]:
        """The ids of the items it was asked."""
        return frozenset(self.values.by_id) if self.asked is None else self.asked


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """An arm against a baseline on one metric. `difference` = arm - baseline on the items both have, with its interval.

    `verdict` is the word, `reason` says why in a sentence. `detectable` is the smallest difference these items could
    show, `items_needed` about how many would show the one seen; None where that means nothing. `fixed` and `broke` are
    ids of items that only the arm, or only the baseline, got right; `missing` those with a graded answer of one alone.
    `p_adjusted` is corrected for `family` comparisons; the interval is that of this one alone.
    """

    baseline: str
    arm: str
    metric: str
    n: int
    missing: tuple[str, ...]
    verdict: Verdict
    reason: str
    baseline_value: float | None = None
    value: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    family: int = 1
    method: str = "none"
    detectable: float | None = None
    items_needed: int | None = None
    fixed: tuple[str, ...] = ()
    broke: tuple[str, ...] = ()


def measured(
    resolved: ResolvedSuite, rows: Sequence[GradeRow], arm: str, *, eval_digest: str, name: str | None = None
) -> Measured:
    """Gather what grades say of one arm on the suite's primary metric."""
    n, errors = errors_of(resolved, rows, arm)
    return Measured(
        name=name or arm,
        eval_digest=eval_digest,
        values=arm_values(resolved, rows, arm),
        error_rate=errors / n if n else 1.0,
        max_error_rate=resolved.suite.max_error_rate,
        passed=passed_by_id(resolved, rows, arm),
        asked=frozenset(row.id for row in rows if row.arm == arm),
    )


def compare(baseline: Measured, arm: Measured, settings: Compare | None = None) -> Comparison:
    """Compare one arm with a baseline, as the only comparison made."""
    return compare_all(baseline, [arm], settings)[0]


def compare_all(baseline: Measured, arms: Sequence[Measured], settings: Compare | None = None) -> list[Comparison]:
    """Compare several arms with one baseline; p-values are adjusted over those that can be compared (Holm)."""
    settings = settings or Compare()
    outcomes = [_obstacle(baseline, arm) or paired_test(baseline.values, arm.values, settings.alpha) for arm in arms]
    raw = [outcome.p for outcome in outcomes if isinstance(outcome, PairedTest)]
    adjusted = iter(holm(raw) if settings.correction == "holm" else raw)
    family = len(raw) if settings.correction == "holm" else 1
    return [
        _told(baseline, arm, outcome, next(adjusted), family, settings)
        if isinstance(outcome, PairedTest)
        else _refused(baseline, arm, *outcome)
        for arm, outcome in zip(arms, outcomes, strict=True)
    ]


def _obstacle(baseline: Measured, arm: Measured) -> tuple[Verdict, str] | None:
    """What forbids a comparison; `not comparable` goes before `invalid`."""
    if baseline.eval_digest != arm.eval_digest or baseline.values.name != arm.values.name:
        return "not comparable", "scored by different suites: items, request, arms, graders or metrics differ"
    shared, every = len(baseline.ids & arm.ids), len(baseline.ids | arm.ids)
    if every == 0 or shared < SHARED * every:
        return "not comparable", f"only {shared} of {every} items were put to both"
    for side in (baseline, arm):
        if side.error_rate > side.max_error_rate:
            return "invalid", f"{side.name}: {side.error_rate:.1%} errors, the limit is {side.max_error_rate:.1%}"
    if not baseline.values.by_id.keys() & arm.values.by_id.keys():
        return "invalid", "no item has an answer of both that can be graded"
    return None


def _missing(baseline: Measured, arm: Measured) -> tuple[str, ...]:
    return tuple(sorted(baseline.values.by_id.keys() ^ arm.values.by_id.keys()))


def _refused(baseline: Measured, arm: Measured, verdict: Verdict, reason: str) -> Comparison:
    return Comparison(
        baseline=baseline.name,
        arm=arm.name,
        metric=arm.values.name,
        n=len(baseline.values.by_id.keys() & arm.values.by_id.keys()),
        missing=_missing(baseline, arm),
        verdict=verdict,
        reason=reason,
    )


def _told(
    baseline: Measured, arm: Measured, test: PairedTest, p_adjusted: float, family: int, settings: Compare
) -> Comparison:
    ids = [name for name in baseline.values.by_id if name in arm.values.by_id]
    difference = test.second - test.first
    least = max(test.discordant, FEWEST_DISCORDANT / len(ids))
    detectable = smallest_difference(len(ids), least, alpha=settings.alpha, comparisons=family)
    needed = None
    if abs(difference) > 1e-12:
        needed = items_needed(difference, test.discordant, alpha=settings.alpha, comparisons=family)
    verdict, reason = _verdict(arm, test, p_adjusted, family, settings)
    if verdict == "cannot tell":
        reason += f"; these items could show a difference of {detectable:.3f}"
        reason += f"; one of {abs(difference):.3f} needs about {needed:,} items" if needed else ""
    both = [name for name in ids if name in baseline.passed and name in arm.passed]
    return Comparison(
        baseline=baseline.name,
        arm=arm.name,
        metric=arm.values.name,
        n=len(ids),
        missing=_missing(baseline, arm),
        baseline_value=test.first,
        value=test.second,
        difference=difference,
        low=test.interval[0],
        high=test.interval[1],
        p=test.p,
        p_adjusted=p_adjusted,
        family=family,
        method=test.method,
        verdict=verdict,
        reason=reason,
        detectable=detectable,
        items_needed=needed,
        fixed=tuple(name for name in both if arm.passed[name] and not baseline.passed[name]),
        broke=tuple(name for name in both if baseline.passed[name] and not arm.passed[name]),
    )


def _verdict(arm: Measured, test: PairedTest, p: float, family: int, settings: Compare) -> tuple[Verdict, str]:
    """The first of equivalent, better or worse, cannot tell that holds."""
    low, high = test.wide
    margin = settings.margin
    if margin is not None and test.within(margin, settings.alpha):
        held = f"the {1 - 2 * settings.alpha:.0%} interval [{low:+.3f}, {high:+.3f}]"
        return "equivalent", f"{held} lies within the margin of {margin:g}"
    said = f"p = {p:.2g}" if p == test.p else f"p = {p:.2g} (corrected for {family} comparisons; {test.p:.2g} alone)"
    difference = test.second - test.first
    if p < settings.alpha and difference != 0:
        good = (difference > 0) == (arm.values.metric.direction == "higher")
        return ("better" if good else "worse"), said
    return "cannot tell", said
