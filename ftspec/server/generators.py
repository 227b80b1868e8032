"""Generator processes: JSON lines over pipes, started at the first request, started again when they die."""

import asyncio
import hashlib
import itertools
import os
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

LINE_BYTES = 256 * 2**20
STDERR_LINES = 20
GRACE_SECONDS = 2.0


class ProcessGone(Exception):  # noqa: N818 - not an error to a caller: the request is tried once more
    """The process ended with requests open."""


class GeneratorProcess:
    """One long-lived process. Requests are answered by `id`, in any order; it ends at end of file on its stdin.

    `command` and `environment` start it, in a process group of its own so that Ctrl-C reaches the parent alone.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.command, self.environment = tuple(command), dict(environment)
        self._numbers = itertools.count(1)
        self._process: asyncio.subprocess.Process | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._open: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._starting: asyncio.Lock | None = None

    async def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer. A process that dies is started again and asked once more; then `generator_failed`."""
        for _ in range(2):
            with suppress(ProcessGone):
                return await self._ask(request)
        tail = "\n".join(self._stderr)
        message = f"The generator process ended twice on this request: {tail or 'it said nothing'}"
        return {"error": {"code": "generator_failed", "message": message, "param": None}}

    async def aclose(self) -> None:
        """End the process by closing its stdin; kill it where that takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        if self._loop is not asyncio.get_running_loop():  # its loop is gone, and the pipes with it
            with suppress(ProcessLookupError):
                process.kill()
            return
        assert process.stdin is not None
        process.stdin.close()
        await _ended(process)
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = await self._running()
        assert process.stdin is not None
        number = str(next(self._numbers))
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        try:
            process.stdin.write(msgspec.json.encode({"id": number, **request}) + b"\n")
            await process.stdin.drain()
            return await answer
        except ConnectionError as error:
            raise ProcessGone from error
        finally:
            self._open.pop(number, None)
            answer.cancel()

    async def _running(self) -> asyncio.subprocess.Process:
        """The process, started where there is none on this event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            await self.aclose()
            self._loop, self._starting, self._open = loop, asyncio.Lock(), {}
        assert self._starting is not None
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return self._process
            pipe = asyncio.subprocess.PIPE
            self._process = process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=self.environment,
                limit=LINE_BYTES,
                process_group=0,
            )
            self._readers = [
                loop.create_task(self._read_answers(process)),
                loop.create_task(self._read_stderr(process)),
            ]
            return process

    async def _read_answers(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                answer = msgspec.json.decode(line)
                waiting = self._open.get(answer["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        finally:  # end of file, or a line that is no answer: nothing more comes from this process
            await _ended(process)
            for waiting in self._open.values():
                if not waiting.done():
                    waiting.set_exception(ProcessGone())

    async def _read_stderr(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self._stderr.append(line.decode(errors="replace").rstrip())


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait for the process to end, and kill it where that takes too long.

    Not killed at once: a signal to a process that is just ending makes the standard library reap it behind the back of
    asyncio's child watcher, which then complains of an unknown child.
    """
    try:
        await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class GeneratorPool:
    """A few processes; a model always goes to the same one, so that its weights are held once."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], size: int) -> None:
        self._processes = [GeneratorProcess(command, environment) for _ in range(size)]

    async def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of the process that has the model."""
        model = request["model"]
        name = str(model.get("digest") or model["base"])
        share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        return await self._processes[share % len(self._processes)].generate(request)

    async def aclose(self) -> None:
        """End all processes."""
        await asyncio.gather(*(process.aclose() for process in self._processes))


def engine_generators() -> GeneratorPool:
    """The embedded engine's generators: at most two processes, one where there is one core."""
    from ftspec.engine.environment import environment

    command = (sys.executable, "-m", "ftspec.engine.generator")
    return GeneratorPool(command, environment(), max(1, min(2, os.cpu_count() or 1)))
