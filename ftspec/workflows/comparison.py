"""Two arms on the same items, from stored grades: runs, arms without training, or the winner. Asks no model."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ftspec.compose import Project
from ftspec.evals.compare import Comparison, compare
from ftspec.spec.digests import short
from ftspec.spec.errors import UsageError
from ftspec.workflows.flips import Flip, flips
from ftspec.workflows.look import find_runs
from ftspec.workflows.plan import Plan, make_plan
from ftspec.workflows.results import collect
from ftspec.workflows.scored import ScoredSuite, scored_baselines, scored_run

SCHEMA = 1
WINNER = "*"


@dataclass(frozen=True)
class Side:
    """One of the two: its name for people, and its scores on each suite with the arm that stands for it."""

    name: str
    scored: tuple[tuple[ScoredSuite, str], ...]

    def of(self, suite: str) -> tuple[tuple[ScoredSuite, str], ...]:
        """Its scores on one suite; several where a sweep changes what the suite asks."""
        return tuple(found for found in self.scored if found[0].suite.name == suite)


@dataclass(frozen=True)
class OnSuite:
    """The comparison on one suite, and the items that the two decide differently, in the suite's order."""

    suite: str
    comparison: Comparison
    flips: tuple[Flip, ...]


@dataclass(frozen=True)
class Compared:
    """All suites that both were scored on; `alone` names those that only one of them was."""

    baseline: str
    arm: str
    suites: tuple[OnSuite, ...]
    alone: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            "baseline": self.baseline,
            "arm": self.arm,
            "suites": [
                {"suite": one.suite}
                | msgspec.to_builtins(one.comparison)
                | {"flips": [flip.to_json() for flip in one.flips]}
                for one in self.suites
            ],
            "alone": list(self.alone),
        }


def compare_arms(project: Project, experiments: Sequence[str], baseline: str, arm: str) -> Compared:
    """Compare two named things, each found in the first of `experiments` that has it.

    A name is a run's label or the first characters of its train digest, `experiment/label`, an arm that needs no
    training (`base`, `few_shot`, ...), or `*`: the winner. Scores under different eval digests are not compared: the
    verdict is `not comparable`. Raises UsageError for a name that nothing has, or that has no scores yet.
    """
    book = _Book(project, experiments)
    before, after = book.side(baseline), book.side(arm)
    names = list(dict.fromkeys(found[0].suite.name for found in (*before.scored, *after.scored)))
    both = [name for name in names if before.of(name) and after.of(name)]
    suites = tuple(_on_suite(name, before, after) for name in both)
    return Compared(before.name, after.name, suites, tuple(name for name in names if name not in both))


def _on_suite(name: str, before: Side, after: Side) -> OnSuite:
    """Compare on the one pair of equal digests; where there is none, the first pair says why not."""
    pairs = [(a, b) for a in before.of(name) for b in after.of(name)]
    same = [(a, b) for a, b in pairs if a[0].suite.eval_digest == b[0].suite.eval_digest]
    (first, first_arm), (second, second_arm) = (same or pairs)[0]
    settings = second.suite.suite.suite.compare
    found = compare(first.measured(first_arm, before.name), second.measured(second_arm, after.name), settings)
    return OnSuite(name, found, tuple(flips(found, first, first_arm, second, second_arm)))


class _Book:
    """Finds sides in the plans of some experiments, each planned when it is first needed."""

    def __init__(self, project: Project, experiments: Sequence[str]) -> None:
        self._project, self._experiments = project, experiments
        self._plans: dict[str, Plan] = {}

    def _plan(self, name: str) -> Plan:
        if name not in self._plans:
            self._plans[name] = make_plan(self._project, name)
        return self._plans[name]

    def side(self, name: str) -> Side:
        """Find what a name means. Raises UsageError."""
        experiment, _, rest = name.rpartition("/")
        known: list[str] = []
        for one in [experiment] if experiment in self._project.experiment_names() else self._experiments:
            plan = self._plan(one)
            wanted = rest if one == experiment else name
            side = _winner(plan) if wanted == WINNER else (_run(plan, wanted) or _arm(plan, wanted))
            if side is not None:
                return side
            known += _names(plan)
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise UsageError(
            "unknown_arm",
            f"nothing is called {name!r} in {' or '.join(self._experiments)}",
            fix=f"{hint}known: {', '.join(dict.fromkeys(known))}",
        )


def _names(plan: Plan) -> Iterator[str]:
    yield from (run.label for run in plan.runs)
    yield from dict.fromkeys(arm for baselines in plan.baselines for arm in baselines.arms)
    yield WINNER


def _winner(plan: Plan) -> Side:
    results = collect(plan)
    label = results.pick.label if results.pick else plan.runs[0].label if len(plan.runs) == 1 else None
    digest = next((run.train_digest for run in plan.runs if run.label == label), None)
    side = _run(plan, digest) if digest is not None else None
    if side is None:
        fix = f"train its runs first: ftspec run {plan.name}"
        raise UsageError("no_winner", f"{plan.name} has no winner yet", fix=fix)
    return side


def _run(plan: Plan, name: str) -> Side | None:
    found = [run for run in plan.runs if run.label == name]
    if not found and len(name) >= 4:
        hexadecimal = name.removeprefix("sha256:")
        found = [run for run in plan.runs if run.train_digest.removeprefix("sha256:").startswith(hexadecimal)]
    if len(found) > 1:
        named = ", ".join(f"{run.label} ({short(run.train_digest)})" for run in found)
        raise UsageError("several_runs", f"{name!r} names {len(found)} runs", fix=f"say which: {named}")
    if not found:
        return None
    if name == found[0].label:
        _refuse_namesakes(plan, name, found[0].train_digest)
    scored = [(one, one.tuned) for one in scored_run(found[0]).values() if one.tuned is not None]
    return _scored(plan, found[0].label, scored)


def _refuse_namesakes(plan: Plan, label: str, train: str) -> None:
    """Refuse a label that an earlier plan of the experiment gave to another run: both are in `ftspec ls`."""
    runs = find_runs(plan.project.runs, f"{plan.name}/{label}")
    others = [digest for run in runs if (digest := run.path.name.rpartition(".")[2]) != short(train)]
    if others:
        named = ", ".join(
            [f"{short(train)} (as the experiment stands)", *(f"{digest} (ftspec show)" for digest in others)]
        )
        fix = f"say which by digest: {named}"
        raise UsageError("several_runs", f"{plan.name}/{label} names {len(others) + 1} runs", fix=fix)


def _arm(plan: Plan, name: str) -> Side | None:
    if not any(name in baselines.arms for baselines in plan.baselines):
        return None
    found: Mapping[tuple[str, str, str], ScoredSuite] = scored_baselines(plan)
    return _scored(plan, name, [(one, name) for one in found.values() if name in one.scores.arms])


def _scored(plan: Plan, name: str, scored: Sequence[tuple[ScoredSuite, str]]) -> Side:
    if not scored:
        fix = f"ftspec run {plan.name}"
        raise UsageError("no_scores", f"{name} of {plan.name} has no scores yet", fix=fix)
    return Side(name, tuple(scored))
