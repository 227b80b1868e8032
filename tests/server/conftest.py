"""A server in process over the timed engine, and the real SDK in strict mode as its client."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest

from ftspec.server.app import create_app
from ftspec.server.timed import TimedBases, TimedGenerator, TimedLauncher
from ftspec.storage import read_log

Scenario = Callable[[SimpleNamespace], Awaitable[Any]]


def rows(n: int, seed: int = 0) -> bytes:
    lines = []
    for i in range(n):
        messages = [{"role": "user", "content": f"say {seed}-{i}"}, {"role": "assistant", "content": f"{i}"}]
        lines.append(json.dumps({"messages": messages}))
    return ("\n".join(lines) + "\n").encode()


@asynccontextmanager
async def served(state: Path, *, wrap: Any = None, **options: Any) -> AsyncIterator[SimpleNamespace]:
    """Yield app, client (SDK), http (raw), launcher, generator over a state folder."""
    seconds = options.pop("seconds", 0.05)
    launcher = options.pop("launcher", None) or TimedLauncher(lambda _: seconds, **options)
    generator = TimedGenerator()
    app = create_app(state, launcher=launcher, generate=generator, bases=TimedBases())
    app.state.recover()
    outer = app if wrap is None else wrap(app)
    transport = httpx2.ASGITransport(app=outer, raise_app_exceptions=False)
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://embedded/v1") as http,
        openai.AsyncOpenAI(
            base_url="http://embedded/v1",
            api_key="none",
            http_client=httpx2.AsyncClient(transport=transport),
            max_retries=0,
            _strict_response_validation=True,
        ) as client,
    ):
        things = SimpleNamespace(
            app=app, client=client, http=http, launcher=launcher, generator=generator, state=state, rows=rows
        )
        try:
            yield things
        finally:
            await launcher.stop()
            await app.state.close()


async def upload(things: SimpleNamespace, n: int = 40, seed: int = 0) -> str:
    file = await things.client.files.create(file=(f"train-{seed}.jsonl", rows(n, seed)), purpose="fine-tune")
    return file.id


async def until(things: SimpleNamespace, job: str, *statuses: str) -> Any:
    """Poll until the job has one of the statuses (terminal ones by default)."""
    wanted = statuses or ("succeeded", "failed", "cancelled")
    async with asyncio.timeout(20):
        while True:
            answer = (await things.http.get(f"fine_tuning/jobs/{job}")).json()
            if answer["status"] in wanted:
                return answer
            await asyncio.sleep(0.01)


def posts(state: Path, ending: str) -> int:
    """POSTs that reached the app, by its own log."""
    log = read_log(state / "access.jsonl")
    return sum(line["event"] == "request" and line["path"].endswith(ending) for line in log)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Any]:
    """Run a coroutine function against a fresh server over the test's own state folder."""

    def run(scenario: Scenario, **options: Any) -> Any:
        async def main() -> Any:
            async with served(options.pop("state", tmp_path / "state"), **options) as things:
                return await scenario(things)

        return asyncio.run(main())

    return run


@pytest.fixture
def helpers() -> SimpleNamespace:
    return SimpleNamespace(upload=upload, until=until, posts=posts, rows=rows, served=served)
