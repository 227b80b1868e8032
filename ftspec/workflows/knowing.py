"""Known results of an experiment, committed beside its lock: this machine's, and what others found before."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.compose import Project
from ftspec.runs.known import (
    KnownBaseline,
    KnownPick,
    KnownResult,
    KnownResults,
    merge_known,
    read_results,
    unite_results,
)
from ftspec.runs.seal import seal_digest
from ftspec.spec.errors import DataError
from ftspec.storage import read_json
from ftspec.workflows.plan import Plan, PlannedRun

if TYPE_CHECKING:
    from ftspec.workflows.results import Results


def results_path(project: Project, name: str) -> Path:
    """Where an experiment's known results lie."""
    return project.experiments / f"{name}.results.json"


def stored_results(project: Project, name: str) -> KnownResults | None:
    """Return the known results on disk, None where there are none. Raises DataError for broken ones."""
    path = results_path(project, name)
    try:
        return read_results(path.read_bytes(), file=path.relative_to(project.root).as_posix())
    except FileNotFoundError:
        return None


def known_results(plan: Plan, results: "Results") -> KnownResults:
    """Return what is known of a plan's runs: what lies in `runs/`, and what the committed file knows besides."""
    old = _united(plan.project, plan.name)
    rows = [row for run in plan.runs for row in _known_rows(run, results)]
    baselines = tuple(_known_baselines(plan))
    trained = tuple(run.train_digest for run in plan.runs if run.attempt is not None)
    whole = len(trained) == len(plan.runs)
    pick = (KnownPick(run=results.pick.label, by=results.pick.by, among=trained),) if results.pick and whole else ()
    wanted = {r.train_digest: {s.name: s.eval_digest for s in r.suites if s.suite.trained_arms} for r in plan.runs}
    return merge_known(old, KnownResults(baselines=baselines, results=tuple(rows), pick=pick), wanted)


def _united(project: Project, name: str) -> KnownResults:
    """Return what is on file, of both sides where a merge is not settled; nothing where it cannot be read."""
    path = results_path(project, name)
    try:
        return unite_results(path.read_bytes(), file=path.relative_to(project.root).as_posix())
    except FileNotFoundError:
        return KnownResults()
    except DataError as error:
        if error.code == "newer_version":
            raise
        return KnownResults()


def _known_rows(run: PlannedRun, results: "Results") -> Iterable[KnownResult]:
    if run.attempt is None:
        return
    row = next(row for row in results.runs if row.train_digest == run.train_digest)
    ended = run.attempt.results
    env = read_json(run.attempt.path / "env.json")
    common: dict[str, Any] = {
        "run": run.label,
        "point": dict(run.point.coordinates),
        "train": run.train_digest,
        "valid_loss": ended.get("valid_loss"),
        "epochs": row.epochs,
        "attempt": seal_digest(run.attempt.path),
        "weights": ended.get("weights_digest"),
        "numerics": env.get("numerics"),
        "model": ended.get("model") if run.identity.engine is None else None,
    }
    suites = [suite for suite in run.suites if suite.suite.trained_arms]
    if not suites:
        yield KnownResult(**common, suite="", eval=None, arm=None, metric=None, value=None, ci95=None, n=0)
    for suite in suites:
        scores = row.scores.get(suite.name)
        if scores is not None and scores.arms:
            arm, scored = next(iter(scores.arms.items()))
            found = scored.metrics[scores.primary]
            yield KnownResult(
                **common,
                suite=suite.name,
                eval=suite.eval_digest,
                arm=arm,
                metric=scores.primary,
                value=found.value,
                ci95=_interval(found.low, found.high),
                n=found.n,
            )


def _known_baselines(plan: Plan) -> Iterable[KnownBaseline]:
    from ftspec.evals.scores import read_scores

    for baselines in plan.baselines:
        if not baselines.done:
            continue
        scores = read_scores(baselines.folder / "scores.json")
        hosted = any(run.identity.engine is None for run in plan.runs)
        for arm, scored in scores.arms.items():
            found = scored.metrics[scores.primary]
            yield KnownBaseline(
                suite=baselines.suite.name,
                eval=baselines.suite.eval_digest,
                arm=arm,
                model=baselines.suite.base_model,
                metric=scores.primary,
                value=found.value,
                ci95=_interval(found.low, found.high),
                n=found.n,
                compared=arm == baselines.suite.suite.baseline,
                fingerprints=tuple(sorted(scored.fingerprints)) if hosted else (),
            )


def _interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
