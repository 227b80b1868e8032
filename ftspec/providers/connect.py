"""One client for every provider. The only module that imports the `openai` SDK, and only when something is opened.

The embedded provider is the same client over an ASGI app in this process, without a port.
"""

import asyncio
import hashlib
import json
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ftspec.providers.address import base_url_of, key_of, public_url
from ftspec.providers.failures import CallFailed, Failure, call_failed
from ftspec.providers.pace import Pace, pace_for
from ftspec.providers.profiles import load_profile
from ftspec.spec.experiment import Provider
from ftspec.spec.profile import Profile
from ftspec.storage import read_json
from ftspec.wire.errors import BadAnswer, ErrorClass, ExceptionKind, read_error
from ftspec.wire.responses import Answer

if TYPE_CHECKING:
    import openai
    from starlette.types import ASGIApp

_EVIDENCE = ("weights_digest", "fingerprint")
EMBEDDED_URL = "http://embedded/v1"
Read = TypeVar("Read", bound=Answer)
Taken = TypeVar("Taken")
Send = Callable[["openai.AsyncOpenAI"], Awaitable[Any]]


@dataclass(frozen=True)
class Reply:
    """A whole answer with a success status."""

    status: int
    content: bytes

    def json(self) -> Any:
        """Return the decoded body. Raises BadAnswer for anything but JSON."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise BadAnswer("bad_answer", f"the answer is not JSON: {self.content[:60]!r}") from error

    def read(self, kind: type[Read]) -> tuple[Read, dict[str, Any]]:
        """Return the answer as an object of the wire, and its raw JSON. Raises BadAnswer."""
        raw = self.json()
        return kind.read(raw), raw


@dataclass
class Connection:
    """An open provider. `identity` is base URL and project, without secrets: where files and jobs belong to."""

    profile: Profile
    client: "openai.AsyncOpenAI"
    identity: str
    base_url: str
    project: str | None
    pace: Pace
    _once: "openai.AsyncOpenAI" = field(repr=False, kw_only=True)
    _fresh: dict[str, float] = field(default_factory=dict, repr=False)
    _state: Path | None = None

    async def steady(
        self, what: str, send: Send, read: Callable[[Reply], Taken], *, timeout: float | None = None
    ) -> Taken:
        """Ask for something that may be asked again, with the SDK's retries and our own, and read the answer.

        An answer of the wrong kind is asked for again too. Raises CallFailed when it stays unreachable.
        """
        for tried in range(self.pace.retries):
            try:
                return await self._guarded(what, self.client, send, read, timeout or self.pace.call_timeout)
            except CallFailed as error:
                if error.error_class is not ErrorClass.TRANSIENT or tried == self.pace.retries - 1:
                    raise
                await self.back_off(tried, error)
        raise AssertionError("unreachable")

    async def post_once(self, what: str, send: Send, read: Callable[[Reply], Taken], *, timeout: float) -> Taken:
        """Send exactly one request. Raises CallFailed, whose `failure.ambiguous` says whether it may be committed."""
        return await self._guarded(what, self._once, send, read, timeout)

    async def back_off(self, tried: int, error: CallFailed) -> None:
        """Wait before the next try, as long as the host asks. Raises `error` where it asks for too long."""
        wait = min(self.pace.backoff * 2.0**tried, self.pace.backoff_last) * random.uniform(0.75, 1.0)
        asked = error.failure.retry_after
        if asked is not None:
            if asked > self.pace.longest_wait:
                raise error
            wait = max(wait, asked)
        await asyncio.sleep(wait)

    async def _guarded(
        self, what: str, client: "openai.AsyncOpenAI", send: Send, read: Callable[[Reply], Taken], timeout: float
    ) -> Taken:
        import openai

        try:
            async with asyncio.timeout(timeout):
                answer = await send(client)
            return read(_reply(answer))
        except TimeoutError as error:
            raise call_failed(self.profile, what, Failure(ExceptionKind.TIMEOUT)) from error
        except BadAnswer as error:
            problem = error.problems[0]
            code = None if problem.code == "bad_answer" else problem.code
            failure = Failure(ExceptionKind.BAD_ANSWER, code=code, message=problem.message)
            raise call_failed(self.profile, what, failure) from error
        except openai.OpenAIError as error:
            raise call_failed(self.profile, what, _failure(error)) from error

    def evidence(self, job_id: str, raw: dict[str, Any]) -> dict[str, str]:
        """Return `weights_digest` and `fingerprint` of a finished job, where the server tells them.

        They are no words of the API: the embedded server adds them to the job, or keeps them in its state folder.
        """
        told: dict[str, Any] = {key: raw[key] for key in _EVIDENCE if raw.get(key)}
        if self._state is not None and len(told) < len(_EVIDENCE):
            with suppress(FileNotFoundError):
                standing = read_json(self._state / "jobs" / job_id / "state.json")
                told = {key: standing[key] for key in _EVIDENCE if standing.get(key)} | told
        return {key: value if isinstance(value, str) else _short_digest(value) for key, value in told.items()}

    def expect(self, model: str) -> None:
        """A model was just made: for a while a 404 on it means `not yet`."""
        self._fresh[model] = time.monotonic() + self.pace.warm_up

    async def post_chat(self, body: dict[str, Any]) -> bytes:
        """Send one chat request and return the raw answer, with the SDK's retries and none of its models.

        Raises CallFailed.
        """
        import httpx2

        async def send(client: "openai.AsyncOpenAI") -> Any:
            return await client.post("/chat/completions", cast_to=httpx2.Response, body=body)

        tried = 0
        while True:
            try:
                reply = await self._guarded("a chat request", self.client, send, _same, self.pace.call_timeout)
                return reply.content
            except CallFailed as error:
                until = self._fresh.get(str(body.get("model")), 0.0)
                if error.error_class is not ErrorClass.MISSING or time.monotonic() >= until:
                    raise
                await self.back_off(tried, error)
                tried += 1


def _short_digest(values: Any) -> str:
    """A short name of a fingerprint, made as the engine makes it."""
    text = "\n".join(f"{key}={values[key]}" for key in sorted(values))
    return "fp_" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _same(reply: Reply) -> Reply:
    return reply


def _reply(answer: Any) -> Reply:
    """Whole answers only: a body shorter than announced is one that was cut."""
    response = getattr(answer, "http_response", answer)
    content: bytes = response.content
    length = response.headers.get("content-length", "")
    if length.isdigit() and "content-encoding" not in response.headers and len(content) != int(length):
        raise BadAnswer("bad_answer", f"the answer was cut after {len(content)} of {length} bytes")
    return Reply(response.status_code, content)


def _failure(error: "openai.OpenAIError") -> Failure:
    import openai

    if isinstance(error, openai.APIStatusError):
        code, message, param = read_error(error.body)
        return Failure(
            ExceptionKind.STATUS,
            status=error.status_code,
            code=code,
            message=_short(message) or error.message,
            param=param,
            retry_after=_retry_after(error.response.headers),
        )
    if isinstance(error, openai.APITimeoutError):
        return Failure(ExceptionKind.TIMEOUT)
    if isinstance(error, openai.APIConnectionError):
        return Failure(ExceptionKind.CONNECTION, message=str(error.__cause__ or ""))
    return Failure(ExceptionKind.BAD_ANSWER, message=str(error))


def _short(message: str) -> str:
    """A proxy's whole HTML page is no message."""
    text = message.strip()
    return f"an HTML page: {text[:60]}" if text.startswith("<") else text


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds of `retry-after-ms` or `retry-after`, also as a date; None where neither can be read."""
    from email.utils import parsedate_to_datetime

    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


@asynccontextmanager
async def connect(
    provider: Provider,
    *,
    state: Path,
    environ: Mapping[str, str] | None = None,
    pace: Pace | None = None,
    wrap: "Callable[[ASGIApp], ASGIApp] | None" = None,
) -> AsyncIterator[Connection]:
    """Open a provider. `state` is the folder of the embedded server; `wrap` may put middleware around its app.

    Raises MissingKeyError naming the variable, SpecError for an unknown profile, ProviderError without an address.
    """
    profile = load_profile(provider.profile)
    chosen = pace or pace_for(profile)
    environment = os.environ if environ is None else environ
    if profile.address.in_process:
        async with _embedded(profile, state, chosen, wrap) as connection:
            yield connection
    else:
        async with _hosted(profile, provider, environment, chosen) as connection:
            yield connection


@asynccontextmanager
async def _embedded(
    profile: Profile, state: Path, pace: Pace, wrap: "Callable[[ASGIApp], ASGIApp] | None"
) -> AsyncIterator[Connection]:
    import httpx2

    from ftspec.server.app import serving

    async with serving(state) as app:
        outer = app if wrap is None else wrap(app)
        transport = httpx2.ASGITransport(app=outer, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport) as http:
            connection = _connection(
                profile, http, base_url=EMBEDDED_URL, identity="embedded", key="embedded", pace=pace
            )
            yield replace(connection, _state=state)


@asynccontextmanager
async def _hosted(
    profile: Profile, provider: Provider, environ: Mapping[str, str], pace: Pace
) -> AsyncIterator[Connection]:
    import httpx2

    base_url = base_url_of(profile, provider, environ)
    key = key_of(profile, provider, environ)
    project = environ.get(profile.address.project) if profile.address.project else None
    identity = public_url(base_url) + (f"#{project}" if project else "")
    async with httpx2.AsyncClient(timeout=httpx2.Timeout(600, connect=10), follow_redirects=False) as http:
        yield _connection(profile, http, base_url=base_url, identity=identity, key=key, project=project, pace=pace)


def _connection(
    profile: Profile,
    http: Any,
    *,
    base_url: str,
    identity: str,
    key: str,
    pace: Pace,
    project: str | None = None,
) -> Connection:
    import openai

    # Empty strings keep the SDK from reading OpenAI's own variables and sending them to another host.
    client = openai.AsyncOpenAI(
        api_key=key, base_url=base_url, http_client=http, organization=None if profile.id == "openai" else ""
    )
    client.project = project
    if profile.id != "openai":
        client.organization = None
    once = client.with_options(max_retries=0)
    once.project, once.organization = client.project, client.organization
    return Connection(profile, client, identity, public_url(base_url), project, pace, _once=once)
