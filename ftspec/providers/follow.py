"""Following a job to its end: polls that slow down, every event once, and what of it is announced."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ftspec.providers.connect import Connection, Reply
from ftspec.providers.failures import CallFailed
from ftspec.providers.paging import PagingLoop, items_of
from ftspec.spec.errors import ProviderError
from ftspec.spec.events import Emit, JobStatus, Notice, TrainStep
from ftspec.wire.errors import ErrorClass
from ftspec.wire.responses import KNOWN_STATUSES, TERMINAL, Event, Job


def read_job(reply: Reply) -> tuple[Job, dict[str, Any]]:
    """Read a job answer. Raises BadAnswer."""
    return reply.read(Job)


async def get_job(connection: Connection, job_id: str) -> tuple[Job, dict[str, Any]]:
    """Ask for a job. Raises CallFailed."""
    return await connection.steady(
        "reading the job", lambda client: client.fine_tuning.jobs.with_raw_response.retrieve(job_id), read_job
    )


def status_of(connection: Connection, job: Job) -> str:
    """The API's word for the host's word; a word that nobody knows stays as it is and is not terminal."""
    return connection.profile.status_map.get(job.status, job.status)


@dataclass
class EventTail:
    """The events of a job: `read` announces new ones while it runs, `read_all` gives the whole story at its end."""

    connection: Connection
    job_id: str
    subject: str
    emit: Emit
    events: list[dict[str, Any]] = field(default_factory=list)
    _seen: set[str] = field(default_factory=set)
    _looping: bool = False

    async def read(self) -> int:
        """Fetch and announce what is new; return how many events there were."""
        return await self._fetch(whole=False)

    async def read_all(self) -> None:
        """Fetch everything once more, oldest first: a job that was started again on the host has a new story."""
        await self._fetch(whole=True)

    async def _fetch(self, *, whole: bool) -> int:
        new: list[dict[str, Any]] = []
        complete = True
        try:
            async for raw in items_of(self.connection, "reading events", self._page):
                if not whole and _mark(raw) in self._seen:
                    break
                new.append(raw)
        except PagingLoop as error:
            complete = False
            self._tell_loop(error)
        new.reverse()
        fresh = [raw for raw in new if _mark(raw) not in self._seen]
        self.events = new if whole and complete else self.events + fresh
        for raw in fresh:
            self._seen.add(_mark(raw))
            self._announce(raw)
        return len(fresh)

    async def _page(self, client: Any, query: dict[str, Any]) -> Any:
        return await client.fine_tuning.jobs.with_raw_response.list_events(self.job_id, **query)

    def _announce(self, raw: dict[str, Any]) -> None:
        event = Event.read(raw)
        metrics = event.metrics
        if "step" in metrics:
            step = int(metrics["step"])
            self.emit(
                TrainStep(
                    subject=self.subject,
                    step=step,
                    total_steps=int(metrics.get("total_steps", 0)),
                    train_loss=metrics.get("train_loss"),
                    valid_loss=metrics.get("full_valid_loss", metrics.get("valid_loss")),
                )
            )
        elif event.level in ("warn", "warning", "error"):
            level: Literal["warning", "error"] = "error" if event.level == "error" else "warning"
            self.emit(Notice(level=level, code="host_event", message=event.message, subject=self.subject))

    def _tell_loop(self, error: PagingLoop) -> None:
        """A host that cannot page its events costs us old events, not the training."""
        if not self._looping:
            self.emit(Notice(level="warning", code="paging_loop", message=str(error), subject=self.subject))
        self._looping = True


def _mark(raw: dict[str, Any]) -> str:
    """What makes an event the same: a server that starts a job again may number its events anew."""
    return f"{raw['id']} {raw.get('created_at')} {raw.get('message')}"


async def follow(
    connection: Connection,
    job_id: str,
    *,
    subject: str,
    emit: Emit,
    while_settling: Callable[[], Awaitable[None]],
) -> tuple[Job, dict[str, Any], EventTail]:
    """Poll until the job is over; return it, its raw JSON and its events. `while_settling` runs at first polls.

    Raises ProviderError `no_progress` when nothing new was seen for `pace.patience` seconds, CallFailed when the host
    stays unreachable as long: the job goes on, and the same command finds it again.
    """
    pace = connection.pace
    tail = EventTail(connection, job_id, subject, emit)
    status, wait = "", pace.poll_first
    started = quiet_since = time.monotonic()
    while True:
        news = False
        try:
            job, raw = await get_job(connection, job_id)
            now = status_of(connection, job)
            if now in TERMINAL:
                await tail.read_all()
            if now != status:
                news, status, wait = True, now, pace.poll_first
                emit(JobStatus(subject=subject, status=now))
                if now not in KNOWN_STATUSES:
                    emit(_unknown_status(connection, now, subject))
            if now in TERMINAL:
                return job, raw, tail
            news = (await tail.read()) > 0 or news
            if time.monotonic() - started < pace.settle:
                await while_settling()
        except CallFailed as error:
            settling = error.error_class is ErrorClass.MISSING and time.monotonic() - started < pace.settle
            if not settling and error.error_class is not ErrorClass.TRANSIENT:
                raise
            if time.monotonic() - quiet_since > pace.patience:
                raise
        if news:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since > pace.patience:
            raise ProviderError(
                "no_progress",
                f"job {job_id} is {status or 'silent'} and has shown nothing new for {pace.patience:.0f} s",
                fix="it was not cancelled: give the same command again to go on waiting",
            )
        await asyncio.sleep(wait * random.uniform(0.8, 1.2))
        wait = min(wait * pace.poll_growth, pace.poll_last)


def _unknown_status(connection: Connection, status: str, subject: str) -> Notice:
    message = f"{connection.profile.title} calls the job {status!r}, which is not a word of the API; still waiting"
    return Notice(level="warning", code="unknown_status", message=message, subject=subject)
