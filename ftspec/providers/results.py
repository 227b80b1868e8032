"""What a finished job leaves behind: metrics, checkpoints, result file and weights, fetched while they exist."""

from dataclasses import dataclass, field
from typing import Any

from ftspec.providers.connect import Connection, Reply
from ftspec.providers.paging import items_of
from ftspec.spec.errors import DataError
from ftspec.spec.events import Emit, Notice
from ftspec.storage import BlobStore
from ftspec.wire.errors import BadAnswer
from ftspec.wire.responses import Checkpoint, Event, File, Job
from ftspec.wire.results_csv import ResultRow, parse_results

WEIGHTS = "weights"
_METRICS = {
    "train_loss": "train_loss",
    "train_mean_token_accuracy": "train_accuracy",
    "train_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_accuracy",
    "full_valid_loss": "full_valid_loss",
    "full_valid_mean_token_accuracy": "full_valid_accuracy",
}


@dataclass(frozen=True)
class Harvest:
    """Everything a job left, in plain values; `artifacts` maps a role to a blob's hex sha256."""

    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    results_csv: bytes | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, str] = field(default_factory=dict)


async def harvest(
    connection: Connection, job: Job, events: list[dict[str, Any]], *, blobs: BlobStore, subject: str, emit: Emit
) -> Harvest:
    """Fetch what a succeeded job lists. Raises CallFailed; a result file that cannot be read is told, not raised."""
    listed = await checkpoints_of(connection, job.id)
    csv_bytes, artifacts = await _result_files(connection, job, blobs)
    rows: list[ResultRow] = []
    if csv_bytes is not None:
        try:
            rows = parse_results(csv_bytes)
        except DataError as error:
            emit(Notice(level="warning", code=error.code, message=str(error), subject=subject))
    return Harvest(listed, csv_bytes, metrics_of(events, rows), artifacts)


async def checkpoints_of(connection: Connection, job_id: str) -> list[dict[str, Any]]:
    """Return the raw checkpoints, sorted by step: hosts list them in both orders."""

    async def fetch(client: Any, query: dict[str, Any]) -> Any:
        return await client.fine_tuning.jobs.checkpoints.with_raw_response.list(job_id, **query)

    found = [raw async for raw in items_of(connection, "listing checkpoints", fetch)]
    return sorted(found, key=lambda raw: Checkpoint.read(raw).step_number)


def metrics_of(events: list[dict[str, Any]], rows: list[ResultRow]) -> list[dict[str, Any]]:
    """Return one line a step and metric, in step order; events first, the result file for what they lack."""
    found: dict[tuple[int, str], float] = {}
    for raw in events:
        metrics = Event.read(raw).metrics
        if "step" in metrics:
            for name, value in metrics.items():
                if name in _METRICS:
                    found[int(metrics["step"]), _METRICS[name]] = value
    for row in rows:
        for name in dict.fromkeys(_METRICS.values()):
            if (value := getattr(row, name)) is not None:
                found.setdefault((row.step, name), value)
    return [{"step": step, "name": name, "value": found[step, name]} for step, name in sorted(found)]


async def _result_files(connection: Connection, job: Job, blobs: BlobStore) -> tuple[bytes | None, dict[str, str]]:
    """The metrics file raw, and the weights as a blob. Where files are weights alone, they stay at the host."""
    kind = connection.profile.results.files
    if kind == "weights" or not job.result_files:
        return None, {}
    csv_bytes = await content_of(connection, job.result_files[0])
    if kind == "csv":
        return csv_bytes, {}
    artifacts = {}
    for number, identifier in enumerate(job.result_files[1:]):
        content = await content_of(connection, identifier, exact=True)
        artifacts[WEIGHTS if number == 0 else f"{WEIGHTS}-{number + 1}"] = blobs.put_bytes(content)
    return csv_bytes, artifacts


async def content_of(connection: Connection, file_id: str, *, exact: bool = False) -> bytes:
    """Download a file; with `exact` it must have the size that the host says. Raises CallFailed."""
    size: int | None = None
    if exact:
        about = await connection.steady(
            "reading a file",
            lambda client: client.files.with_raw_response.retrieve(file_id),
            lambda reply: reply.read(File)[0],
        )
        size = about.bytes

    def whole(reply: Reply) -> bytes:
        if size is not None and len(reply.content) != size:
            raise BadAnswer("bad_answer", f"{len(reply.content)} of {size} bytes came")
        return reply.content

    return await connection.steady(
        "downloading a file",
        lambda client: client.files.with_raw_response.content(file_id),
        whole,
        timeout=connection.pace.download_timeout,
    )
