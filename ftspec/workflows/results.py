"""What an experiment has shown: each run's scores, compared item by item with the baseline, and the declared winner."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftspec.evals.compare import Comparison, Measured, compare, compare_all, measured
from ftspec.evals.grade import GradeRow, read_grades
from ftspec.evals.responses import read_responses
from ftspec.evals.scores import ArmScores, Scores, read_scores
from ftspec.runs.seal import is_sealed
from ftspec.spec.errors import FtspecError
from ftspec.workflows.plan import Plan, PlannedRun, PlannedSuite

if TYPE_CHECKING:
    from ftspec.workflows.run import RunOutcome

SCHEMA = 1


@dataclass(frozen=True)
class ScoredSuite:
    """One suite's sealed scores with the grades behind them."""

    suite: PlannedSuite
    folder: Path
    scores: Scores
    grades: Sequence[GradeRow]

    def measured(self, arm: str, name: str) -> Measured:
        """One arm, ready to be compared."""
        return measured(self.suite.suite, self.grades, arm, eval_digest=self.suite.eval_digest, name=name)


@dataclass(frozen=True)
class BaselineRow:
    """One arm without training."""

    suite: str
    arm: str
    metric: str
    scores: ArmScores


@dataclass(frozen=True)
class RunRow:
    """One run as a row of the table; `comparisons` are with each suite's baseline arm, by suite."""

    label: str
    train_digest: str
    folder: Path | None
    status: str
    epochs: int
    valid_loss: float | None
    seconds: float | None
    usd: float | None
    scores: dict[str, Scores]
    comparisons: dict[str, Comparison]

    def primary(self, suite: str) -> tuple[float | None, float | None, float | None]:
        """Value and interval of a suite's primary metric for the tuned model."""
        scores = self.scores.get(suite)
        if scores is None:
            return None, None, None
        estimate = next(iter(scores.arms.values())).metrics[scores.primary]
        return estimate.value, estimate.low, estimate.high


@dataclass(frozen=True)
class Pick:
    """The winner by the declared rule, and what the scores say about it and the runner-up."""

    label: str
    by: str
    runner_up: str | None
    comparison: Comparison | None


@dataclass(frozen=True)
class Flip:
    """One item that the baseline got wrong and the winner right: what both said."""

    suite: str
    item: str
    text: str
    baseline: str
    tuned: str


@dataclass(frozen=True)
class Results:
    """All of it.

    `outcomes` says how each run ended in the call of `run` that returned this, and `saved` which files of the lock it
    changed; both are empty where results were only read.
    """

    experiment: str
    suites: tuple[str, ...]
    baseline_arms: dict[str, str | None]
    baselines: tuple[BaselineRow, ...]
    runs: tuple[RunRow, ...]
    pick: Pick | None
    flip: Flip | None
    outcomes: "tuple[RunOutcome, ...]" = ()
    saved: tuple[Path, ...] = ()

    @property
    def failed(self) -> "list[RunOutcome]":
        """The runs that did not end with a model and scores, each with its problems."""
        return [outcome for outcome in self.outcomes if outcome.outcome == "failed"]

    @cached_property
    def winner(self) -> RunRow | None:
        """The picked run."""
        return next((run for run in self.runs if self.pick and run.label == self.pick.label), None)

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            "experiment": self.experiment,
            "baselines": [
                {"suite": b.suite, "arm": b.arm, "primary": b.metric, "scores": msgspec.to_builtins(b.scores)}
                for b in self.baselines
            ],
            "runs": [
                {
                    "label": run.label,
                    "train": run.train_digest,
                    "folder": str(run.folder) if run.folder else None,
                    "status": run.status,
                    "epochs": run.epochs,
                    "valid_loss": run.valid_loss,
                    "seconds": run.seconds,
                    "usd": run.usd,
                    "scores": {name: msgspec.to_builtins(scores) for name, scores in run.scores.items()},
                    "comparisons": {name: msgspec.to_builtins(found) for name, found in run.comparisons.items()},
                }
                for run in self.runs
            ],
            "pick": {
                "label": self.pick.label,
                "by": self.pick.by,
                "runner_up": self.pick.runner_up,
                "comparison": msgspec.to_builtins(self.pick.comparison) if self.pick.comparison else None,
            }
            if self.pick
            else None,
        }


def collect(plan: Plan) -> Results:
    """Read every sealed score of a plan and compare. Runs without scores are rows without numbers."""
    baselines = _read_baselines(plan)
    tuned = {run.train_digest: _read_run(run) for run in plan.runs}
    comparisons = _compare_with_baseline(plan, baselines, tuned)
    rows = tuple(_row(plan, run, tuned[run.train_digest], comparisons.get(run.train_digest, {})) for run in plan.runs)
    pick = _pick(plan, rows, tuned)
    first = plan.suites[0] if plan.suites else None
    return Results(
        experiment=plan.name,
        suites=tuple(dict.fromkeys(suite.name for suite in plan.suites)),
        baseline_arms={suite.name: suite.suite.baseline for suite in plan.suites},
        baselines=tuple(
            BaselineRow(found.suite.name, arm, found.scores.primary, scores)
            for found in baselines.values()
            for arm, scores in found.scores.arms.items()
        ),
        runs=rows,
        pick=pick,
        flip=_flip(plan, first, baselines, tuned, pick) if first and pick else None,
    )


def _read(suite: PlannedSuite, folder: Path) -> ScoredSuite | None:
    if not is_sealed(folder):
        return None
    return ScoredSuite(suite, folder, read_scores(folder / "scores.json"), read_grades(folder / "grades.jsonl"))


def _read_baselines(plan: Plan) -> dict[tuple[str, str, str], ScoredSuite]:
    found = ((b.suite.key, _read(b.suite, b.folder)) for b in plan.baselines)
    return {key: scored for key, scored in found if scored is not None}


def _read_run(run: PlannedRun) -> dict[str, ScoredSuite]:
    if run.directory is None or run.attempt is None:
        return {}
    found = {}
    for suite in run.suites:
        scored = _read(suite, run.directory.evals(suite.name, suite.eval_digest, run.attempt))
        if scored is not None:
            found[suite.name] = scored
    return found


def _compare_with_baseline(
    plan: Plan,
    baselines: dict[tuple[str, str, str], ScoredSuite],
    tuned: dict[str, dict[str, ScoredSuite]],
) -> dict[str, dict[str, Comparison]]:
    """Compare all runs that share a baseline as one family, so that p-values are adjusted for how many there are."""
    families: dict[tuple[str, str, str], list[tuple[str, Measured]]] = {}
    for run in plan.runs:
        for suite in run.suites:
            scored = tuned[run.train_digest].get(suite.name)
            if scored is not None and scored.scores.arms:
                arm = next(iter(scored.scores.arms))
                families.setdefault(suite.key, []).append((run.train_digest, scored.measured(arm, run.label)))
    found: dict[str, dict[str, Comparison]] = {}
    for key, members in families.items():
        against = baselines.get(key)
        base_arm = against.suite.suite.baseline if against else None
        if against is None or base_arm is None or base_arm not in against.scores.arms:
            continue
        settings = against.suite.suite.suite.compare
        compared = compare_all(against.measured(base_arm, base_arm), [m for _, m in members], settings)
        for (train, _), comparison in zip(members, compared, strict=True):
            found.setdefault(train, {})[key[0]] = comparison
    return found


def _row(plan: Plan, run: PlannedRun, scored: dict[str, ScoredSuite], comparisons: dict[str, Comparison]) -> RunRow:
    results: dict[str, Any] = {}
    if run.attempt is not None:
        with suppress(FtspecError):
            results = run.attempt.results
    folder = run.directory.path.relative_to(plan.project.root) if run.directory else None
    resolved = results.get("resolved") or {}
    epochs = resolved.get("n_epochs")
    return RunRow(
        label=run.label,
        train_digest=run.train_digest,
        folder=folder,
        status=status_of(run),
        epochs=epochs if isinstance(epochs, int) else run.n_epochs,
        valid_loss=results.get("valid_loss"),
        seconds=results.get("seconds"),
        usd=results.get("usd"),
        scores={name: found.scores for name, found in scored.items()},
        comparisons=comparisons,
    )


def status_of(run: PlannedRun) -> str:
    """Return `trained`, `failed`, `interrupted` or `planned`, from the run's attempts."""
    if run.attempt is not None:
        return "trained"
    attempts = run.directory.attempts() if run.directory else []
    if not attempts:
        return "planned"
    return "failed" if attempts[-1].sealed else "interrupted"


def _select_value(row: RunRow, by: str) -> float | None:
    """The value that is minimised; a score is negated."""
    if by == "valid_loss":
        return row.valid_loss
    suite, _, metric = by.partition(".")
    scores = row.scores.get(suite)
    if scores is None or not scores.arms:
        return None
    estimate = next(iter(scores.arms.values())).metrics.get(metric or scores.primary)
    return -estimate.value if estimate is not None and estimate.value is not None else None


def _pick(plan: Plan, rows: Sequence[RunRow], tuned: dict[str, dict[str, ScoredSuite]]) -> Pick | None:
    sweep = plan.composed.experiment.sweep
    by, tie = (sweep.select.by, sweep.select.tie) if sweep else ("valid_loss", "fewest_epochs")
    ranked = [(value, row) for row in rows if (value := _select_value(row, by)) is not None]
    if len(rows) < 2 or not ranked:
        return None
    order = {row.label: i for i, row in enumerate(rows)}
    ranked.sort(key=lambda pair: (pair[0], pair[1].epochs if tie == "fewest_epochs" else 0, order[pair[1].label]))
    best = ranked[0][1]
    second = ranked[1][1] if len(ranked) > 1 else None
    comparison = None
    if second is not None and plan.suites:
        name = plan.suites[0].name
        mine, theirs = tuned[best.train_digest].get(name), tuned[second.train_digest].get(name)
        if mine and theirs and mine.scores.arms and theirs.scores.arms:
            arm = next(iter(mine.scores.arms))
            settings = mine.suite.suite.suite.compare
            comparison = compare(theirs.measured(arm, second.label), mine.measured(arm, best.label), settings)
    return Pick(best.label, by, second.label if second else None, comparison)


def _flip(
    plan: Plan,
    suite: PlannedSuite,
    baselines: dict[tuple[str, str, str], ScoredSuite],
    tuned: dict[str, dict[str, ScoredSuite]],
    pick: Pick,
) -> Flip | None:
    """The first item, in the suite's order, that the plain base got wrong and the winner right."""
    run = next(run for run in plan.runs if run.label == pick.label)
    scored, against = tuned[run.train_digest].get(suite.name), baselines.get(suite.key)
    if scored is None or against is None or not scored.scores.arms:
        return None
    arm = "base" if "base" in against.scores.arms else against.suite.suite.baseline
    if arm is None or arm not in against.scores.arms:
        return None
    winner = next(iter(scored.scores.arms))
    compared = compare(against.measured(arm, arm), scored.measured(winner, pick.label))
    fixed = set(compared.fixed)
    item = next((item for item in suite.suite.items if item.id in fixed), None)
    if item is None:
        return None
    before = {r.id: r.text for r in read_responses(against.folder / "responses.jsonl") if r.arm == arm}
    after = {r.id: r.text for r in read_responses(scored.folder / "responses.jsonl")}
    return Flip(suite.name, item.id, question_of(item.fields), before.get(item.id) or "", after.get(item.id) or "")


def question_of(fields: dict[str, Any]) -> str:
    """Return the last user text of an item, for people."""
    for message in reversed(fields.get("messages") or []):
        if message.get("role") == "user" and isinstance(message.get("content"), str):
            return str(message["content"])
    return ""
