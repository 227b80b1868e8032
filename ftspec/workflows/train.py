"""One training, single-flight across processes: a job on the provider, its evidence in an attempt, then the seal."""

import asyncio
import dataclasses
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.compose import Project
from ftspec.providers.connect import Connection
from ftspec.providers.jobs import TrainRequest, TrainResult, train
from ftspec.runs.directory import Attempt, RunDirectory, training_lock
from ftspec.runs.environment import environment
from ftspec.runs.seal import seal
from ftspec.spec.digests import short
from ftspec.spec.errors import ProviderError
from ftspec.spec.events import Emit, Notice, StageFinished, StageStarted
from ftspec.storage import AppendLog, BlobStore, read_json, write_json
from ftspec.workflows.elsewhere import git_facts
from ftspec.workflows.plan import PlannedRun, canonical_hyperparameters

_LOCK_POLL = 0.5


@dataclass(frozen=True)
class Training:
    """How a run came to its model: the sealed attempt, and whether this process trained it."""

    attempt: Attempt
    reused: bool


async def ensure_trained(
    run: PlannedRun, directory: RunDirectory, connection: Connection, project: Project, emit: Emit
) -> Training:
    """Return the run's finished attempt, training it unless one is on file or another process is at it.

    An attempt left open by an earlier call is gone on with; if its job has failed meanwhile (the disk was full), that
    is recorded and one new attempt is made. Raises ProviderError with the job's own reason where the training failed;
    that attempt is sealed too.
    """
    async with _turn(run, project, emit):
        if (attempt := directory.finished()) is not None:
            return Training(attempt, reused=True)
        left_open = any(not attempt.sealed for attempt in directory.attempts())
        attempt = directory.open_attempt()
        result = await _train(run, directory, attempt, connection, project, emit)
        if left_open and result.status == "failed":
            emit(Notice(level="info", code="again", message="the earlier job failed; a new attempt", subject=run.label))
            attempt = directory.open_attempt()
            result = await _train(run, directory, attempt, connection, project, emit)
    return Training(_succeeded(attempt, result), reused=False)


async def train_again(
    run: PlannedRun,
    directory: RunDirectory,
    connection: Connection,
    project: Project,
    emit: Emit,
    *,
    reproduces: str | None,
) -> Attempt:
    """Train a run that has a finished attempt once more, in an attempt of its own; `reproduces` is the seal repeated.

    An unsealed newest attempt beside a finished one is a reproduction that was interrupted: it is gone on with, and
    its job is found again. Raises ProviderError with the job's own reason where the training failed.
    """
    async with _turn(run, project, emit):
        interrupted = directory.finished() is not None and not directory.attempts()[-1].sealed
        attempt = directory.open_attempt(fresh=not interrupted)
        result = await _train(run, directory, attempt, connection, project, emit, reproduces=reproduces)
    return _succeeded(attempt, result)


@asynccontextmanager
async def _turn(run: PlannedRun, project: Project, emit: Emit) -> AsyncIterator[None]:
    """Wait for this training's lock."""
    lock = training_lock(project.store, run.train_digest)
    waiting = False
    while not lock.acquire():
        if not waiting:
            emit(Notice(level="info", code="waiting", message="another process trains this run", subject=run.label))
            waiting = True
        await asyncio.sleep(_LOCK_POLL)
    with lock:
        yield


async def _train(
    run: PlannedRun,
    directory: RunDirectory,
    attempt: Attempt,
    connection: Connection,
    project: Project,
    emit: Emit,
    *,
    reproduces: str | None = None,
) -> TrainResult:
    """Follow the attempt's job to its end, write the evidence, seal."""
    started = time.monotonic()
    emit(StageStarted(subject=run.label, stage="train", total=run.n_steps or 0))
    blobs = BlobStore(project.store)
    result = await train(connection, _request(run, directory, attempt), attempt=attempt.path, blobs=blobs, emit=emit)
    _write_evidence(
        run, attempt, result, blobs, git=git_facts(project), numerics=_numerics(project, result), reproduces=reproduces
    )
    seal(attempt.path, directory.sealed_outside())
    directory.point_latest(attempt)
    emit(StageFinished(subject=run.label, stage="train", seconds=time.monotonic() - started))
    return result


def _succeeded(attempt: Attempt, result: TrainResult) -> Attempt:
    if result.status != "succeeded":
        reason = (result.error or {}).get("message") or f"the job ended as {result.status}"
        code = (result.error or {}).get("code") or "job_failed"
        raise ProviderError(str(code), f"training failed: {reason}", file=str(attempt.path))
    return attempt


def _request(run: PlannedRun, directory: RunDirectory, attempt: Attempt) -> TrainRequest:
    experiment = run.point.experiment
    data = directory.path / "data"
    valid = run.prepared.parts.get("valid")
    return TrainRequest(
        subject=run.label,
        train_digest=run.train_digest,
        attempt_id=f"{short(run.train_digest)}#{attempt.path.name}",
        model=experiment.model,
        method=experiment.method.type,
        hyperparameters=canonical_hyperparameters(experiment.hyperparameters.model_dump()),
        seed=experiment.seed,
        suffix=experiment.suffix,
        metadata=dict(experiment.metadata),
        train_file=data / "train.jsonl",
        train_sha256=run.prepared.parts["train"].sha256,
        valid_file=data / "valid.jsonl" if valid else None,
        valid_sha256=valid.sha256 if valid else None,
    )


def _numerics(project: Project, result: TrainResult) -> dict[str, Any] | None:
    """The fields behind an embedded job's fingerprint, so that a later reader learns which of them is another one."""
    if result.fingerprint is None:
        return None
    try:
        state = read_json(project.embedded / "jobs" / result.job / "state.json")
    except FileNotFoundError:
        return None
    found = state.get("fingerprint")
    return found if isinstance(found, dict) else None


def _write_evidence(
    run: PlannedRun,
    attempt: Attempt,
    result: TrainResult,
    blobs: BlobStore,
    *,
    git: dict[str, Any],
    numerics: dict[str, Any] | None,
    reproduces: str | None,
) -> None:
    """Write what the provider said, whole and in one form, so that a resumed attempt ends with the same files."""
    folder = attempt.path
    _write_log(folder / "events.jsonl", result.events)
    _write_log(folder / "metrics.jsonl", result.metrics)
    write_json(folder / "checkpoints.json", result.checkpoints)
    if result.results_csv is not None:
        (folder / "results.csv").unlink(missing_ok=True)
        blobs.link(blobs.put_bytes(result.results_csv), folder / "results.csv")
    for role, sha256 in result.artifacts.items():
        suffix = ".npz" if role == "weights" else ""
        blobs.link(sha256, folder / f"{role}{suffix}")
    write_json(
        folder / "model.json",
        {
            "model": result.model,
            "job": result.job,
            "weights_digest": result.weights_digest,
            "artifacts": result.artifacts,
        },
    )
    write_json(folder / "env.json", environment(result.fingerprint) | {"numerics_facts": numerics, "git": git})
    outcome: dict[str, Any] = {
        "outcome": result.status,
        "job": result.job,
        "model": result.model,
        "resolved": result.resolved,
        "trained_tokens": result.trained_tokens,
        "learned_tokens": run.prepared.parts["train"].learned_tokens * run.n_epochs,
        "valid_loss": final_valid_loss(result.checkpoints),
        "usd": run.usd,
        "seconds": _seconds(result),
        "weights_digest": result.weights_digest,
        "error": result.error,
    }
    if reproduces is not None:
        outcome["reproduces"] = reproduces
    write_json(folder / "results.json", outcome)


def _seconds(result: TrainResult) -> float:
    """Return how long the training itself took: from its first to its last metrics, without the time in a queue."""
    times = [event["created_at"] for event in result.events if event.get("type") == "metrics" and "created_at" in event]
    return float(max(times) - min(times)) if times else round(result.seconds, 3)


def final_valid_loss(checkpoints: list[dict[str, Any]]) -> float | None:
    """Return the whole validation file's loss at the last checkpoint, or the batch loss where a host gives no other."""
    for checkpoint in sorted(checkpoints, key=lambda c: c.get("step_number", 0), reverse=True):
        metrics = checkpoint.get("metrics") or {}
        for name in ("full_valid_loss", "valid_loss"):
            if (value := metrics.get(name)) is not None:
                return float(value)
    return None


def _write_log(path: Path, rows: list[Any]) -> None:
    path.unlink(missing_ok=True)
    with AppendLog(path) as log:
        for row in rows:
            value = dataclasses.asdict(row) if dataclasses.is_dataclass(row) and not isinstance(row, type) else row
            log.append_bytes(json.dumps(value, ensure_ascii=False, sort_keys=True).encode())
