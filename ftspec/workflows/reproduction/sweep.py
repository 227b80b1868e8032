"""Level conclusion, the evidence: where each run of a sweep stood and stands, by the declared rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftspec.evals.grade import read_grades
from ftspec.evals.metrics import Values, estimate
from ftspec.evals.scores import arm_values
from ftspec.runs.directory import Attempt
from ftspec.runs.known import KnownResults
from ftspec.runs.seal import is_sealed
from ftspec.workflows.plan import Plan, PlannedBaselines, PlannedSuite
from ftspec.workflows.reproduction.case import Case
from ftspec.workflows.reproduction.conclusion import Claim, Standing, claim_of, judge_conclusion, sign_of
from ftspec.workflows.reproduction.drift import drifted, fingerprints
from ftspec.workflows.reproduction.verdicts import Subject, Verdict


@dataclass(frozen=True)
class _Rule:
    """What the sweep is decided by: `by`, how ties end, and the suite whose items stand behind it."""

    by: str
    tie: str
    suite: PlannedSuite | None

    @property
    def metric(self) -> str | None:
        """The metric of the suite that decides, None where the loss does."""
        return None if self.by == "valid_loss" else self.by.partition(".")[2] or None


def conclusion_of(plan: Plan, cases: Sequence[Case], known: KnownResults, baselines: Mapping[str, Path]) -> Subject:
    """Judge the sweep as a whole by new attempts of all its runs; `baselines` are folders of arms asked again."""
    if len(plan.runs) < 2:
        return _impossible("the experiment has one run: there is no winner")
    rule = _rule(plan)
    old, new = _standings(cases, rule, fresh=False), _standings(cases, rule, fresh=True)
    recorded, again = _baseline(plan, rule.suite), baselines.get(rule.suite.name) if rule.suite else None
    old_base = _baseline_values(recorded, recorded.folder) if recorded is not None and recorded.done else None
    new_base = _baseline_values(recorded, again) if recorded is not None and again is not None else None
    notes = []
    if recorded is not None and again is not None:
        notes += _drift(recorded, again, known)
    if (before := _winner(plan, old, rule)) is not None and all(case.attempt is not None for case in cases):
        claim = claim_of(rule.by, old, before, old_base)
    elif known.pick:
        claim = _known_claim(known, rule)
        notes.append("the claim is that of results.json: without run directories order and items are not compared")
    else:
        return _impossible("no conclusion is on file")
    winner = _winner(plan, new, rule)
    if winner is None:
        return _impossible(f"no new run has a value of {rule.by}")
    now = claim_of(rule.by, new, winner, new_base)
    same = old_base is not None and new_base is not None and old_base.by_id == new_base.by_id
    same = same and all(_same_items(one, other) for one, other in zip(old, new, strict=True))
    return Subject("", "", (judge_conclusion(claim, now, new, new_base, same=same),), notes=tuple(notes))


def _impossible(why: str) -> Subject:
    return Subject("", "", (Verdict("conclusion", "impossible", (why,)),))


def _rule(plan: Plan) -> _Rule:
    sweep = plan.composed.experiment.sweep
    by, tie = (sweep.select.by, sweep.select.tie) if sweep else ("valid_loss", "fewest_epochs")
    name = by.partition(".")[0]
    suite = next((s for s in plan.suites if s.name == name), plan.suites[0] if plan.suites else None)
    return _Rule(by, tie, suite)


def _standings(cases: Sequence[Case], rule: _Rule, *, fresh: bool) -> list[Standing]:
    return [_standing(case, case.fresh if fresh else case.attempt, rule) for case in cases]


def _standing(case: Case, attempt: Attempt | None, rule: _Rule) -> Standing:
    """Where a run stands by an attempt of it."""
    if attempt is None:
        return Standing(case.label, None, None)
    values = _values(case, attempt, rule)
    if rule.by == "valid_loss":
        return Standing(case.label, attempt.results.get("valid_loss"), values)
    found = estimate(values, draws=1).value if values is not None else None
    if values is None or found is None:
        return Standing(case.label, None, values)
    return Standing(case.label, -found if values.metric.direction == "higher" else found, values)


def _values(case: Case, attempt: Attempt, rule: _Rule) -> Values | None:
    """The run's graded items under the deciding suite, as its own plan has it (another base model, another suite)."""
    if rule.suite is None or case.planned is None or case.directory is None:
        return None
    suite = next((s for s in case.planned.suites if s.name == rule.suite.name), None)
    if suite is None or not suite.suite.trained_arms:
        return None
    folder = case.directory.evals(suite.name, suite.eval_digest, attempt)
    if not is_sealed(folder):
        return None
    name = rule.metric or suite.suite.primary
    return arm_values(suite.suite, read_grades(folder / "grades.jsonl"), suite.suite.trained_arms[0], name)


def _baseline(plan: Plan, suite: PlannedSuite | None) -> PlannedBaselines | None:
    """The arms without training of the deciding suite, where the one that runs are compared with is among them."""
    for baselines in plan.baselines:
        if (
            suite is not None
            and baselines.suite.name == suite.name
            and baselines.suite.suite.baseline in baselines.arms
        ):
            return baselines
    return None


def _drift(recorded: PlannedBaselines, again: Path, known: KnownResults) -> list[str]:
    """Say which arms answer under other fingerprints than in the recorded answers, or else than in results.json."""
    told = []
    for arm in recorded.arms:
        rows = [b for b in known.baselines if b.eval == recorded.suite.eval_digest and b.arm == arm]
        old = fingerprints(recorded.folder, [arm]) if recorded.done else {f for b in rows for f in b.fingerprints}
        told += drifted(f"{recorded.suite.name}/{arm}", old, fingerprints(again, [arm]))
    return told


def _baseline_values(baselines: PlannedBaselines, folder: Path) -> Values:
    suite = baselines.suite.suite
    return arm_values(suite, read_grades(folder / "grades.jsonl"), str(suite.baseline))


def _known_claim(known: KnownResults, rule: _Rule) -> Claim:
    winner, suite = known.pick[0].run, rule.suite
    row = next((r for r in known.results if r.run == winner and (suite is None or r.suite == suite.name)), None)
    base = next((b for b in known.baselines if b.compared and suite is not None and b.suite == suite.name), None)
    sign = None
    if row is not None and base is not None and row.value is not None and base.value is not None:
        sign = sign_of(row.value, base.value)
    return Claim(winner, rule.by, (), sign)


def _winner(plan: Plan, standings: Sequence[Standing], rule: _Rule) -> str | None:
    """The declared rule applied to values, ties settled as `run` settles them."""
    order = {run.label: (run.n_epochs if rule.tie == "fewest_epochs" else 0, i) for i, run in enumerate(plan.runs)}
    ranked = [(s.rank, order[s.label], s.label) for s in standings if s.rank is not None]
    return min(ranked)[2] if ranked else None


def _same_items(one: Standing, other: Standing) -> bool:
    if one.values is None or other.values is None:
        return one.values is other.values and one.rank == other.rank
    return one.rank == other.rank and dict(one.values.by_id) == dict(other.values.by_id)
