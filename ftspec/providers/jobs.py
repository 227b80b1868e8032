"""One training job at a provider, safe against a crash at any point: the same call finds the job it began.

A job is named by a key that stands in its metadata (and, marked by eight characters, in its suffix). The attempt's
journal is on disk before each POST, and after an ambiguous failure the job is looked for before another POST.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ftspec.providers.body import ATTEMPT, KEY, TRAIN, guard, job_body, normalised_sha256
from ftspec.providers.connect import Connection
from ftspec.providers.control import cancel_job, parked_until
from ftspec.providers.creation import create_once
from ftspec.providers.failures import CallFailed, lines_named
from ftspec.providers.files import ensure_file, forget, locked
from ftspec.providers.find import Finder, Found
from ftspec.providers.follow import follow, get_job, read_job, status_of
from ftspec.providers.journal import Journal, open_journal, read_intent
from ftspec.providers.results import Harvest, harvest
from ftspec.spec.errors import SpecError
from ftspec.spec.events import Emit, JobCreated, Notice
from ftspec.storage import BlobStore
from ftspec.wire.errors import ErrorClass
from ftspec.wire.responses import TERMINAL, Job

_TYPED = ("model", "training_file", "validation_file", "method", "hyperparameters", "seed", "suffix", "metadata")


@dataclass(frozen=True)
class TrainRequest:
    """What to train. `hyperparameters` holds only what is set, `auto` kept; `subject` labels the events."""

    subject: str
    train_digest: str
    attempt_id: str
    model: str
    method: str
    hyperparameters: dict[str, Any]
    seed: int
    suffix: str | None
    metadata: dict[str, str]
    train_file: Path
    train_sha256: str
    valid_file: Path | None
    valid_sha256: str | None


@dataclass(frozen=True)
class TrainResult:
    """How a job ended. Events are raw and oldest first, checkpoints raw and by step; `artifacts` map role to blob.

    `error` has code, message, param and `lines`: the training rows, counted from 1, that the host's message names.
    """

    status: Literal["succeeded", "failed", "cancelled"]
    job: str
    model: str | None
    resolved: dict[str, Any]
    trained_tokens: int | None
    error: dict[str, Any] | None
    events: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    checkpoints: list[dict[str, Any]]
    results_csv: bytes | None
    artifacts: dict[str, str]
    weights_digest: str | None
    fingerprint: str | None
    seconds: float


async def train(
    connection: Connection, request: TrainRequest, *, attempt: Path, blobs: BlobStore, emit: Emit
) -> TrainResult:
    """Start the attempt's job, or find the one it began, follow it and fetch what it left.

    Raises CallFailed (a ProviderError, exit code by its class), ProviderError, SpecError for a body that the guard
    rails refuse, DataError for altered files. A cancelled call leaves the job running: the same call adopts it.
    """
    async with _opened(connection, request, attempt, blobs, emit) as training:
        return await training.run()


async def start(connection: Connection, request: TrainRequest, *, attempt: Path, blobs: BlobStore, emit: Emit) -> str:
    """Start the attempt's job, or find it, and return its id without following it; `train` adopts it later.

    Raises as `train`.
    """
    async with _opened(connection, request, attempt, blobs, emit) as training:
        job, _ = await training.begin()
        return job.id


@asynccontextmanager
async def _opened(
    connection: Connection, request: TrainRequest, attempt: Path, blobs: BlobStore, emit: Emit
) -> AsyncIterator["_Training"]:
    """The attempt in this process alone, its journal open."""
    mark = hashlib.sha256(str(attempt.resolve()).encode()).hexdigest()[:32]
    async with locked(blobs.root / "locks" / f"attempt-{mark}.lock"):
        journal = open_journal(attempt, connection, train_digest=request.train_digest, attempt_id=request.attempt_id)
        try:
            yield _Training(connection, request, journal, blobs, emit)
        finally:
            journal.close()


class _Training:
    """One attempt in hand."""

    def __init__(
        self, connection: Connection, request: TrainRequest, journal: Journal, blobs: BlobStore, emit: Emit
    ) -> None:
        self.connection, self.request, self.journal = connection, request, journal
        self.blobs, self.emit = blobs, emit
        self.finder = Finder(connection, journal)
        self.started = time.monotonic()
        self.told: set[str] = set()

    async def begin(self) -> tuple[Job, bool]:
        """The job, and whether it was found rather than made now."""
        job, adopted = await self._ensure_job()
        self.emit(JobCreated(subject=self.request.subject, job=job.id, adopted=adopted))
        return job, adopted

    async def run(self) -> TrainResult:
        job, adopted = await self.begin()
        subject = self.request.subject

        async def end_duplicates() -> None:
            await self._end_duplicates(job.id)

        ended, raw, tail = await follow(
            self.connection, job.id, subject=subject, emit=self.emit, while_settling=end_duplicates
        )
        await end_duplicates()
        left = Harvest()
        if status_of(self.connection, ended) == "succeeded":
            left = await harvest(self.connection, ended, tail.events, blobs=self.blobs, subject=subject, emit=self.emit)
            if ended.fine_tuned_model:
                self.connection.expect(ended.fine_tuned_model)
        self.journal.append("ended", job=job.id, status=ended.status, body=raw)
        return self._result(ended, raw, tail.events, left, adopted)

    def _result(
        self, job: Job, raw: dict[str, Any], events: list[dict[str, Any]], left: Harvest, adopted: bool
    ) -> TrainResult:
        status = status_of(self.connection, job)
        assert status in TERMINAL  # `follow` returns at these alone
        error = None
        if status == "failed":
            error = {"code": None, "message": None, "param": None} | (job.error.model_dump() if job.error else {})
            error["lines"] = lines_named(error["message"] or "")
        seconds = time.monotonic() - self.started
        if adopted and job.finished_at is not None and job.created_at is not None:
            seconds = float(max(0, job.finished_at - job.created_at))
        evidence = self.connection.evidence(job.id, raw)
        return TrainResult(
            status=status,  # type: ignore[arg-type]
            job=job.id,
            model=job.fine_tuned_model,
            resolved=job.hyperparameters,
            trained_tokens=job.trained_tokens,
            error=error,
            events=events,
            metrics=left.metrics,
            checkpoints=left.checkpoints,
            results_csv=left.results_csv,
            artifacts=left.artifacts,
            weights_digest=evidence.get("weights_digest"),
            fingerprint=evidence.get("fingerprint"),
            seconds=seconds,
        )

    async def _ensure_job(self) -> tuple[Job, bool]:
        """The attempt's job: the one on file, one that is found by its key, or a new one."""
        known = self.journal.of("job")
        if known.id is not None:
            try:
                return (await get_job(self.connection, known.id))[0], True
            except CallFailed as error:
                # Our own server's state may be deleted by hand; a 404 of a host may be a key of another project.
                if error.error_class is not ErrorClass.MISSING or not self.connection.profile.address.in_process:
                    raise
                self.journal.lost("job")
        elif known.doubtful and (found := await self.finder.best()) is not None:
            self.journal.answer("job", found[0].id, found[1], adopted=True)
            return found[0], True
        try:
            return await self._create()
        except CallFailed as error:
            if not self._lost_file(error):
                raise await parked_until(self.connection, error) from error
            return await self._create()

    async def _create(self) -> tuple[Job, bool]:
        body, normalised = await self._body()

        async def post() -> Found:
            return await self._post(body, normalised)

        doubt = self.journal.of("job").doubtful
        created = await create_once(self.connection, self.finder.best, post, doubt=doubt)
        job, raw = created.thing
        self.journal.answer("job", job.id, raw, adopted=created.adopted)
        return job, created.adopted

    async def _body(self) -> tuple[dict[str, Any], str]:
        """The final body with uploaded files, and its normalised digest. Raises SpecError by the guard rails."""
        request, ids = self.request, dict[str, str]()
        for role, path, sha256 in self._files():
            ids[role] = await ensure_file(
                self.connection, path, sha256, role=role, journal=self.journal, store=self.blobs.root
            )
        body = job_body(
            self.connection.profile,
            model=request.model,
            method=request.method,
            hyperparameters=request.hyperparameters,
            seed=request.seed,
            suffix=request.suffix,
            metadata=request.metadata,
            training_file=ids["train"],
            validation_file=ids.get("valid"),
            identity={KEY: self.journal.key, ATTEMPT: request.attempt_id, TRAIN: request.train_digest},
        )
        if errors := [problem for problem in guard(self.connection.profile, body) if problem.severity == "error"]:
            raise SpecError.many(errors)
        return body, normalised_sha256(body, {ids[role]: sha256 for role, _, sha256 in self._files()})

    def _files(self) -> list[tuple[str, Path, str]]:
        request = self.request
        files = [("train", request.train_file, request.train_sha256)]
        if request.valid_file is not None and request.valid_sha256 is not None:
            files.append(("valid", request.valid_file, request.valid_sha256))
        return files

    async def _post(self, body: dict[str, Any], normalised: str) -> Found:
        """Send the create call once. A host that refuses metadata gets the body without, if the profile is unsure."""
        if self.journal.dropped_metadata:
            body = {key: value for key, value in body.items() if key != "metadata"}
        digests = {"sha256": _sha256(body), "normalised_sha256": normalised}
        self.journal.request("job", "/fine_tuning/jobs", body, key=self.journal.key, **digests)
        headers = {"Idempotency-Key": self.journal.key}
        typed = {key: value for key, value in body.items() if key in _TYPED}
        extra = {key: value for key, value in body.items() if key not in _TYPED}

        async def send(client: Any) -> Any:
            create = client.fine_tuning.jobs.with_raw_response.create
            return await create(**typed, extra_body=extra or None, extra_headers=headers)

        try:
            timeout = self.connection.pace.post_timeout
            return await self.connection.post_once("creating the job", send, read_job, timeout=timeout)
        except CallFailed as error:
            self.journal.failed("job", error.failure)
            if "metadata" not in body or not self._metadata_refused(error):
                raise
            self.journal.without_metadata(error.failure.message)
            return await self._post(body, normalised)

    def _metadata_refused(self, error: CallFailed) -> bool:
        if self.connection.profile.job.metadata == "yes" or error.error_class is not ErrorClass.DATA:
            return False
        return "metadata" in (error.failure.param or "") or "metadata" in error.failure.message.lower()

    def _lost_file(self, error: CallFailed) -> bool:
        """Whether the create call failed on a file that the host no longer has; it must then be uploaded again."""
        failure = error.failure
        if error.error_class is not ErrorClass.MISSING or "file" not in f"{failure.code} {failure.message}":
            return False
        for role, path, _ in self._files():
            forget(self.connection, path, self.blobs.root)
            self.journal.lost(f"file:{role}")
        return True

    async def _end_duplicates(self, kept: str) -> None:
        """A POST that timed out may commit late: cancel what came besides the job that is followed."""
        known = self.journal.of("job")
        if not known.ambiguous and known.posts < 2:
            return
        for job, _ in await self.finder.all():
            if job.id == kept or job.id in self.told:
                continue
            self.told.add(job.id)
            status = status_of(self.connection, job)
            if status not in TERMINAL:
                status = await cancel_job(self.connection, job.id)
            self.journal.append("duplicate", id=job.id, kept=kept, status=status)
            message = f"the host made the job twice; kept {kept}, the other is {job.id}, {status}"
            self.emit(Notice(level="warning", code="duplicate_job", message=message, subject=self.request.subject))


def _sha256(body: dict[str, Any]) -> str:
    import rfc8785

    return hashlib.sha256(rfc8785.dumps(body)).hexdigest()


async def cancel(connection: Connection, attempt: Path) -> str | None:
    """Cancel the job that an attempt began; return its status, None where there is none.

    Finds it by its key where no id is on file. A call of `train` that follows the job sees it end. Raises CallFailed.
    """
    intent = read_intent(attempt)
    if intent is None:
        return None
    journal = open_journal(attempt, connection, train_digest=intent["train_digest"], attempt_id=intent["attempt"])
    try:
        identifier = journal.of("job").id
        if identifier is None and journal.of("job").doubtful:
            found = await Finder(connection, journal).best()
            identifier = found[0].id if found else None
        if identifier is None:
            return None
        status = await cancel_job(connection, identifier)
        journal.append("cancel", id=identifier, status=status)
        return status
    finally:
        journal.close()
