"""The state folder of a server, and the objects every endpoint needs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ftspec.server.problems import ApiError
from ftspec.server.records import Records
from ftspec.storage import FileLock

LOCK_WAIT = 30.0


class Launcher(Protocol):
    """Starts the training of a job; returns at once, and does nothing where the job already has a worker."""

    def launch(self, job_dir: Path) -> None:
        """Start a worker on this job folder, or leave it queued where all slots are taken."""
        ...


class Generator(Protocol):
    """Answers chat requests (one JSON object in, one out)."""

    async def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return `choices`, `prompt_tokens` and `completion_tokens`, or `error`."""
        ...

    async def aclose(self) -> None:
        """Free what it holds; a later request may start it again."""
        ...


class Base(Protocol):
    """A base model as its engine names it."""

    @property
    def name(self) -> str:
        """Without alias."""
        ...

    @property
    def digest(self) -> str:
        """Of the weights."""
        ...


class Bases(Protocol):
    """The base models of an engine."""

    def names(self) -> tuple[str, ...]:
        """All names that resolve, aliases included."""
        ...

    def resolve(self, name: str) -> Base:
        """Return the base. Raises FtspecError (`unknown_model`)."""
        ...


@dataclass
class State:
    """Where files and jobs lie."""

    root: Path
    files: Records = field(init=False)
    jobs: Records = field(init=False)

    def __post_init__(self) -> None:
        self.root = self.root.absolute()
        self.files = Records(self.root / "files", "file.json")
        self.jobs = Records(self.root / "jobs", "job.json")

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Hold a lock against other processes on this folder, for the instant between a check and its commit.

        The body must not await: a cancelled request would then stop between the two.
        """
        lock = FileLock(self.root / f"{name}.lock")
        if not lock.acquire(timeout=LOCK_WAIT, poll=0.005):
            raise ApiError(503, f"Another process holds {name}.lock for too long.", code="server_busy")
        try:
            yield
        finally:
            lock.release()
