"""What a job has left behind: events and checkpoints, newest first."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse

from ftspec.server.jobs import Jobs
from ftspec.server.models import Models
from ftspec.server.paging import after_index, check_query, list_answer, page_limit
from ftspec.server.problems import invalid
from ftspec.server.records import Record
from ftspec.wire import limits
from ftspec.wire.ids import derived_id

_EVENT = re.compile(r"([0-9]{1,6})-([1-9][0-9]{0,8})")


class History:
    """`GET …/{id}/events` and `GET …/{id}/checkpoints`."""

    def __init__(self, jobs: Jobs, models: Models) -> None:
        self.jobs, self.models = jobs, models

    async def events(self, request: Request) -> JSONResponse:
        """Events, newest first. A queued job has one, which the worker repeats as its first line."""
        check_query(request, ("limit", "after"))
        limit = page_limit(request, limits.PAGE, limits.EVENTS_PAGE_DEFAULT)
        job = self.jobs.find(request)
        events = self._read_events(job)
        start = events.after(request.query_params.get("after"))
        return JSONResponse(list_answer(events.newest_first(start), limit, lambda event: event))

    def _read_events(self, job: Record) -> "Events":
        """A worker that starts the job again empties the log, so the lines are those of one attempt."""
        path = self.jobs.state.jobs.folder(job["id"]) / "events.jsonl"
        attempt = self.jobs.supervisor.standing(job).get("attempts", 0)
        while True:
            lines = _lines(path)
            before, attempt = attempt, self.jobs.supervisor.standing(job).get("attempts", 0)
            if attempt == before:
                return Events(job, attempt, lines)

    async def checkpoints(self, request: Request) -> JSONResponse:
        """Checkpoints, newest first: one an epoch, all kept."""
        check_query(request, ("limit", "after"))
        limit = page_limit(request, limits.PAGE, limits.CHECKPOINTS_PAGE_DEFAULT)
        job = self.jobs.find(request)
        found = [self._checkpoint(job, listed) for listed in reversed(self.models.checkpoints(job))]
        start = after_index(request, [checkpoint["id"] for checkpoint in found])
        return JSONResponse(list_answer(found[start:], limit, lambda checkpoint: checkpoint))

    def _checkpoint(self, job: Record, listed: Any) -> dict[str, Any]:
        metrics = {"step": listed.step, **listed.metrics}
        return {
            "id": derived_id("ftckpt_", job["id"], listed.epoch),
            "object": "fine_tuning.job.checkpoint",
            "created_at": int(listed.weights.stat().st_mtime),
            "fine_tuned_model_checkpoint": listed.model,
            "fine_tuning_job_id": job["id"],
            "metrics": {name: value for name, value in metrics.items() if value is not None},
            "step_number": listed.step,
        }


def _lines(path: Path) -> list[bytes]:
    """Whole lines of a log; a torn last one is not there yet."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


class Events:
    """The events of a job: number 0 is its creation, number n line n of the worker's log (from 0).

    Ids are `ftevent-<job>-0` and `ftevent-<job>-<attempt>-<n>`: a second attempt's events are new ones.
    """

    def __init__(self, job: Record, attempt: int, lines: list[bytes]) -> None:
        self.job, self.attempt, self.lines = job, attempt, lines
        self.prefix = f"ftevent-{job['id'].removeprefix('ftjob-')}-"

    def after(self, identifier: str | None) -> int:
        """Number of the newest event of the page behind `identifier`; -1: none is left. Raises ApiError 400.

        Behind an event of an attempt that is over only the creation is left.
        """
        if identifier is None:
            return max(0, len(self.lines) - 1)
        if identifier == f"{self.prefix}0":
            return -1
        match = _EVENT.fullmatch(identifier.removeprefix(self.prefix))
        if match is None or not identifier.startswith(self.prefix):
            raise invalid(f"after={identifier!r} is not an event of {self.job['id']}.", "after")
        attempt, number = int(match[1]), int(match[2])
        if attempt > self.attempt or (attempt == self.attempt and number >= len(self.lines)):
            raise invalid(f"after={identifier!r} is not an event of {self.job['id']}.", "after")
        return number - 1 if attempt == self.attempt else 0

    def newest_first(self, start: int) -> Iterator[dict[str, Any]]:
        """Yield event `start` and all older ones."""
        for number in range(start, 0, -1):
            yield self._object(f"{self.attempt}-{number}", msgspec.json.decode(self.lines[number]))
        if start >= 0:
            message = f"Created fine-tuning job: {self.job['id']}"
            created = {"created_at": self.job["created_at"], "level": "info", "message": message, "type": "message"}
            yield self._object("0", created)

    def _object(self, number: str, event: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self.prefix + number,
            "object": "fine_tuning.job.event",
            "created_at": int(event["created_at"]),
            "level": event["level"],
            "message": event["message"],
            "type": event["type"],
            "data": event.get("data") or {},
        }
