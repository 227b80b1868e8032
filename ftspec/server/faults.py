"""A host that misbehaves on purpose: ASGI middleware around the app, for tests of everything that talks to a host.

Faults hit single requests, by a seeded draw or by a script; quirks hold for the whole life of a server.
"""

import asyncio
import json
import random
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ftspec.server.quirks import Quirk, bent_body, bent_scope, without_metadata
from ftspec.wire.errors import error_body

HANG_SECONDS = 3600.0
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class Fault(StrEnum):
    """What may happen to one request. Those from COMMIT_500 to LATE_COMMIT reach the app."""

    REJECT_503 = "reject_503"
    CONFLICT_409 = "conflict_409"
    RATE_LIMIT_1 = "rate_limit_1"  # retry-after: 1
    RATE_LIMIT_200 = "rate_limit_200"  # longer than the SDK waits
    RATE_LIMIT_DATE = "rate_limit_date"  # retry-after is a date
    QUOTA = "insufficient_quota"
    BILLING_LIMIT = "billing_hard_limit_reached"
    BILLING_INACTIVE = "billing_not_active"
    ORGANIZATION_LIMIT = "organization_spend_limit_exceeded"
    PROJECT_LIMIT = "project_spend_limit_exceeded"
    DAILY_LIMIT = "daily_rate_limit_exceeded"
    HTML_502 = "html_502"
    HTML_200 = "html_200"
    ERROR_200 = "error_200"  # an error body with a success status
    COMMIT_500 = "commit_500"
    COMMIT_HANG = "commit_hang"
    CUT_BODY = "cut_body"
    LATE_COMMIT = "late_commit"  # hangs, and commits after the client has gone


TRANSIENT = (
    Fault.REJECT_503,
    Fault.CONFLICT_409,
    Fault.RATE_LIMIT_1,
    Fault.HTML_502,
    Fault.HTML_200,
    Fault.ERROR_200,
    Fault.COMMIT_500,
    Fault.COMMIT_HANG,
    Fault.CUT_BODY,
    Fault.LATE_COMMIT,
)
_HUMAN = (
    Fault.QUOTA,
    Fault.BILLING_LIMIT,
    Fault.BILLING_INACTIVE,
    Fault.ORGANIZATION_LIMIT,
    Fault.PROJECT_LIMIT,
    Fault.DAILY_LIMIT,
)


@dataclass
class FaultPlan:
    """Which requests are hit: those whose `METHOD path` matches `match`.

    `script` is used up first, one entry a matching request (None: let it pass); then each is hit with probability
    `rate` by one of `faults`, drawn from `seed`. `lag` is seconds, for LISTING_LAGS and LATE_COMMIT.
    """

    quirks: frozenset[Quirk] = frozenset()
    faults: tuple[Fault, ...] = TRANSIENT
    rate: float = 0.0
    seed: int = 0
    script: list[Fault | None] = field(default_factory=list)
    match: str = r"^POST .*/(files|fine_tuning/jobs)$"
    lag: float = 5.0
    hits: list[tuple[str, Fault]] = field(default_factory=list)  # what happened, in order

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def draw(self, request: str) -> Fault | None:
        """The fault of this request, `METHOD path`."""
        if not re.search(self.match, request):
            return None
        if self.script:
            fault = self.script.pop(0)
        else:
            fault = self._random.choice(self.faults) if self._random.random() < self.rate else None
        if fault is not None:
            self.hits.append((request, fault))
        return fault


class CutConnectionError(Exception):
    """Raised into the server after half a body, so that it closes the connection."""


class FaultyApp:
    """The middleware: quirks around faults around the app."""

    def __init__(self, app: ASGIApp, plan: FaultPlan) -> None:
        self.app, self.plan = app, plan
        self.late: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, well or badly."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        fault = self.plan.draw(f"{scope['method']} {scope['path']}")
        if fault is None:
            answer = await self._ask(scope, receive)
            await answer.send(send)
        elif fault in (Fault.COMMIT_500, Fault.COMMIT_HANG, Fault.CUT_BODY, Fault.LATE_COMMIT):
            await self._after_commit(fault, scope, receive, send)
        else:
            await _drain(receive)
            await _refusal(fault).send(send)

    async def _after_commit(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault is Fault.LATE_COMMIT:
            body = await _drain(receive)
            task = asyncio.get_running_loop().create_task(self._late(scope, body))
            self.late.add(task)
            task.add_done_callback(self.late.discard)
            await asyncio.sleep(HANG_SECONDS)
            return
        answer = await self._ask(scope, receive)
        if fault is Fault.COMMIT_500:
            await _json(500, error_body("The server had an error.", code="server_error", type="server_error")).send(
                send
            )
        elif fault is Fault.COMMIT_HANG:
            await asyncio.sleep(HANG_SECONDS)
        else:
            await answer.send(send, share=0.5)
            raise CutConnectionError

    async def _late(self, scope: Scope, body: bytes) -> None:
        await asyncio.sleep(self.plan.lag)
        await self._ask(scope, _replay(body))

    async def settle(self) -> None:
        """Wait until all late commits are made."""
        await asyncio.gather(*self.late)

    async def _ask(self, scope: Scope, receive: Receive) -> "_Answer":
        """What the app answers, whole, with the plan's quirks."""
        quirks = self.plan.quirks
        if not quirks:
            return await _collect(self.app, scope, receive)
        if Quirk.METADATA_UNSUPPORTED in quirks and scope["method"] == "POST" and scope["path"].endswith("/jobs"):
            receive = _replay(without_metadata(await _drain(receive)))
        answer = await _collect(self.app, bent_scope(scope, quirks), receive)
        if answer.status != 200:
            return answer
        return answer.with_body(bent_body(scope, answer.type, answer.body, quirks, self.plan.lag))


@dataclass(frozen=True)
class _Answer:
    """A whole answer, held back."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def type(self) -> str:
        return dict(self.headers).get(b"content-type", b"").decode("latin-1")

    def with_body(self, body: bytes) -> "_Answer":
        headers = MutableHeaders(raw=list(self.headers))
        headers["content-length"] = str(len(body))
        return _Answer(self.status, tuple(headers.raw), body)

    async def send(self, send: Send, *, share: float = 1.0) -> None:
        """Send the answer, or with `share` below 1 only the first part of its body."""
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        whole = share >= 1
        body = self.body if whole else self.body[: int(len(self.body) * share)]
        await send({"type": "http.response.body", "body": body, "more_body": not whole})


async def _collect(app: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope, receive: Receive) -> _Answer:
    start: Message = {}
    parts: list[bytes] = []

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(scope, receive, keep)
    return _Answer(start["status"], tuple(start.get("headers", ())), b"".join(parts))


async def _drain(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(body: bytes) -> Receive:
    messages: Iterable[Message] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(iter(messages), {"type": "http.disconnect"})

    return receive


def _json(status: int, body: Mapping[str, Any], **headers: str) -> _Answer:
    content = json.dumps(body).encode()
    names = {"content-type": "application/json", "content-length": str(len(content)), **headers}
    return _Answer(status, tuple((k.replace("_", "-").encode(), v.encode()) for k, v in names.items()), content)


def _refusal(fault: Fault) -> _Answer:
    """The answer to a request that never reaches the app."""
    if fault in (Fault.HTML_502, Fault.HTML_200):
        headers = ((b"content-type", b"text/html"), (b"content-length", str(len(HTML)).encode()))
        return _Answer(502 if fault is Fault.HTML_502 else 200, headers, HTML)
    if fault is Fault.ERROR_200:
        return _json(200, error_body("Internal error.", code="server_error", type="server_error"))
    if fault is Fault.REJECT_503:
        return _json(503, error_body("The server is overloaded.", code=None, type="server_error"))
    if fault is Fault.CONFLICT_409:
        return _json(409, error_body("Another request is in the way.", code=None))
    if fault in _HUMAN:
        return _json(429, error_body(f"Refused: {fault}.", code=fault.value, type="insufficient_quota"))
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 2))
    waits = {Fault.RATE_LIMIT_1: "1", Fault.RATE_LIMIT_200: "200", Fault.RATE_LIMIT_DATE: later}
    body = error_body("Rate limit reached.", code="rate_limit_exceeded", type="rate_limit")
    return _json(429, body, retry_after=waits[fault])
