"""Failing eval items of a finished run as candidate rows, each with where it came from.

They are held-out items: a row trained on spoils the suite it came from. So every row carries a key `harvest` that no
data set accepts until `dataset.metadata` names it, and `leak` and `eval_overlap` tell when it was trained on anyway.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ftspec.compose import Project
from ftspec.evals.items import Item
from ftspec.evals.requests import messages_of
from ftspec.evals.scores import passed_by_id
from ftspec.spec.errors import UsageError
from ftspec.spec.suite import Arm
from ftspec.storage import write_atomic
from ftspec.workflows.choose import run_of
from ftspec.workflows.plan import Plan, PlannedRun, make_plan
from ftspec.workflows.scored import ScoredSuite, scored_run

SCHEMA = 1
_sorted = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True)
class Candidate:
    """One failing item: what was asked, what should have been said (None: unknown), what the model said."""

    suite: str
    item: str
    messages: tuple[dict[str, Any], ...]
    tools: Any
    reference: str | None
    answer: str
    provenance: dict[str, Any]

    def row(self) -> dict[str, Any]:
        """Return the line of the candidates' file; without a reference the answer is left for people to write."""
        answer = [] if self.reference is None else [{"role": "assistant", "content": self.reference}]
        marked = {**self.provenance, "answer": self.answer, "held_out": True}
        row: dict[str, Any] = {"messages": [*self.messages, *answer], "harvest": marked}
        return row if self.tools is None else row | {"tools": self.tools}


@dataclass(frozen=True)
class Harvest:
    """The failing items of one run; `items` counts all that were graded."""

    experiment: str
    run: str
    items: int
    candidates: tuple[Candidate, ...]

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites that the candidates are items of."""
        return tuple(dict.fromkeys(candidate.suite for candidate in self.candidates))

    def write(self, path: Path) -> None:
        """Write the candidates as JSON lines. Raises UsageError where the file is there already, StorageError."""
        if path.exists():
            raise UsageError("exists", f"{path} is there already", fix="name another file with --out")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, b"".join(_sorted(candidate.row()) + b"\n" for candidate in self.candidates))


def harvest(
    project: Project,
    name: str,
    overrides: Sequence[str] = (),
    *,
    label: str | None = None,
    suite: str | None = None,
) -> Harvest:
    """Collect what a run's model got wrong, by the primary grader of each suite.

    Raises UsageError where it is not clear which run is meant, or where that run has no scores.
    """
    run = _run_of(make_plan(project, name, overrides), label)
    scored = scored_run(run)
    if suite is not None and suite not in scored:
        fix = f"scored: {', '.join(scored)}" if scored else f"ftspec run {name}"
        raise UsageError("no_scores", f"{run.label} has no scores on {suite!r}", fix=fix)
    chosen = [one for key, one in scored.items() if suite in (None, key)]
    if not chosen:
        raise UsageError("no_scores", f"{run.label} has no scores yet", fix=f"ftspec run {name}")
    found: list[Candidate] = []
    graded = 0
    for one in chosen:
        candidates, total = _failing(one, run)
        found += candidates
        graded += total
    return Harvest(name, run.label, graded, tuple(found))


def _run_of(plan: Plan, label: str | None) -> PlannedRun:
    if label is not None:
        return run_of(plan, label)
    if len(plan.runs) == 1:
        return plan.runs[0]
    labels = ", ".join(run.label for run in plan.runs[:8])
    raise UsageError("which_run", f"{plan.name} has {len(plan.runs)} runs", fix=f"say which with --run: {labels}")


def _failing(scored: ScoredSuite, run: PlannedRun) -> tuple[list[Candidate], int]:
    arm = scored.tuned or ""
    passed = passed_by_id(scored.suite.suite, scored.grades, arm)
    answers = scored.answers(arm)
    found = [
        _candidate(scored, run, arm, item, answers.get(item.id, ""))
        for item in scored.suite.suite.items
        if passed.get(item.id) is False
    ]
    return found, len(passed)


def _candidate(scored: ScoredSuite, run: PlannedRun, arm: str, item: Item, answer: str) -> Candidate:
    asked = messages_of(scored.suite.suite.suite.request, Arm(model="@base"), item)
    reference = item.fields.get("reference")
    provenance = {
        "experiment": run.directory.experiment if run.directory else "",
        "run": run.label,
        "train": run.train_digest,
        "suite": scored.suite.name,
        "eval": scored.suite.eval_digest,
        "arm": arm,
        "item": item.id,
    }
    return Candidate(
        scored.suite.name,
        item.id,
        tuple(asked),
        item.fields.get("tools"),
        reference if isinstance(reference, str) else None,
        answer,
        provenance,
    )
