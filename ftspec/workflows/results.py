"""What an experiment has shown: each run's scores, compared item by item with the baseline, and the declared winner."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftspec.evals.compare import Comparison, Measured, compare, compare_all
from ftspec.evals.drift import drift_of
from ftspec.evals.scores import ArmScores, Scores, metric_of
from ftspec.runs.names import other_name
from ftspec.spec.digests import short
from ftspec.spec.errors import FtspecError, Problem
from ftspec.workflows.flips import Flipped, flips
from ftspec.workflows.folds import Pooled, pool, recipes
from ftspec.workflows.plan import Plan, PlannedRun
from ftspec.workflows.scored import ScoredSuite, scored_baselines, scored_run
from ftspec.workflows.winner import Pick, choose

if TYPE_CHECKING:
    from ftspec.workflows.run import RunOutcome

SCHEMA = 1


@dataclass(frozen=True)
class BaselineRow:
    """One arm without training."""

    suite: str
    arm: str
    metric: str
    scores: ArmScores


@dataclass(frozen=True)
class RunRow:
    """One run as a row of the table; `comparisons` are with each suite's baseline arm, by suite.

    `best` are those with the arm that scored best without training, where that is another one.

    `lies` is what a reused run is called where it lies, empty where that is its name here.
    """

    label: str
    train_digest: str
    folder: Path | None
    status: str
    epochs: int
    valid_loss: float | None
    seconds: float | None
    usd: float | None
    model: str | None
    scores: dict[str, Scores]
    comparisons: dict[str, Comparison]
    best: dict[str, Comparison] = field(default_factory=dict)
    lies: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "label": self.label,
            "train": self.train_digest,
            "folder": str(self.folder) if self.folder else None,
            "lies": self.lies,
            "status": self.status,
            "epochs": self.epochs,
            "valid_loss": self.valid_loss,
            "seconds": self.seconds,
            "usd": self.usd,
            "model": self.model,
            "scores": {name: msgspec.to_builtins(scores) for name, scores in self.scores.items()},
            "comparisons": {name: msgspec.to_builtins(found) for name, found in self.comparisons.items()},
            "best": {name: msgspec.to_builtins(found) for name, found in self.best.items()},
        }

    def primary(self, suite: str) -> tuple[float | None, float | None, float | None]:
        """Value and interval of a suite's primary metric for the tuned model."""
        scores = self.scores.get(suite)
        if scores is None:
            return None, None, None
        estimate = next(iter(scores.arms.values())).metrics[scores.primary]
        return estimate.value, estimate.low, estimate.high


@dataclass(frozen=True)
class Results:
    """All of it.

    `folds` are scores of recipes over their folds, and then there is no pick.
    `flipped` are the items that the winner (or the only run) and the plain base decide differently on the first suite.
    `outcomes` says how each run ended in the call of `run` that returned this, `saved` which files of the lock it
    changed, and `unsent` why its store lacks something; all are empty where results were only read.
    """

    experiment: str
    suites: tuple[str, ...]
    baseline_arms: dict[str, str | None]
    baselines: tuple[BaselineRow, ...]
    runs: tuple[RunRow, ...]
    pick: Pick | None
    flipped: Flipped | None
    margins: dict[str, float | None] = field(default_factory=dict)
    folds: tuple[Pooled, ...] = ()
    drift: tuple[str, ...] = ()
    outcomes: "tuple[RunOutcome, ...]" = ()
    saved: tuple[Path, ...] = ()
    unsent: tuple[Problem, ...] = ()

    @property
    def failed(self) -> "list[RunOutcome]":
        """The runs that did not end with a model and scores, each with its problems."""
        return [outcome for outcome in self.outcomes if outcome.outcome == "failed"]

    @cached_property
    def winner(self) -> RunRow | None:
        """The picked run, or the only one once it is trained."""
        if self.pick is None:
            return self.runs[0] if len(self.runs) == 1 and self.runs[0].status == "trained" else None
        return next(run for run in self.runs if run.label == self.pick.label)

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            "experiment": self.experiment,
            "baselines": [
                {"suite": b.suite, "arm": b.arm, "primary": b.metric, "scores": msgspec.to_builtins(b.scores)}
                for b in self.baselines
            ],
            "runs": [run.to_json() for run in self.runs],
            "pick": self.pick.to_json() if self.pick else None,
            "folds": [pooled.to_json() for pooled in self.folds],
            "drift": list(self.drift),
        }


def collect(plan: Plan) -> Results:
    """Read every sealed score of a plan and compare. Runs without scores are rows without numbers."""
    baselines = scored_baselines(plan)
    tuned = {run.train_digest: scored_run(run) for run in plan.runs}
    compared = _compare(plan, baselines, tuned, lambda found: found.suite.suite.baseline)
    best = _compare(plan, baselines, tuned, _best_other)
    rows = tuple(_row(plan, run, tuned[run.train_digest], compared, best) for run in plan.runs)
    scores = [{name: found.scores for name, found in tuned[run.train_digest].items()} for run in plan.runs]
    folds = pool([run.point for run in plan.runs], scores)
    pick = None if recipes(run.point for run in plan.runs) else choose(plan, rows, tuned)  # folds are no rivals
    every = (*baselines.values(), *(found for suites in tuned.values() for found in suites.values()))
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
        folds=folds,
        flipped=_flipped(plan, baselines, tuned, pick),
        margins={suite.name: suite.suite.suite.compare.margin for suite in plan.suites},
        drift=tuple(drift_of(found.scores for found in every)),
    )


def _best_other(found: ScoredSuite) -> str | None:
    """Return the arm without training that scored best, None where that is the one that runs are compared with.

    The best of several looks better than it is, so that a gain over it is told rather too small than too large.
    """
    sign = 1 if metric_of(found.suite.suite, found.scores.primary).direction == "higher" else -1
    values = {arm: scores.metrics[found.scores.primary].value for arm, scores in found.scores.arms.items()}
    known = {arm: sign * value for arm, value in values.items() if value is not None}
    declared = found.suite.suite.baseline
    if not known or known.get(declared or "") == max(known.values()):
        return None
    return max(known, key=lambda arm: known[arm])


def _compare(
    plan: Plan,
    baselines: dict[tuple[str, str, str], ScoredSuite],
    tuned: dict[str, dict[str, ScoredSuite]],
    arm_of: Callable[[ScoredSuite], str | None],
) -> dict[str, dict[str, Comparison]]:
    """Compare all trainings that share a baseline as one family: p-values are adjusted for how many there are.

    Several runs may be one training; it is counted once.
    """
    families: dict[tuple[str, str, str], dict[str, Measured]] = {}
    for run in plan.runs:
        for suite in run.suites:
            scored = tuned[run.train_digest].get(suite.name)
            if scored is None or scored.tuned is None:
                continue
            family = families.setdefault(suite.key, {})
            if run.train_digest not in family:
                family[run.train_digest] = scored.measured(scored.tuned, run.label)
    found: dict[str, dict[str, Comparison]] = {}
    for key, members in families.items():
        against = baselines.get(key)
        base_arm = arm_of(against) if against else None
        if against is None or base_arm is None or base_arm not in against.scores.arms:
            continue
        settings = against.suite.suite.suite.compare
        compared = compare_all(against.measured(base_arm, base_arm), list(members.values()), settings)
        for train, comparison in zip(members, compared, strict=True):
            found.setdefault(train, {})[key[0]] = comparison
    return found


def _row(
    plan: Plan,
    run: PlannedRun,
    scored: dict[str, ScoredSuite],
    compared: dict[str, dict[str, Comparison]],
    best: dict[str, dict[str, Comparison]],
) -> RunRow:
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
        model=results.get("model"),
        scores={name: found.scores for name, found in scored.items()},
        comparisons=compared.get(run.train_digest, {}),
        best=best.get(run.train_digest, {}),
        lies=other_name(run.directory, plan.name, run.label),
    )


def status_of(run: PlannedRun) -> str:
    """Return `trained`, `failed`, `interrupted` or `planned`, from the run's attempts."""
    if run.attempt is not None:
        return "trained"
    attempts = run.directory.attempts() if run.directory else []
    if not attempts:
        return "planned"
    return "failed" if attempts[-1].sealed else "interrupted"


def _flipped(
    plan: Plan,
    baselines: dict[tuple[str, str, str], ScoredSuite],
    tuned: dict[str, dict[str, ScoredSuite]],
    pick: Pick | None,
) -> Flipped | None:
    run = next((run for run in plan.runs if pick is None or run.label == pick.label), None)
    if run is None or not run.suites or (pick is None and len(plan.runs) > 1):
        return None
    suite = run.suites[0]
    scored, against = tuned[run.train_digest].get(suite.name), baselines.get(suite.key)
    if scored is None or against is None or scored.tuned is None:
        return None
    arm = "base" if "base" in against.scores.arms else against.suite.suite.baseline
    if arm is None or arm not in against.scores.arms:
        return None
    compared = compare(against.measured(arm, arm), scored.measured(scored.tuned, run.label))
    # What overrides made is no run of the experiment as it stands: its winner is another.
    typed = short(run.train_digest) if plan.composed.ad_hoc else f"'{plan.name}/*'"
    return Flipped(arm, run.label, tuple(flips(compared, against, arm, scored, scored.tuned)), typed)
