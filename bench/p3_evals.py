"""P3: CPU per sample of a whole eval against bare calls of the same client, on a model that answers after 50 ms.

    python bench/p3_evals.py [--smoke]

One process, one event loop, 100 calls at a time, the model an ASGI app behind the SDK's client. The native path does
all that `ftspec run` does for an answer: render the request, its cache key, the provider's own `post_chat`, a commit in
SQLite, a row of responses.jsonl, decode, grade, a row of grades.jsonl. Bars: cold / `client.post` <= 1.7, cold /
`chat.completions.create` <= 0.6, warm cache / `client.post` <= 0.12. Inspect is measured where it is installed
(cold / Inspect <= 1/15); promptfoo is a Node program and has its own process: see docs for its bar.
"""

import argparse
import asyncio
import importlib.util
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from ftspec.evals.ask import answer
from ftspec.evals.cache import ResponseCache
from ftspec.evals.grade import grade_responses
from ftspec.evals.requests import ArmRequests
from ftspec.evals.responses import write_rows
from ftspec.evals.suites import ResolvedSuite, resolve
from ftspec.providers.connect import Connection, connect
from ftspec.spec.experiment import Provider
from ftspec.spec.suite import Suite
from ftspec.storage import AppendLog

SECONDS = 0.05
CONCURRENCY = 100
LABELS = ("billing", "card", "transfer", "other")
SUITE = {"graders": {"queue": {"type": "label"}}, "arms": {"base": {"model": "@base"}}}
BARS = {"cold / post": 1.7, "cold / create": 0.6, "warm / post": 0.12}


async def model_app(scope: Any, receive: Any, send: Any) -> None:
    """A chat model: waits, then says one label."""
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    asked = msgspec.json.decode(body)
    await asyncio.sleep(SECONDS)
    text = LABELS[len(asked["messages"][-1]["content"]) % len(LABELS)]
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": asked["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 50, "completion_tokens": 1, "total_tokens": 51},
    }
    content = msgspec.json.encode(answer)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class Rows:
    """A part of prepared data in a file."""

    role = "test"

    def __init__(self, path: Path, n: int) -> None:
        self.path = path
        lines = (json.dumps(self.item(i)) for i in range(n))
        path.write_text("\n".join(lines) + "\n")

    def item(self, i: int) -> dict[str, Any]:
        text = f"message {i}: " + "my card was swallowed by the machine on the corner and I need it back " * (1 + i % 4)
        messages = [
            {"role": "system", "content": "Route the message to one of four queues. " * 5},
            {"role": "user", "content": text},
        ]
        return {"id": f"i{i:05}", "messages": messages, "reference": LABELS[i % 4], "metadata": {}}


async def bounded(calls: list[Callable[[], Awaitable[Any]]]) -> None:
    gate = asyncio.Semaphore(CONCURRENCY)

    async def one(call: Callable[[], Awaitable[Any]]) -> None:
        async with gate:
            await call()

    await asyncio.gather(*map(one, calls))


async def cpu(work: Awaitable[Any], n: int) -> float:
    """CPU milliseconds per sample."""
    began = time.process_time()
    await work
    return (time.process_time() - began) / n * 1000


async def bare_post(connection: Connection, bodies: list[dict[str, Any]]) -> None:
    async def call(body: dict[str, Any]) -> None:
        raw: Any = await connection.client.post("/chat/completions", cast_to=httpx2.Response, body=body)
        json.loads(raw.content)

    await bounded([lambda body=body: call(body) for body in bodies])  # type: ignore[misc]


async def create(connection: Connection, bodies: list[dict[str, Any]]) -> None:
    await bounded([lambda body=body: connection.client.chat.completions.create(**body) for body in bodies])  # type: ignore[misc]


async def native(connection: Connection, resolved: ResolvedSuite, cache: ResponseCache, folder: Path) -> None:
    folder.mkdir()
    requests = ArmRequests("base", resolved.suite.request, resolved.arms["base"], model="m", identity="bench")
    with AppendLog(folder / "log.jsonl") as log:
        responses = await answer(
            resolved.items, requests, post=connection.post_chat, log=log, cache=cache, concurrency=CONCURRENCY
        )
    write_rows(folder / "responses.jsonl", responses)
    write_rows(folder / "grades.jsonl", grade_responses(resolved, responses))


async def inspect(bodies: list[dict[str, Any]], folder: Path) -> None:
    """The same questions as an Inspect task over the same app. Needs inspect_ai."""
    from inspect_ai import Task, eval_async
    from inspect_ai.dataset import Sample
    from inspect_ai.model import get_model
    from inspect_ai.scorer import match
    from inspect_ai.util._display import init_display_type

    init_display_type("none")

    transport = httpx2.ASGITransport(app=model_app)
    model = get_model(
        "openai-api/bench/m",
        base_url="http://bench/v1",
        api_key="none",
        http_client=httpx2.AsyncClient(transport=transport),
    )
    samples = [Sample(input=body["messages"][-1]["content"], target=LABELS[0]) for body in bodies]
    await eval_async(
        Task(dataset=samples, scorer=match()),
        model=model,
        max_connections=CONCURRENCY,
        log_dir=str(folder),
    )


async def measure(n: int, rounds: int, folder: Path) -> dict[str, float]:
    suite = Suite.model_validate(SUITE)
    resolved = resolve("bench", suite, references=dict.fromkeys(LABELS, 1), items=Rows(folder / "test.jsonl", n))
    requests = ArmRequests("base", resolved.suite.request, resolved.arms["base"], model="m", identity="bench")
    bodies = [requests.body(item) for item in resolved.items]
    found: dict[str, list[float]] = {"post": [], "create": [], "cold": [], "warm": []}
    async with connect(Provider(), state=folder / "state", wrap=lambda app: model_app) as connection:
        await create(connection, bodies[:5])
        for turn in range(rounds):
            with ResponseCache(folder / f"{turn}.sqlite") as cache:
                found["post"].append(await cpu(bare_post(connection, bodies), n))
                found["cold"].append(await cpu(native(connection, resolved, cache, folder / f"cold{turn}"), n))
                found["create"].append(await cpu(create(connection, bodies), n))
                found["warm"].append(await cpu(native(connection, resolved, cache, folder / f"warm{turn}"), n))
    result = {name: statistics.median(times) for name, times in found.items()}
    if importlib.util.find_spec("inspect_ai") is not None:
        await inspect(bodies[:5], folder / "inspect-warm")  # imports are not counted
        result["inspect"] = await cpu(inspect(bodies[:200], folder / "inspect"), min(n, 200))
    return result


def ratios(found: dict[str, float]) -> dict[str, float]:
    shown = {f"{one} / {two}": found[one] / found[two] for one, two in (key.split(" / ") for key in BARS)}
    if "inspect" in found:
        shown["cold / inspect"] = found["cold"] / found["inspect"]
    return shown


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke", action="store_true", help="100 samples, one round, no verdict")
    smoke = parser.parse_args(argv).smoke
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(100 if smoke else 1000, 1 if smoke else 3, Path(folder)))
    print("  ".join(f"{name} {value:.3f}" for name, value in found.items()), "CPU ms per sample")
    missed = False
    for name, ratio in ratios(found).items():
        bar = BARS.get(name, 1 / 15)
        missed |= ratio > bar
        print(f"{name:16} {ratio:6.3f}   bar {bar:.3f}   {'met' if ratio <= bar else 'MISSED'}")
    if "inspect" not in found:
        print("cold / inspect   not measured: inspect_ai is not installed (bar 0.067)")
    return int(missed and not smoke)


if __name__ == "__main__":
    raise SystemExit(main())
