"""A connection over the real server with the timed engine, at a pace that wastes no time."""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ftspec.providers.connect import Connection, connect
from ftspec.providers.jobs import TrainRequest, TrainResult, cancel, start, train
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
    settle=1.0,
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

    async def start(self, connection: Connection) -> str:
        return await start(
            connection, self.request(), attempt=self.attempt(), blobs=self.blobs, emit=self.events.append
        )

    async def cancel(self, connection: Connection, name: str = "001") -> str | None:
        return await cancel(connection, self.attempt(name))


class Weather:
    """ASGI middleware that misbehaves as hosts do. `choose(method, path)` names a fault for a request, or None.

    Standing faults (`standing`) change every answer of their kind: how a host is, not what happens to a call.
    """

    def __init__(
        self,
        app: Any,
        choose: Callable[[str, str], str | None] = lambda method, path: None,
        standing: tuple[str, ...] = (),
    ) -> None:
        self.app, self.choose, self.standing = app, choose, standing
        self.counts: dict[str, int] = {}
        self.born: dict[str, float] = {}
        self.late: list[tuple[Any, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        method, path = scope["method"], scope["path"].removeprefix("/v1")
        scope = {**scope, "headers": list(scope["headers"])}
        body = await self._request_body(scope, method, path, receive)
        fault = self.choose(method, path)
        self.counts[f"{method} {path}"] = self.counts.get(f"{method} {path}", 0) + 1
        if fault in SAID:
            status, headers, content = SAID[fault]
            await _answer(send, status, headers, content)
            return
        if fault == "late_commit":
            self.late.append((scope, body))
            await asyncio.sleep(3600)
        status, headers, content = await self._ask(scope, body)
        if method == "POST":
            await self._commit_late()
        if fault == "commit_500":
            await _answer(send, 500, {}, b'{"error": {"message": "after the commit", "type": "server_error"}}')
        elif fault == "commit_hang":
            await asyncio.sleep(3600)
        elif fault == "cut":
            await _start(send, status, {**headers, "content-length": str(len(content))})
            await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
            raise ConnectionResetError("cut in the body")
        else:
            await _answer(send, status, headers, self._changed(method, path, scope, content))

    async def _commit_late(self) -> None:
        """Commit what hung once another POST is made and not yet answered: an order, not a race of clocks."""
        late, self.late = self.late, []
        for scope, body in late:
            await self._ask(scope, body)

    async def _request_body(self, scope: Any, method: str, path: str, receive: Any) -> bytes:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if "no_idempotency" in self.standing:
            scope["headers"] = [(k, v) for k, v in scope["headers"] if k != b"idempotency-key"]
        if "filter_ignored" in self.standing:
            parts = scope["query_string"].decode().split("&")
            scope["query_string"] = "&".join(p for p in parts if "metadata" not in p).encode()
        if "after_ignored" in self.standing:
            parts = scope["query_string"].decode().split("&")
            scope["query_string"] = "&".join(p for p in parts if not p.startswith("after")).encode()
        if method == "POST" and path == "/fine_tuning/jobs" and "metadata_dropped" in self.standing:
            body = json.dumps({k: v for k, v in json.loads(body).items() if k != "metadata"}).encode()
            scope["headers"] = [(k, v) for k, v in scope["headers"] if k != b"content-length"]
        return body

    async def _ask(self, scope: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        status, headers, parts = 0, {}, []

        given = False

        async def receive() -> Any:
            nonlocal given
            if given:
                await asyncio.sleep(3600)
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = {k.decode(): v.decode() for k, v in message["headers"] if k != b"content-length"}
            else:
                parts.append(message.get("body", b""))

        await self.app(scope, receive, send)
        return status, headers, b"".join(parts)

    def _changed(self, method: str, path: str, scope: Any, content: bytes) -> bytes:
        if path.endswith("/content"):
            metrics = "plain_csv" in self.standing and "file-metrics" in path
            return base64.b64decode(content) if metrics else content
        try:
            value = json.loads(content)
        except ValueError:
            return content
        if method == "POST" and "id" in value:
            self.born[value["id"]] = time.monotonic()
        if isinstance(value.get("data"), list):
            self._change_list(value, path)
        elif value.get("object") == "fine_tuning.job":
            self._change_job(value)
        return json.dumps(value).encode()

    def _change_list(self, value: dict[str, Any], path: str) -> None:
        if "no_has_more" in self.standing:
            value.pop("has_more", None)
        if "always_more" in self.standing:
            value["has_more"] = True
        if "lag" in self.standing:
            now = time.monotonic()
            value["data"] = [i for i in value["data"] if now - self.born.get(i["id"], -9.0) > 0.03]
        if "other_event_ids" in self.standing and path.endswith("/events"):
            value["data"] = [{**i, "id": i["id"].replace("ftevent-", "ft-event-")} for i in value["data"]]
        for item in value["data"]:
            if item.get("object") == "fine_tuning.job":
                self._change_job(item)

    def _change_job(self, job: dict[str, Any]) -> None:
        if "null_error" in self.standing:
            job["error"] = {"code": None, "message": None, "param": None}
        if "null_hyperparameters" in self.standing:
            job["hyperparameters"] = None
        if "unknown_status" in self.standing and job["status"] == "running":
            job["status"] = "defragmenting"


SAID: dict[str, tuple[int, dict[str, str], bytes]] = {
    "503": (503, {}, b'{"error": {"message": "busy", "type": "server_error"}}'),
    "409": (409, {}, b'{"error": {"message": "conflict"}}'),
    "429": (429, {"retry-after-ms": "5"}, b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'),
    "429_200": (429, {"retry-after": "200"}, b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}'),
    "429_date": (
        429,
        {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"},
        b'{"error": {"message": "slow down", "code": "rate_limit_exceeded"}}',
    ),
    "html_502": (502, {"content-type": "text/html"}, b"<html><body>Bad gateway</body></html>"),
    "html_200": (200, {"content-type": "text/html"}, b"<html><body>Welcome</body></html>"),
    "error_200": (200, {}, b'{"error": {"message": "odd", "code": null}}'),
    "daily": (429, {}, b'{"error": {"message": "quota of 9 jobs a day", "code": "daily_rate_limit_exceeded"}}'),
    "401": (401, {}, b'{"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}'),
    "403": (403, {}, b'{"error": {"message": "Explore plan", "code": null}}'),
    "reused": (
        409,
        {"x-should-retry": "false"},
        b'{"error": {"message": "other body", "code": "idempotency_key_reused"}}',
    ),
    "400": (400, {}, b'{"error": {"message": "Invalid n_epochs", "param": "n_epochs", "code": "invalid_value"}}'),
    "413": (413, {}, b'{"error": {"message": "too large"}}'),
    "no_metadata": (400, {}, b'{"error": {"message": "Unknown parameter: metadata", "param": "metadata"}}'),
    "no_file": (400, {}, b'{"error": {"message": "file \'file-1\' does not exist", "param": "training_file"}}'),
    "not_ready": (400, {}, b'{"error": {"message": "file \'file-1\' is not ready", "param": "training_file"}}'),
    **{
        code: (429, {}, json.dumps({"error": {"message": code, "code": code}}).encode())
        for code in (
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
        )
    },
}


async def _start(send: Any, status: int, headers: dict[str, str]) -> None:
    full = {"content-type": "application/json"} | headers
    pairs = [(k.encode(), v.encode()) for k, v in full.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def _answer(send: Any, status: int, headers: dict[str, str], content: bytes) -> None:
    await _start(send, status, headers | {"content-length": str(len(content))})
    await send({"type": "http.response.body", "body": content})


@pytest.fixture
def weather() -> type[Weather]:
    return Weather


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
