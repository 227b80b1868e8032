"""Asking: what is asked, what is not asked again, what failures become, equal bytes whatever the order of answers."""

import asyncio
import errno
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ftspec.evals.ask import Endpoint, Retry, answer
from ftspec.evals.cache import ResponseCache
from ftspec.evals.items import Item
from ftspec.evals.requests import ArmRequests
from ftspec.evals.responses import Response, in_order, read_completion, read_responses, sample_of, write_rows
from ftspec.providers.failures import CallFailed, Failure
from ftspec.spec.errors import MissingKeyError, ProviderError, StorageError
from ftspec.spec.suite import Arm, Request
from ftspec.storage import AppendLog
from ftspec.wire.errors import BadAnswer


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


FAST = Retry(sleep=no_sleep)


def items_of(n: int) -> list[Item]:
    return [Item(f"i{i}", {"messages": [{"role": "user", "content": f"q{i}"}]}) for i in range(n)]


def requests(arm: str = "base", samples: int = 1, identity: str = "p", **params: Any) -> ArmRequests:
    request = Request.model_validate({"params": params})
    return ArmRequests(arm, request, Arm(model="@base"), model="m", identity=identity, samples=samples)


class Model:
    """A model that is a function; it counts what it is asked."""

    def __init__(self, completion: Callable[..., dict[str, Any]], *, jitter: float = 0.0) -> None:
        self.completion, self.jitter = completion, jitter
        self.asked: list[str] = []
        self.active = self.most = 0

    async def __call__(self, body: dict[str, Any]) -> dict[str, Any]:
        question = body["messages"][-1]["content"]
        self.asked.append(question)
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            await asyncio.sleep(random.random() * self.jitter)
        finally:
            self.active -= 1
        return self.completion(f"answer to {question}")


def ask(items: list[Item], asked: ArmRequests, post: Any, log: Path, **more: Any) -> list[Response]:
    async def run() -> list[Response]:
        with AppendLog(log) as stream:
            return await answer(items, asked, post=post, log=stream, **({"retry": FAST} | more))

    return asyncio.run(run())


def status_error(status: int, code: str | None = None, **headers: str) -> Exception:
    """An error as the SDK raises it."""
    import httpx2
    import openai

    response = httpx2.Response(status, headers=headers, request=httpx2.Request("POST", "http://x/v1"))
    body = {"message": "said so", "code": code}
    kind = openai.RateLimitError if status == 429 else openai.APIStatusError
    return kind("failed", response=response, body=body)


def test_answers_come_in_item_order_and_are_not_asked_again(tmp_path: Path, completion: Any) -> None:
    model, progress = Model(completion), []
    items = items_of(20)
    first = ask(items, requests(), model, tmp_path / "r.jsonl", on_progress=lambda *p: progress.append(p))
    assert [row.id for row in first] == [item.id for item in items]
    assert first[3].text == "answer to q3"
    assert first[3].usage is not None
    assert first[3].usage.prompt_tokens == 5
    assert len(model.asked) == 20
    assert progress[-1] == (20, 20)
    assert ask(items, requests(), model, tmp_path / "r.jsonl") == first
    assert len(model.asked) == 20
    ask([*items, *items_of(25)[20:]], requests(), model, tmp_path / "r.jsonl")
    assert len(model.asked) == 25
    assert len(read_responses(tmp_path / "r.jsonl")) == 25


def test_samples_are_calls_of_their_own(tmp_path: Path, completion: Any) -> None:
    model = Model(completion)
    rows = ask(items_of(2), requests(samples=3), model, tmp_path / "r.jsonl")
    assert [(row.id, row.sample) for row in rows] == [(i, s) for i in ("i0", "i1") for s in range(3)]
    assert len(model.asked) == 6


def test_the_cache_serves_another_run(tmp_path: Path, completion: Any) -> None:
    model = Model(completion)
    with ResponseCache(tmp_path / "c.sqlite") as cache:
        one = ask(items_of(5), requests(), model, tmp_path / "a.jsonl", cache=cache)
        two = ask(items_of(5), requests(), model, tmp_path / "b.jsonl", cache=cache)
        assert len(model.asked) == 5
        assert one == two
        assert (tmp_path / "a.jsonl").read_bytes().splitlines().sort() == (
            (tmp_path / "b.jsonl").read_bytes().splitlines().sort()
        )
        # New weights under the name of old ones, and another temperature, are other answers.
        ask(items_of(5), requests(identity="other weights"), model, tmp_path / "c.jsonl", cache=cache)
        ask(items_of(5), requests(temperature=0.5), model, tmp_path / "d.jsonl", cache=cache)
        assert len(model.asked) == 15


def test_an_old_answer_of_a_floating_model_is_asked_again(tmp_path: Path, completion: Any) -> None:
    model, asked = Model(completion), requests()
    asked.max_age = 0.0
    with ResponseCache(tmp_path / "c.sqlite") as cache:
        ask(items_of(3), asked, model, tmp_path / "a.jsonl", cache=cache)
        time.sleep(0.01)
        ask(items_of(3), asked, model, tmp_path / "b.jsonl", cache=cache)
    assert len(model.asked) == 6


@pytest.mark.parametrize("concurrency", [1, 32])
def test_equal_requests_are_asked_once(tmp_path: Path, completion: Any, concurrency: int) -> None:
    model = Model(completion, jitter=0.01)
    items = [Item(f"i{i}", {"messages": [{"role": "user", "content": "same"}]}) for i in range(10)]
    rows = ask(items, requests(), model, tmp_path / "r.jsonl", concurrency=concurrency)
    assert len(model.asked) == 1
    assert len({row.text for row in rows}) == 1
    assert [row.id for row in rows] == [item.id for item in items]


def test_two_arms_that_share_an_endpoint_and_a_cache_ask_once(tmp_path: Path, completion: Any) -> None:
    model, endpoint = Model(completion, jitter=0.01), Endpoint()

    async def run() -> None:
        with AppendLog(tmp_path / "r.jsonl") as log, ResponseCache(None) as cache:
            more = {"post": model, "log": log, "cache": cache, "endpoint": endpoint}
            await asyncio.gather(*(answer(items_of(8), requests(arm), **more) for arm in ("one", "two")))

    asyncio.run(run())
    assert len(model.asked) == 8
    assert len(read_responses(tmp_path / "r.jsonl")) == 16
    assert endpoint.flights == {}


def test_concurrency_is_bounded(tmp_path: Path, completion: Any) -> None:
    model = Model(completion, jitter=0.002)
    ask(items_of(40), requests(), model, tmp_path / "r.jsonl", concurrency=7)
    assert 2 <= model.most <= 7


def test_the_same_bytes_whatever_the_concurrency(tmp_path: Path, completion: Any) -> None:
    items, files = items_of(30), []
    for concurrency in (1, 4, 32):
        log = tmp_path / f"log{concurrency}.jsonl"
        rows: list[Response] = []
        for arm in ("few_shot", "base"):
            rows += ask(items, requests(arm), Model(completion, jitter=0.003), log, concurrency=concurrency)
        sealed = tmp_path / f"sealed{concurrency}.jsonl"
        write_rows(sealed, in_order(read_responses(log), items, ["base", "few_shot"]))
        files.append(sealed.read_bytes())
    assert files[0] == files[1] == files[2]
    assert [row.arm for row in read_responses(tmp_path / "sealed4.jsonl")] == ["base"] * 30 + ["few_shot"] * 30


class Faults:
    """A model that fails: for each question a list of what happens first."""

    def __init__(self, completion: Callable[..., dict[str, Any]], script: dict[str, list[Any]]) -> None:
        self.completion, self.script = completion, script
        self.calls: dict[str, int] = {}

    async def __call__(self, body: dict[str, Any]) -> Any:
        question = body["messages"][-1]["content"]
        self.calls[question] = self.calls.get(question, 0) + 1
        await asyncio.sleep(0)
        steps = self.script.get(question, [])
        step = steps.pop(0) if steps else None
        if isinstance(step, Exception):
            raise step
        return self.completion("fine") if step is None else step


def test_failures_are_retried_or_become_errors_and_are_never_cached(tmp_path: Path, completion: Any) -> None:
    import httpx2
    import openai

    request = httpx2.Request("POST", "http://x/v1")
    filtered = completion("")
    filtered["choices"][0]["finish_reason"] = "content_filter"
    post = Faults(
        completion,
        {
            "q0": [status_error(500), TimeoutError(), openai.APIConnectionError(request=request)],
            "q1": [status_error(500) for _ in range(50)],
            "q2": [status_error(400, "context_length_exceeded")],
            "q3": [
                b"<html>gateway</html>",
                b'{"error": {"message": "no", "code": "server_error"}}',
                b'{"choices": []}',
            ],
            "q4": [status_error(429, "rate_limit_exceeded", **{"retry-after": "0"}) for _ in range(12)],
            "q5": [openai.APITimeoutError(request=request)],
            "q6": [filtered],
            "q7": [CallFailed("x", "slow", failure=Failure("timeout"))],
        },
    )
    with ResponseCache(tmp_path / "c.sqlite") as cache:
        rows = ask(items_of(10), requests(), post, tmp_path / "r.jsonl", cache=cache)
        by_id = {row.id: row for row in rows}
        errors = {row.id: row.error for row in rows if row.error}
        assert set(errors) == {"i1", "i2", "i6"}
        assert str(errors["i1"]).startswith("http_500: said so")
        assert str(errors["i2"]).startswith("context_length_exceeded")
        assert by_id["i1"].text is None
        assert post.calls == {"q0": 4, "q1": 4, "q2": 1, "q3": 4, "q4": 13, "q5": 2, "q6": 1, "q7": 2, "q8": 1, "q9": 1}
        # The same command again asks for the three errors alone, and this time they succeed.
        post.calls.clear()
        post.script.clear()
        again = ask(items_of(10), requests(), post, tmp_path / "r.jsonl", cache=cache)
        assert post.calls == {"q1": 1, "q2": 1, "q6": 1}
        assert not any(row.error for row in again)
    assert not any(row.error for row in read_responses(tmp_path / "r.jsonl"))


@pytest.mark.parametrize(
    "error",
    [
        lambda: status_error(429, "insufficient_quota"),
        lambda: status_error(401, "invalid_api_key"),
        lambda: status_error(404, "model_not_found"),
        lambda: status_error(429, "daily_rate_limit_exceeded"),
        lambda: MissingKeyError("missing_key", "no key"),
    ],
)
def test_what_a_person_must_settle_stops_the_suite(tmp_path: Path, completion: Any, error: Any) -> None:
    post = Faults(completion, {"q5": [error()]})
    with pytest.raises(ProviderError) as raised:
        ask(items_of(200), requests(), post, tmp_path / "r.jsonl", concurrency=4)
    assert raised.value.problems[0].fix
    assert sum(post.calls.values()) <= 5 + 4 + 4
    kept = read_responses(tmp_path / "r.jsonl")
    assert 5 <= len(kept) <= 12
    assert not any(row.error for row in kept)
    before = len(kept)
    post.calls.clear()
    rows = ask(items_of(200), requests(), post, tmp_path / "r.jsonl")
    assert sum(post.calls.values()) == 200 - before
    assert len(rows) == 200


def test_a_rate_limit_pauses_the_endpoint(tmp_path: Path, completion: Any) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(min(seconds, 0.05))

    script = {"q0": [status_error(429, "rate_limit_exceeded", **{"retry-after-ms": "50"})]}
    post = Faults(completion, script)
    ask(items_of(4), requests(), post, tmp_path / "r.jsonl", concurrency=1, retry=Retry(sleep=sleep))
    assert post.calls["q0"] == 2
    assert waits
    assert max(waits) <= 0.051


def test_a_bug_is_not_taken_for_the_weather(tmp_path: Path) -> None:
    async def post(body: dict[str, Any]) -> bytes:
        raise KeyError("ours")

    with pytest.raises(KeyError, match="ours"):
        ask(items_of(9), requests(), post, tmp_path / "r.jsonl")


def test_a_full_disk_is_worded(tmp_path: Path, completion: Any) -> None:
    class Full(AppendLog):
        def append_bytes(self, line: bytes, *, durable: bool | None = None) -> None:
            raise StorageError.of(OSError(errno.ENOSPC, "No space left on device"), self.path)

    async def run() -> None:
        with Full(tmp_path / "r.jsonl") as log:
            await answer(items_of(9), requests(), post=Model(completion), log=log)

    with pytest.raises(StorageError, match="disk_full"):
        asyncio.run(run())


def test_a_call_without_end_is_ended(tmp_path: Path) -> None:
    async def post(body: dict[str, Any]) -> bytes:
        await asyncio.sleep(3600)
        return b""

    rows = ask(items_of(2), requests(), post, tmp_path / "r.jsonl", timeout=0.01)
    assert [str(row.error).split(":")[0] for row in rows] == ["timeout", "timeout"]


def test_an_item_without_what_the_request_needs_is_an_error(tmp_path: Path, completion: Any) -> None:
    model = Model(completion)
    rows = ask([Item("x", {}), *items_of(1)], requests(), model, tmp_path / "r.jsonl")
    assert rows[0].error == "item: it has no messages"
    assert rows[1].error is None
    assert len(model.asked) == 1


def test_cancelling_leaves_no_one_waiting(tmp_path: Path, completion: Any) -> None:
    model, endpoint = Model(completion, jitter=5.0), Endpoint()
    items = [Item(f"i{i}", {"messages": [{"role": "user", "content": "same"}]}) for i in range(5)]

    async def run() -> None:
        with AppendLog(tmp_path / "r.jsonl") as log:
            task = asyncio.create_task(answer(items, requests(), post=model, log=log, endpoint=endpoint))
            await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(asyncio.wait_for(run(), 5))
    assert endpoint.flights == {}


CHILD = """
import asyncio, json, os, sys
from pathlib import Path
from ftspec.evals.ask import answer
from ftspec.evals.items import Item
from ftspec.evals.requests import ArmRequests
from ftspec.spec.suite import Arm, Request
from ftspec.storage import AppendLog

folder, die_at = Path(sys.argv[1]), int(sys.argv[2])
items = [Item(f"i{i}", {"messages": [{"role": "user", "content": f"q{i}"}]}) for i in range(40)]
calls = os.open(folder / "calls", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
count = 0

async def post(body):
    global count
    count += 1
    if count == die_at:
        os.kill(os.getpid(), 9)
    question = body["messages"][-1]["content"]
    await asyncio.sleep(0.001 * (hash(question) % 3))
    os.write(calls, (question + "\\n").encode())
    return {"choices": [{"message": {"content": "re " + question}, "finish_reason": "stop"}], "model": "m"}

async def main():
    arm = ArmRequests("base", Request(), Arm(model="@base"), model="m", identity="p")
    with AppendLog(folder / "r.jsonl") as log:
        await answer(items, arm, post=post, log=log, concurrency=4)

asyncio.run(main())
"""


def test_a_killed_run_asks_only_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    command = [sys.executable, str(tmp_path / "child.py"), str(tmp_path)]
    killed = subprocess.run([*command, "21"], check=False)
    assert killed.returncode == -signal.SIGKILL
    answered = (tmp_path / "calls").read_text().split()
    with (tmp_path / "r.jsonl").open("ab") as stream:
        stream.write(b'{"id": "torn')
    kept = read_responses(tmp_path / "r.jsonl")
    # At most the calls in flight may be lost, and those that were never answered.
    assert len(answered) - 4 <= len(kept) <= len(answered) <= 20
    assert subprocess.run([*command, "0"], check=False).returncode == 0
    asked_again = (tmp_path / "calls").read_text().split()[len(answered) :]
    assert len(asked_again) == 40 - len(kept)
    assert set(asked_again).isdisjoint(f"q{row.id[1:]}" for row in kept)
    rows = read_responses(tmp_path / "r.jsonl")
    assert sorted(row.id for row in rows) == sorted(f"i{i}" for i in range(40))
    assert all(row.text == f"re q{row.id[1:]}" for row in rows)


def test_completions_are_read_with_tolerance(completion: Any) -> None:
    def read(body: Any) -> Response:
        return read_completion(msgspec.json.encode(body), id="x", arm="a", sample=0, key="k")

    call = {"id": "call_9", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    row = read(completion(None, tool_calls=[call]))
    assert (row.text, row.tool_calls) == (None, [{"type": "function", "function": call["function"]}])
    assert sample_of(row) == {"output_tools": row.tool_calls}
    assert read(completion(None, refusal="I will not")).text == "I will not"
    bare = {"choices": [{"message": {"content": "x"}}]}
    assert read(bare).usage is None
    assert sample_of(read(completion('{"a": 1}')), parse="json")["output_json"] == {"a": 1}
    assert "output_json" not in sample_of(read(completion("{")), parse="json")
    for body in ([], "text", {"choices": []}, {"choices": [{}]}, {"error": {"message": "m"}}, {"id": None}):
        with pytest.raises(BadAnswer):
            read(body)
    with pytest.raises(BadAnswer):
        read_completion(b'{"choices":[{"message":{"content":"\\ud800"}}]}', id="x", arm="a", sample=0, key="k")


def test_pretty_printed_bodies_do_not_tear_lines(tmp_path: Path, completion: Any) -> None:
    async def post(body: dict[str, Any]) -> bytes:
        return json.dumps(completion("two\nlines\u2028"), indent=2).encode()

    with ResponseCache(tmp_path / "c.sqlite") as cache:
        one = ask(items_of(2), requests(), post, tmp_path / "a.jsonl", cache=cache)
        two = ask(items_of(2), requests(), post, tmp_path / "b.jsonl", cache=cache)
    assert one == two == read_responses(tmp_path / "b.jsonl")
    assert len((tmp_path / "a.jsonl").read_bytes().split(b"\n")) == 3
