"""Level equivalent: the primary metric within the declared margin, by two one-sided tests, item by item if possible."""

import math
from pathlib import Path

from ftspec.evals.compare import Measured, measured
from ftspec.evals.grade import read_grades
from ftspec.evals.paired import paired_test
from ftspec.evals.statistics.distributions import normal_quantile
from ftspec.spec.suite import Compare
from ftspec.workflows.plan import PlannedSuite
from ftspec.workflows.reproduction.case import Case, primary_of
from ftspec.workflows.reproduction.verdicts import Verdict, together


def provable_margin(n: int, discordant: float = 0.1, alpha: float = 0.05, power: float = 0.9) -> float:
    """Return about the smallest margin that n paired items confirm with probability `power` if nothing differs.

    Two one-sided tests by the normal approximation, one item added for discreteness: 11.3, 7.8 and 4.8 points at 100,
    200 and 500 items with 10 % discordant, where exact enumeration gives 11.5, 7.7 and 4.8.
    """
    if n <= 0:
        return math.inf
    z = normal_quantile(1 - alpha) + normal_quantile((1 + power) / 2)
    return z * math.sqrt(discordant / n) + 1 / n


def judge_equivalent(name: str, before: Measured, after: Measured, settings: Compare) -> Verdict:
    """Two one-sided paired tests: the 1 - 2 alpha interval of the difference against the suite's own margin."""
    if before.eval_digest != after.eval_digest:
        return Verdict("equivalent", "differs", (f"{name}: scored by different suites",))
    for side in (before, after):
        if side.error_rate > side.max_error_rate:
            said = f"{name}: {side.name} has {side.error_rate:.1%} errors, the limit is {side.max_error_rate:.1%}"
            return Verdict("equivalent", "inconclusive", (said,))
    if not before.values.by_id.keys() & after.values.by_id.keys():
        return Verdict("equivalent", "inconclusive", (f"{name}: no item has a graded answer of both",))
    test = paired_test(before.values, after.values, settings.alpha)
    n = len(before.values.by_id.keys() & after.values.by_id.keys())
    how = f"{test.method}, {n} pairs"
    margin = settings.margin
    exact = margin is None or test.within(margin, settings.alpha)
    return _within(name, test.second - test.first, test.wide, n, settings, how, exact=exact)


def judge_unpaired(
    name: str,
    before: tuple[float, tuple[float, float] | None, int],
    after: tuple[float, tuple[float, float] | None, int],
    settings: Compare,
) -> Verdict:
    """The same from value, 95 % interval and n alone: without the items' own results the interval is wider."""
    (old, old_ci, old_n), (new, new_ci, _) = before, after
    if old_ci is None or new_ci is None:
        return Verdict("equivalent", "inconclusive", (f"{name}: no interval is on file",))
    z95 = normal_quantile(0.975)
    error = math.hypot((old_ci[1] - old_ci[0]) / 2 / z95, (new_ci[1] - new_ci[0]) / 2 / z95)
    half = normal_quantile(1 - settings.alpha) * error
    difference = new - old
    how = f"unpaired, from value and n = {old_n} alone: wider than with the run directory"
    return _within(name, difference, (difference - half, difference + half), old_n, settings, how)


def _within(
    name: str,
    difference: float,
    interval: tuple[float, float],
    n: int,
    settings: Compare,
    how: str,
    *,
    exact: bool = True,
) -> Verdict:
    """Word the test; `exact` says whether the exact test confirms an interval that lies inside the margin."""
    low, high = interval
    level = 1 - 2 * settings.alpha
    said = f"{name}: {difference * 100:+.1f} points, {level:.0%} [{low * 100:+.1f}..{high * 100:+.1f}] ({how})"
    margin = settings.margin
    if margin is None:
        fix = f"declare one in the suite: compare: {{margin: 0.05}}; {n} items can confirm about "
        return Verdict(
            "equivalent", "inconclusive", (f"{said}; no margin", fix + f"{provable_margin(n) * 100:.0f} points")
        )
    within = f"margin {margin * 100:g} points"
    if -margin < low and high < margin:
        if not exact:
            what = f"{said} within {within}, but not by the exact test"
            return Verdict("equivalent", "inconclusive", (what,), needs=n + n // 10 + 1)
        return Verdict("equivalent", "reproduced", (f"{said} within {within}",))
    if low > margin or high < -margin:
        return Verdict("equivalent", "differs", (f"{said} wholly outside {within}",))
    room, half = margin - abs(difference), (high - low) / 2
    needs = math.ceil(n * (half / room) ** 2) if room > 0.1 * margin else None
    return Verdict("equivalent", "inconclusive", (f"{said} crosses {within}",), needs=needs)


def equivalent_of(case: Case) -> Verdict:
    """Judge a case that was trained and scored again, suite by suite."""
    found = [judge_suite(case, suite, before, suite, after, "now") for suite, before, after in case.scored()]
    case.notes.append("one training seed a side: differences include training noise, which item pairs cannot show")
    return together("equivalent", found)


def judge_suite(
    case: Case, suite: PlannedSuite, before: Path | None, other: PlannedSuite, after: Path, name: str
) -> Verdict:
    """Judge scores in `after` (of the suite as `other` has it) against the recorded ones, or against results.json."""
    settings = suite.suite.suite.compare
    if before is not None:
        return judge_equivalent(
            suite.name, _measured(suite, before, "recorded"), _measured(other, after, name), settings
        )
    row = case.known_score(suite)
    value, interval, n = primary_of(after)
    if row is None or row.value is None or value is None:
        return Verdict("equivalent", "impossible", (f"{suite.name}: no score is on file",))
    return judge_unpaired(suite.name, (row.value, row.ci95, row.n), (value, interval, n), settings)


def _measured(suite: PlannedSuite, folder: Path, name: str) -> Measured:
    grades = read_grades(folder / "grades.jsonl")
    return measured(suite.suite, grades, suite.suite.trained_arms[0], eval_digest=suite.eval_digest, name=name)
