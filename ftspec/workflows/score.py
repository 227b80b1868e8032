"""Scores: arms asked, answers graded, metrics with intervals, sealed. Baselines once, tuned models once a run."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import yaml

from ftspec.compose import Project
from ftspec.evals.ask import Endpoint, answer
from ftspec.evals.cache import ResponseCache
from ftspec.evals.drift import fingerprints_of
from ftspec.evals.grade import grade_responses
from ftspec.evals.requests import ArmRequests
from ftspec.evals.responses import Response, in_order, majority_responses, write_rows
from ftspec.evals.scores import Scores, score
from ftspec.evals.suites import to_dict
from ftspec.providers.connect import Connection
from ftspec.runs.directory import Attempt, RunDirectory
from ftspec.runs.seal import is_sealed, seal, seal_digest
from ftspec.spec.errors import DataError, ProviderError, StorageError
from ftspec.spec.events import Answered, Emit, Scored, StageFinished, StageStarted
from ftspec.storage import AppendLog, BlobStore, FileLock, read_json, read_log, write_atomic
from ftspec.workflows.identity import engine_identity
from ftspec.workflows.plan import Plan, PlannedBaselines, PlannedRun, PlannedSuite
from ftspec.workflows.record import keep_items

EMBEDDED_CONCURRENCY = 8
HOSTED_CONCURRENCY = 32
_LOCK_WAIT = 24 * 3600.0


@dataclass(frozen=True)
class Runner:
    """What the stages of one call of `run` share: open providers, the response cache, the event sink."""

    project: Project
    connections: Mapping[str, Connection]
    emit: Emit
    cache: ResponseCache
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def connection(self, run: PlannedRun) -> Connection:
        """The open provider of a run."""
        return self.connections[repr(run.point.experiment.provider)]

    def endpoint(self, connection: Connection) -> Endpoint:
        """What all arms that ask one provider share."""
        return self.endpoints.setdefault(connection.identity, Endpoint())


@dataclass(frozen=True)
class Target:
    """A model to ask, and the identity that its cached answers carry."""

    model: str
    identity: str


def _base_target(connection: Connection, run: PlannedRun, model: str) -> Target:
    identity = engine_identity(run.point.experiment.provider, model)
    if identity.engine is None:
        return Target(model, f"{connection.profile.id} {connection.base_url}")
    return Target(identity.model, f"embedded {identity.engine['base']} {identity.engine['contract']}")


def _tuned_target(connection: Connection, run: PlannedRun, attempt: Attempt) -> Target:
    results = attempt.results
    if run.identity.engine is None:
        return Target(results["model"], f"{connection.profile.id} {connection.base_url}")
    return Target(results["model"], f"embedded {results['weights_digest']} {run.identity.engine['contract']}")


async def score_baselines(plan: Plan, runner: Runner) -> None:
    """Ask every arm that needs no training, once an experiment, before any training."""
    for baselines in plan.baselines:
        if not baselines.done:
            await _score_baselines(plan, baselines, runner)


async def _score_baselines(plan: Plan, baselines: PlannedBaselines, runner: Runner) -> None:
    run = next(run for run in plan.runs if any(suite.key == baselines.suite.key for suite in run.suites))
    connection = runner.connection(run)
    targets: dict[str, Target | None] = {}
    for arm in baselines.arms:
        model = baselines.suite.suite.model_of(arm, base=run.point.experiment.model)
        targets[arm] = _base_target(connection, run, model) if model else None
    await _score(baselines.suite, targets, baselines.folder, "baseline", connection, runner)


async def score_again(plan: Plan, baselines: PlannedBaselines, runner: Runner) -> Path:
    """Ask arms without training once more, into the next free folder `<suite>.<eval12>.NNN`; return it."""
    number = 2
    while is_sealed(folder := baselines.folder.with_name(f"{baselines.folder.name}.{number:03d}")):
        number += 1
    await _score_baselines(plan, dataclasses.replace(baselines, folder=folder), runner)
    return folder


async def score_run(run: PlannedRun, directory: RunDirectory, attempt: Attempt, runner: Runner) -> bool:
    """Score a run's model on every suite that has no sealed scores of it yet; return whether anything was done."""
    connection = runner.connection(run)
    done = False
    for suite in run.suites:
        folder = directory.evals(suite.name, suite.eval_digest, attempt)
        if suite.suite.trained_arms and not is_sealed(folder):
            await _available(run, attempt, connection, runner)
            target = _tuned_target(connection, run, attempt)
            targets: dict[str, Target | None] = dict.fromkeys(suite.suite.trained_arms, target)
            await _score(suite, targets, folder, run.label, connection, runner, attempt=seal_digest(attempt.path))
            done = True
    return done


async def _available(run: PlannedRun, attempt: Attempt, connection: Connection, runner: Runner) -> None:
    """Put an embedded model back behind its id if the server's state was lost: a sealed run needs no server."""
    if run.identity.engine is None:
        return
    from ftspec.server.restore import restore_model

    results = attempt.results
    model = read_json(attempt.path / "model.json")
    ended = next((r for r in read_log(attempt.path / "requests.jsonl") if r.get("record") == "ended"), None)
    if ended is None:
        raise DataError("broken_attempt", "the attempt does not say how its job ended", file=str(attempt.path))
    blobs = BlobStore(runner.project.store)
    weights = attempt.path / "weights.npz"
    source = weights if weights.is_file() else blobs.path(model["artifacts"]["weights"])
    restore_model(
        runner.project.embedded,
        ended["body"],
        root=run.identity.model,
        weights=source,
        digest=results["weights_digest"],
    )


async def _score(
    suite: PlannedSuite,
    targets: Mapping[str, Target | None],
    folder: Path,
    subject: str,
    connection: Connection,
    runner: Runner,
    *,
    attempt: str | None = None,
) -> None:
    """Ask, grade, score and seal one folder; `attempt` is the seal of the attempt whose model is scored.

    Two processes on it take turns, the second finds it sealed.
    """
    lock = FileLock(runner.project.store / "locks" / f"score-{_lock_name(runner.project, folder)}.lock")
    if not lock.acquire():
        import asyncio

        if not await asyncio.to_thread(lock.acquire, timeout=_LOCK_WAIT):
            raise StorageError("busy", "another process scores this suite for too long", file=str(folder))
    with lock:
        if is_sealed(folder):
            return
        keep_items(runner.project, suite.suite, BlobStore(runner.project.store))
        runner.emit(StageStarted(subject=subject, stage="evals", total=suite.n_items * len(targets)))
        responses = await _ask(suite, targets, folder, subject, connection, runner)
        scores = _write(suite, targets, folder, responses, attempt)
        for arm, result in scores.arms.items():
            estimate = result.metrics[scores.primary]
            runner.emit(
                Scored(
                    subject=subject if len(targets) == 1 else arm,
                    suite=suite.name,
                    metric=scores.primary,
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    n=estimate.n,
                )
            )
        runner.emit(StageFinished(subject=subject, stage="evals"))


def _lock_name(project: Project, folder: Path) -> str:
    import hashlib

    return hashlib.sha256(str(folder.relative_to(project.runs)).encode()).hexdigest()[:24]


async def _ask(
    suite: PlannedSuite,
    targets: Mapping[str, Target | None],
    folder: Path,
    subject: str,
    connection: Connection,
    runner: Runner,
) -> list[Response]:
    resolved = suite.suite
    embedded = connection.profile.family == "embedded"
    responses: list[Response] = []
    with AppendLog(folder / "responses.jsonl") as log:
        for arm, target in targets.items():
            if target is None:
                samples = resolved.suite.samples
                responses += majority_responses(arm, resolved.items, resolved.majority or "", samples)
                continue
            requests = ArmRequests(
                arm,
                resolved.suite.request,
                resolved.arms[arm],
                model=target.model,
                identity=target.identity,
                samples=resolved.suite.samples,
                shots=resolved.shots.get(arm, ()),
            )

            def progress(done: int, total: int, arm: str = arm) -> None:
                runner.emit(Answered(subject=subject, suite=f"{suite.name}/{arm}", done=done, total=total))

            responses += await answer(
                resolved.items,
                requests,
                post=connection.post_chat,
                log=log,
                cache=runner.cache,
                concurrency=EMBEDDED_CONCURRENCY if embedded else HOSTED_CONCURRENCY,
                on_progress=progress,
                endpoint=runner.endpoint(connection),
            )
    return responses


def _write(
    suite: PlannedSuite,
    targets: Mapping[str, Target | None],
    folder: Path,
    responses: Sequence[Response],
    attempt: str | None,
) -> Scores:
    """Write the folder's files in their final form, then the seal.

    Raises ProviderError where too many answers are errors: the folder stays open, and the same command asks only for
    what is missing.
    """
    resolved = suite.suite
    ordered = in_order(responses, resolved.items, resolved.arms)
    grades = grade_responses(resolved, ordered)
    models = {arm: target.model if target else None for arm, target in targets.items()}
    scores = score(
        resolved,
        grades,
        eval_digest=suite.eval_digest,
        arms=list(targets),
        models=models,
        fingerprints=fingerprints_of(ordered),
    )
    scores = msgspec.structs.replace(scores, attempt=attempt)
    text = yaml.safe_dump({suite.name: to_dict(resolved)}, sort_keys=False, allow_unicode=True, width=120)
    write_atomic(folder / "suite.yaml", text)
    write_rows(folder / "responses.jsonl", ordered)
    write_rows(folder / "grades.jsonl", grades)
    write_atomic(folder / "scores.json", scores.to_json())
    for arm, result in scores.arms.items():
        if result.invalid:
            first = next((response.error for response in ordered if response.arm == arm and response.error), "unknown")
            raise ProviderError(
                "too_many_errors",
                f"{suite.name}: {result.errors} of {result.n} answers of {arm} are errors, the first: {first}",
                path=f"evals.{suite.name}.max_error_rate",
                fix="give the same command again: only the missing answers are asked for",
            )
    seal(folder)
    return scores
