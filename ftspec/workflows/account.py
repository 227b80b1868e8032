"""The account of an experiment, read from its run directories: results, loss curves, where each run comes from."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ftspec.runs.directory import RunDirectory
from ftspec.runs.seal import seal_digest
from ftspec.spec.errors import FtspecError
from ftspec.storage import read_json, read_log
from ftspec.workflows.plan import Plan, PlannedRun
from ftspec.workflows.results import Results, collect


@dataclass(frozen=True)
class Curve:
    """A run's loss: (step, loss) of each step, and where the validation rows were looked at."""

    label: str
    train: tuple[tuple[int, float], ...]
    valid: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Record:
    """Where one run comes from: its directory's facts, its attempt's results and surroundings, the seal's sha256."""

    label: str
    folder: str
    facts: Mapping[str, Any]
    results: Mapping[str, Any]
    environment: Mapping[str, Any]
    seal: str | None


@dataclass(frozen=True)
class Account:
    """What a report tells. Runs that are only planned are rows of `results` without curve and record."""

    plan: Plan
    results: Results
    curves: tuple[Curve, ...]
    records: tuple[Record, ...]


def account_of(plan: Plan, results: Results | None = None) -> Account:
    """Read what lies on disk for a plan. Raises FtspecError `no_runs` where there is nothing yet."""
    found = [(run, run.directory) for run in plan.runs if run.directory is not None]
    if not found and not any(baselines.done for baselines in plan.baselines):
        fix = f"ftspec run {plan.name}"
        raise FtspecError("no_runs", f"no run of {plan.name} is on file: there is nothing to report", fix=fix)
    return Account(
        plan=plan,
        results=results or collect(plan),
        curves=tuple(_curve(run) for run in plan.runs if run.attempt is not None),
        records=tuple(_record(plan, run, directory) for run, directory in found),
    )


def _curve(run: PlannedRun) -> Curve:
    assert run.attempt is not None
    losses: dict[str, list[tuple[int, float]]] = {"train_loss": [], "valid_loss": []}
    with suppress(FtspecError):
        for row in read_log(run.attempt.path / "metrics.jsonl"):
            if row.get("name") in losses and isinstance(row.get("value"), int | float):
                losses[row["name"]].append((int(row["step"]), float(row["value"])))
    return Curve(run.label, tuple(losses["train_loss"]), tuple(losses["valid_loss"]))


def _record(plan: Plan, run: PlannedRun, directory: RunDirectory) -> Record:
    results: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    seal = None
    if run.attempt is not None:
        with suppress(FtspecError, OSError):
            results = run.attempt.results
            environment = read_json(run.attempt.path / "env.json")
            seal = seal_digest(run.attempt.path)
    folder = directory.path.relative_to(plan.project.root).as_posix()
    return Record(run.label, folder, directory.facts, results, environment, seal)
