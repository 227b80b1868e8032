"""Ending a job, and when a parked one may be tried again."""

import time
from typing import Any

from ftspec.providers.connect import Connection
from ftspec.providers.failures import CallFailed
from ftspec.providers.follow import get_job, read_job, status_of
from ftspec.providers.paging import items_of
from ftspec.spec.errors import ProviderError
from ftspec.wire.errors import ErrorClass
from ftspec.wire.responses import Job

_DAY = 86_400.0


async def cancel_job(connection: Connection, job_id: str) -> str:
    """Cancel a job; one that is over already is no error. Return its status afterwards."""
    try:
        job, _ = await connection.steady(
            "cancelling the job", lambda client: client.fine_tuning.jobs.with_raw_response.cancel(job_id), read_job
        )
    except CallFailed as error:
        if error.error_class is not ErrorClass.DATA:
            raise
        job, _ = await get_job(connection, job_id)
    return status_of(connection, job)


async def parked_until(connection: Connection, error: CallFailed) -> CallFailed:
    """Say when a daily limit lets the next job in: a day after the oldest of the last 24 hours."""
    if error.error_class is not ErrorClass.PARK:
        return error

    async def fetch(client: Any, query: dict[str, Any]) -> Any:
        return await client.fine_tuning.jobs.with_raw_response.list(**query)

    since, oldest = time.time() - _DAY, None
    try:
        async for raw in items_of(connection, "listing jobs", fetch):
            created = Job.read(raw).created_at
            if created is None or created < since:
                break
            oldest = created
    except ProviderError:
        return error
    if oldest is None:
        return error
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(oldest + _DAY))
    fix = f"the next slot opens about {when}: give the same command then"
    return CallFailed(error.code, error.problems[0].message, failure=error.failure, fix=fix)
