"""An engine that trains nothing and takes a set time: for measuring the server, and for tests of its clients.

It keeps the job folder's contract (lock, state, events, checkpoints, results, control files), inside one event loop.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from ftspec.server.state import Base
from ftspec.spec.errors import DataError
from ftspec.storage import AppendLog, FileLock, read_json, write_atomic, write_json
from ftspec.wire.auto import auto_epochs
from ftspec.wire.responses import TERMINAL
from ftspec.wire.results_csv import format_results

MIN_ROWS = 10
STEPS = 2  # steps an epoch

Result = TypeVar("Result")


@dataclass(frozen=True)
class TimedBase:
    """A base that is a name."""

    name: str
    digest: str


class TimedBases:
    """The names of the embedded engine, without its files."""

    def names(self) -> tuple[str, ...]:
        """Aliases, then the bases."""
        return ("tiny", "ftspec-tiny-1", "ftspec-scratch")

    def resolve(self, name: str) -> Base:
        """Return the base. Raises DataError (`unknown_model`)."""
        if name not in self.names():
            raise DataError("unknown_model", f"there is no model {name!r}")
        name = "ftspec-tiny-1" if name == "tiny" else name
        return TimedBase(name, hashlib.sha256(name.encode()).hexdigest())


class TimedGenerator:
    """Answers each request with the number of its messages, after `seconds`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.requests: list[dict[str, Any]] = []

    async def generate(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return `n` equal choices."""
        self.requests.append(request)
        await asyncio.sleep(self.seconds)
        text = f"{len(request['messages'])} messages"
        choice: dict[str, Any] = {"text": text, "tool_calls": [], "finish_reason": "stop", "logprobs": None}
        tokens = {"prompt_tokens": 3, "completion_tokens": 2 * request["n"]}
        return {"choices": [choice] * request["n"], **tokens, "system_fingerprint": "fp_timed"}

    async def aclose(self) -> None:
        """Nothing is held."""


class TimedLauncher:
    """Runs jobs as tasks of the running event loop, each for `seconds(job)`; all at once, or at most `slots` of them.

    `tick` is how often control files are looked at.
    """

    def __init__(
        self, seconds: Callable[[dict[str, Any]], float], *, tick: float = 0.02, slots: int | None = None
    ) -> None:
        self.seconds, self.tick, self.slots = seconds, tick, slots
        self.running: dict[str, asyncio.Task[None]] = {}
        self.launches = 0

    def launch(self, job_dir: Path) -> None:
        """Start the job's task unless it has one or no slot is free."""
        self.launches += 1
        name = job_dir.name
        if name in self.running or (self.slots is not None and len(self.running) >= self.slots):
            return
        self.running[name] = asyncio.get_running_loop().create_task(self._run(job_dir))
        self.running[name].add_done_callback(lambda _: self.running.pop(name, None))

    async def stop(self) -> None:
        """Kill all tasks where they stand, as a SIGKILL of a worker would."""
        tasks = list(self.running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, job_dir: Path) -> None:
        lock = FileLock(job_dir / "worker.lock")
        if not lock.acquire():
            return
        with lock:
            state: dict[str, Any] = {"status": "queued"}
            if (job_dir / "state.json").exists():
                state = read_json(job_dir / "state.json")
            if state["status"] in TERMINAL:
                return
            (job_dir / "events.jsonl").unlink(missing_ok=True)
            with AppendLog(job_dir / "events.jsonl") as events:
                training = _Training(job_dir, events, self.tick)
                await training.run(self.seconds(training.job), state.get("attempts", 0) + 1)


async def _in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
    """Run blocking writes beside the loop; a cancelled caller waits for those that began."""
    writing = asyncio.get_running_loop().run_in_executor(None, partial(function, *arguments))
    try:
        return await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])
        raise


class _Training:
    """One job on its way."""

    def __init__(self, job_dir: Path, events: AppendLog, tick: float) -> None:
        self.folder, self.events, self.tick = job_dir, events, tick
        self.job = read_json(job_dir / "job.json")
        self.state: dict[str, Any] = {"resolved": None, "checkpoints": [], "error": None}
        self.tokens = 0
        self.rows: list[dict[str, float | None]] = []

    async def run(self, seconds: float, attempt: int) -> None:
        """Go through all states, an epoch at a time; the disk is awaited in threads, as if a worker process wrote."""
        n_epochs = await _in_thread(self._begin, attempt)
        for epoch in range(1, n_epochs + 1):
            if not await self._wait(seconds / n_epochs):
                await _in_thread(self._cancel)
                return
            await _in_thread(self._epoch, epoch, STEPS * n_epochs)
        if n_epochs:
            await _in_thread(self._succeed)

    def _begin(self, attempt: int) -> int:
        """Validate; return the number of epochs, 0 where the file is refused."""
        self._save(status="validating_files", attempts=attempt)
        self._event(f"Created fine-tuning job: {self.job['id']}")
        self._event("Validating training file: " + self.job["training_file_id"])
        rows = (self.folder.parents[1] / self.job["training_file"]).read_bytes().splitlines()
        if len(rows) < MIN_ROWS:
            message = f"The training file has {len(rows)} examples, it needs at least {MIN_ROWS}."
            error = {"code": "invalid_n_examples", "message": message, "param": "training_file"}
            self._save(status="failed", error=error, finished_at=int(time.time()))
            return 0
        wanted = self.job["hyperparameters"]
        auto: dict[str, Any] = {"n_epochs": auto_epochs(len(rows)), "batch_size": 1, "learning_rate_multiplier": 0.1}
        resolved = {name: auto[name] if value == "auto" else value for name, value in wanted.items()}
        self._event("Files validated, moving job to queued state")
        self._event("Fine-tuning job started")
        self._save(status="running", resolved=resolved, started_at=int(time.time()))
        self.tokens = len(rows) * int(resolved["n_epochs"])
        return int(resolved["n_epochs"])

    async def _wait(self, seconds: float) -> bool:
        """Let time pass, but not while paused. False where the job is to be cancelled."""
        left = seconds
        while True:
            if (self.folder / "cancel").exists():
                return False
            paused = (self.folder / "pause").exists()
            if self.state["status"] != ("paused" if paused else "running"):
                await _in_thread(partial(self._save, status="paused" if paused else "running"))
            if left <= 0 and not paused:
                return True
            now = time.monotonic()
            await asyncio.sleep(self.tick if paused else min(self.tick, left))
            left -= 0 if paused else time.monotonic() - now

    def _epoch(self, epoch: int, total: int) -> None:
        for step in range(STEPS * (epoch - 1) + 1, STEPS * epoch + 1):
            metrics = {"step": step, "train_loss": 1 / step, "train_mean_token_accuracy": 1 - 1 / (step + 1)}
            self.rows.append(dict(metrics))
            message = f"Step {step}/{total}: training loss={1 / step:.2f}"
            self._event(message, "metrics", {**metrics, "total_steps": total})
        content = f"{self.job['id']} epoch {epoch}".encode()
        path = f"checkpoints/epoch-{epoch}/weights.npz"
        write_atomic(self.folder / path, content)
        digest = hashlib.sha256(content).hexdigest()
        metrics = {"train_loss": 1 / step, "train_mean_token_accuracy": 1 - 1 / (step + 1)}
        checkpoint = {"epoch": epoch, "step": step, "path": path, "digest": digest, "metrics": metrics}
        self._save(checkpoints=[*self.state["checkpoints"], checkpoint])

    def _cancel(self) -> None:
        self._event("Fine-tuning job cancelled")
        self._save(status="cancelled", finished_at=int(time.time()))

    def _succeed(self) -> None:
        write_atomic(self.folder / "results.csv", format_results(self.rows))
        self._event(f"New fine-tuned model created: {self.job['fine_tuned_model']}")
        self._event("The job has successfully completed")
        digest = self.state["checkpoints"][-1]["digest"]
        counts = {"trained_tokens": self.tokens, "loss_tokens": self.tokens, "weights_digest": digest}
        self._save(status="succeeded", finished_at=int(time.time()), fingerprint={"engine": "timed"}, **counts)

    def _event(self, message: str, kind: str = "message", data: dict[str, Any] | None = None) -> None:
        event = {"created_at": int(time.time()), "level": "info", "message": message, "type": kind, "data": data or {}}
        self.events.append(event)

    def _save(self, **changes: Any) -> None:
        self.state = {**self.state, **changes}
        write_json(self.folder / "state.json", self.state)
