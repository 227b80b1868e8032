"""A connection over the real server with the timed engine, at a pace that wastes no time."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ftspec.providers.connect import Connection, connect
from ftspec.providers.jobs import TrainRequest, TrainResult, cancel, train
from ftspec.providers.pace import Pace
from ftspec.server.app import create_app
from ftspec.server.timed import TimedBases, TimedGenerator, TimedLauncher
from ftspec.spec.events import Event
from ftspec.spec.experiment import Provider
from ftspec.storage import BlobStore, read_log

FAST = Pace(
    poll_first=0.01,
    poll_last=0.05,
    looks=(0.01, 0.02, 0.04),
    backoff=0.005,
    backoff_last=0.02,
    longest_wait=2.0,
    call_timeout=5.0,
    post_timeout=0.3,
    upload_timeout=0.5,
    settle=0.2,
    warm_up=0.5,
    patience=20.0,
)


def training_rows(n: int = 12, seed: int = 0) -> bytes:
    lines = []
    for i in range(n):
        messages = [{"role": "user", "content": f"say {seed}-{i}"}, {"role": "assistant", "content": f"{i}"}]
        lines.append(json.dumps({"messages": messages}))
    return ("\n".join(lines) + "\n").encode()


@dataclass
class Place:
    """One checkout's folders, and the server's state beside them."""

    root: Path
    events: list[Event] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.root / "server"

    @property
    def blobs(self) -> BlobStore:
        return BlobStore(self.root / "store")

    def attempt(self, name: str = "001") -> Path:
        folder = self.root / "attempts" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def request(self, rows: bytes | None = None, **changes: Any) -> TrainRequest:
        content = training_rows() if rows is None else rows
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.root / f"train-{sha256[:8]}.jsonl"
        path.write_bytes(content)
        request = TrainRequest(
            subject="run",
            train_digest="sha256:" + "ab" * 32,
            attempt_id="abababababab#001",
            model="tiny",
            method="supervised",
            hyperparameters={"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": "auto"},
            seed=7,
            suffix="demo",
            metadata={"team": "blue"},
            train_file=path,
            train_sha256=sha256,
            valid_file=None,
            valid_sha256=None,
        )
        return replace(request, **changes)

    def journal(self, name: str = "001") -> list[dict[str, Any]]:
        return list(read_log(self.attempt(name) / "requests.jsonl"))

    def jobs(self) -> list[dict[str, Any]]:
        """What the server made, by its own files."""
        return [json.loads(path.read_bytes()) for path in (self.state / "jobs").glob("*/job.json")]

    def files(self) -> list[Path]:
        return list((self.state / "files").glob("*/file.json"))

    def statuses(self) -> list[str]:
        found = [path.with_name("state.json") for path in (self.state / "jobs").glob("*/job.json")]
        return sorted(json.loads(path.read_bytes())["status"] if path.exists() else "queued" for path in found)

    def posts(self, ending: str) -> int:
        """POSTs that reached the app, by its own access log."""
        log = read_log(self.state / "access.jsonl")
        return sum(line["event"] == "request" and line["path"].endswith(ending) for line in log)

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[Connection]:
        """Serve the state folder over the timed engine; `wrap` adds middleware, `profile` overrides facts."""
        seconds, wrap = options.get("seconds", 0.05), options.get("wrap")
        launcher = options.get("launcher") or TimedLauncher(lambda _: seconds, tick=0.01)
        app = create_app(self.state, launcher=launcher, generate=TimedGenerator(), bases=TimedBases())
        app.state.recover()
        outer = app if wrap is None else wrap(app)
        try:
            async with connect(
                Provider(),
                state=self.root / "unused",
                environ={},
                pace=options.get("pace", FAST),
                wrap=lambda embedded: outer,
            ) as connection:
                profile = connection.profile.model_copy(update=options.get("profile", {}))
                yield replace(connection, profile=profile)
        finally:
            await launcher.stop()
            await app.state.close()

    async def train(
        self, connection: Connection, request: TrainRequest | None = None, name: str = "001"
    ) -> TrainResult:
        return await train(
            connection,
            request or self.request(),
            attempt=self.attempt(name),
            blobs=self.blobs,
            emit=self.events.append,
        )

    async def cancel(self, connection: Connection, name: str = "001") -> str | None:
        return await cancel(connection, self.attempt(name))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def play(place: Place) -> Callable[..., Any]:
    """Run a coroutine function of (place, connection) against a fresh server."""

    def run(scenario: Callable[[Place, Connection], Awaitable[Any]], **options: Any) -> Any:
        async def main() -> Any:
            async with asyncio.timeout(60), place.open(**options) as connection:
                return await scenario(place, connection)

        return asyncio.run(main())

    return run


@pytest.fixture
def fast() -> Pace:
    return FAST


@pytest.fixture
def rows() -> Callable[..., bytes]:
    return training_rows
