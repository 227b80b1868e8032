"""What a job has left behind: events and checkpoints, newest first."""

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


class History:
    """`GET …/{id}/events` and `GET …/{id}/checkpoints`."""

    def __init__(self, jobs: Jobs, models: Models) -> None:
        self.jobs, self.models = jobs, models

    async def events(self, request: Request) -> JSONResponse:
        """Events, newest first. Event 0 is ours, number n is the worker's line n: ids never change."""
        check_query(request, ("limit", "after"))
        limit = page_limit(request, limits.PAGE, limits.EVENTS_PAGE_DEFAULT)
        job = self.jobs.find(request)
        self.jobs.supervisor.standing(job)  # relaunches a job that nobody else polls
        lines = _lines(self.jobs.state.jobs.folder(job["id"]) / "events.jsonl")
        start = _after_event(request, job, len(lines))
        return JSONResponse(list_answer(_numbered(job, lines, start), limit, lambda event: event))

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


def _prefix(job: Record) -> str:
    return f"ftevent-{job['id'].removeprefix('ftjob-')}-"


def _after_event(request: Request, job: Record, count: int) -> int:
    """The number of the newest event of the page."""
    after = request.query_params.get("after")
    if after is None:
        return count
    number = after.removeprefix(_prefix(job))
    if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number) <= count):
        raise invalid(f"after={after!r} is not an event of {job['id']}.", "after")
    return int(number) - 1


def _numbered(job: Record, lines: list[bytes], newest: int) -> Iterator[dict[str, Any]]:
    for number in range(newest, -1, -1):
        event = msgspec.json.decode(lines[number - 1]) if number else _created(job)
        yield {
            "id": f"{_prefix(job)}{number}",
            "object": "fine_tuning.job.event",
            "created_at": int(event["created_at"]),
            "level": event["level"],
            "message": event["message"],
            "type": event["type"],
            "data": event.get("data") or {},
        }


def _created(job: Record) -> dict[str, Any]:
    message = f"Created fine-tuning job: {job['id']}"
    return {"created_at": job["created_at"], "level": "info", "message": message, "type": "message"}
