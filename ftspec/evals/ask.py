"""Asking one arm: concurrent, resumable, every answer on disk before the next is asked for.

Errors are rows with `error`, never zeros and never cached. What money or a person must settle stops the suite.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ftspec.data.template import MissingFieldError
from ftspec.evals.cache import ResponseCache
from ftspec.evals.failures import Failure, failure_of
from ftspec.evals.items import Item
from ftspec.evals.requests import ArmRequests
from ftspec.evals.responses import Response, encode, read_completion, read_responses
from ftspec.spec.errors import ProviderError
from ftspec.storage import AppendLog
from ftspec.wire.errors import BadAnswer, ErrorClass

Post = Callable[[dict[str, Any]], Awaitable[bytes | dict[str, Any]]]
Progress = Callable[[int, int], None]

# A missing model stops the suite at once: `post` has already waited for one that was just made.
_STOPS = frozenset({ErrorClass.HUMAN, ErrorClass.PARK, ErrorClass.MISSING})
_RATE_LIMITS = frozenset({"rate_limit_exceeded", "http_429"})


@dataclass(frozen=True)
class Retry:
    """Waiting between tries: doubling from `base` to `cap` seconds, less up to a quarter; a host's own wish wins.

    Transient failures get `tries` in all. A rate limit is no failure of the request: it is waited out, up to `patience`
    seconds for one request.
    """

    tries: int = 4
    base: float = 0.5
    cap: float = 30.0
    patience: float = 900.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def delay(self, attempt: int, failure: Failure) -> float:
        """Seconds before try `attempt` + 1."""
        if failure.retry_after is not None:
            return min(failure.retry_after, 120.0)
        return min(self.cap, self.base * 2.0**attempt) * random.uniform(0.75, 1.0)


@dataclass
class Endpoint:
    """What all arms that ask one provider share: answers in flight, and a pause that the host asked for."""

    flights: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    resume_at: float = 0.0

    def pause(self, seconds: float) -> None:
        """Let nobody ask for so long: a rate limit is the endpoint's, not one task's."""
        self.resume_at = max(self.resume_at, asyncio.get_running_loop().time() + seconds)

    async def ready(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Wait until a pause is over."""
        while (rest := self.resume_at - asyncio.get_running_loop().time()) > 0:
            await sleep(rest)


async def answer(
    items: Sequence[Item],
    requests: ArmRequests,
    *,
    post: Post,
    log: AppendLog,
    cache: ResponseCache | None = None,
    concurrency: int = 32,
    on_progress: Progress | None = None,
    endpoint: Endpoint | None = None,
    retry: Retry | None = None,
    timeout: float | None = None,
) -> list[Response]:
    """Ask an arm for `requests.samples` answers to every item; return them in item order.

    `post` sends one body and returns the completion's bytes or object; it bounds its own time, or `timeout` (seconds)
    does. Each answer is appended to `log` as it comes; what the log or the cache holds already is not asked again, and
    of equal requests one is asked. An item without what its request needs, and a call that failed for good, gives a row
    with `error`. Arms that ask the same host at the same time should share one `endpoint`.

    Raises ProviderError where a key, money or a permission is missing, a daily limit is reached, or the model does not
    exist: after the calls in flight, with every answer so far in the log.
    """
    asking = _Asking(requests, post, log, cache, endpoint or Endpoint(), retry or Retry(), timeout)
    total = len(items) * requests.samples
    calls = ((item, sample) for item in items for sample in range(requests.samples))
    found: dict[tuple[str, int], Response] = {}

    def note(response: Response) -> None:
        found[response.id, response.sample] = response
        if on_progress is not None:
            on_progress(len(found), total)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, min(concurrency, total))):
                group.create_task(asking.work(calls, note))
    except BaseExceptionGroup as failed:
        # Every worker may meet the same full disk; one of them is enough to tell.
        raise failed.exceptions[0] from None
    if asking.stopped is not None:
        raise _stop(asking.stopped, requests)
    return [found[item.id, sample] for item in items for sample in range(requests.samples)]


def _stop(failure: Failure, requests: ArmRequests) -> ProviderError:
    advice = {
        ErrorClass.PARK: "a daily limit is reached: give the same command tomorrow",
        ErrorClass.MISSING: "check the model's name, or that the host still serves it",
    }
    fix = advice.get(failure.kind, "settle this with the provider, then give the same command again")
    return ProviderError(failure.code, f"arm {requests.arm} ({requests.model}): {failure.message}", fix=fix)


class _Asking:
    """One arm being asked."""

    def __init__(
        self,
        requests: ArmRequests,
        post: Post,
        log: AppendLog,
        cache: ResponseCache | None,
        endpoint: Endpoint,
        retry: Retry,
        timeout: float | None,
    ) -> None:
        self.requests, self.post, self.log, self.cache = requests, post, log, cache
        self.endpoint, self.retry, self.timeout = endpoint, retry, timeout
        self.stopped: Failure | None = None
        stored = read_responses(log.path)
        self.logged = {(row.id, row.sample, row.key) for row in stored if row.arm == requests.arm and not row.error}
        self.known = {row.key: row for row in stored if not row.error}

    async def work(self, calls: Iterator[tuple[Item, int]], note: Callable[[Response], None]) -> None:
        for item, sample in calls:
            if self.stopped is not None:
                return
            response = await self.one(item, sample)
            if response is None:
                return
            if (response.id, response.sample, response.key) not in self.logged:
                self.log.append_bytes(encode(response))
            note(response)

    async def one(self, item: Item, sample: int) -> Response | None:
        """Return the answer from the log, the cache or the model; None where the suite must stop."""
        arm = self.requests.arm
        try:
            body = self.requests.body(item, sample)
        except MissingFieldError as error:
            words = f"item: it has no {error.path.removeprefix('item.')}"
            return Response(id=item.id, arm=arm, sample=sample, key="", error=words)
        except ValueError as error:
            return Response(id=item.id, arm=arm, sample=sample, key="", error=f"item: {error}")
        key = self.requests.key(body, sample)
        while (flight := self.endpoint.flights.get(key)) is not None:
            # Shielded: a caller that is cancelled must not cancel the call that others wait for.
            await asyncio.shield(flight)
        if (known := self.known.get(key)) is not None:
            return msgspec.structs.replace(known, id=item.id, arm=arm, sample=sample)
        if (stored := self._cached(item, sample, key)) is not None:
            return stored
        flight = self.endpoint.flights[key] = asyncio.get_running_loop().create_future()
        try:
            return await self._ask(body, item, sample, key)
        finally:
            del self.endpoint.flights[key]
            flight.set_result(None)

    def _cached(self, item: Item, sample: int, key: str) -> Response | None:
        stored = self.cache.get(key, max_age=self.requests.max_age) if self.cache is not None else None
        if stored is None:
            return None
        try:
            return self._keep(read_completion(stored, id=item.id, arm=self.requests.arm, sample=sample, key=key))
        except BadAnswer:
            return None

    async def _ask(self, body: dict[str, Any], item: Item, sample: int, key: str) -> Response | None:
        attempt, waited = 0, 0.0
        while True:
            await self.endpoint.ready(self.retry.sleep)
            if self.stopped is not None:
                return None
            outcome = await self._call(body, item, sample, key)
            if isinstance(outcome, Response):
                return self._keep(outcome)
            delay = self.retry.delay(attempt, outcome)
            if outcome.kind in _STOPS:
                self.stopped = self.stopped or outcome
                return None
            attempt += 1
            limited = outcome.code in _RATE_LIMITS
            spent = waited >= self.retry.patience if limited else attempt >= self.retry.tries
            if outcome.kind is ErrorClass.DATA or spent:
                return Response(id=item.id, arm=self.requests.arm, sample=sample, key=key, error=outcome.words)
            waited += delay
            if limited:
                self.endpoint.pause(delay)
            else:
                await self.retry.sleep(delay)

    async def _call(self, body: dict[str, Any], item: Item, sample: int, key: str) -> Response | Failure:
        try:
            async with asyncio.timeout(self.timeout):
                raw = await self.post(body)
            data = raw if isinstance(raw, bytes) else msgspec.json.encode(raw)
            response = read_completion(data, id=item.id, arm=self.requests.arm, sample=sample, key=key)
        except Exception as error:
            if (failure := failure_of(error)) is None:
                raise
            return failure
        if self.cache is not None and response.error is None:
            self.cache.put(key, msgspec.json.format(data, indent=-1))
        return response

    def _keep(self, response: Response) -> Response:
        """Remember an answer for equal requests of this arm, so that only one of them is ever asked."""
        if response.error is None:
            self.known[response.key] = response
        return response
