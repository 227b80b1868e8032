"""Fixtures of the engine's tests: jobs in a state folder, workers, pinned child processes, the benchmark's tasks."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ftspec.engine.bases import Base, resolve
from ftspec.engine.environment import environment

# Threads of small matrices spin against each other on a busy machine; too late, and harmless, where numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
WAIT = 60.0


@pytest.fixture(scope="session")
def tiny() -> Base:
    """The shipped base."""
    return resolve("tiny")


@pytest.fixture(scope="session")
def tasks(repository: Path) -> ModuleType:
    """bench/engine_tasks.py."""
    spec = importlib.util.spec_from_file_location("engine_tasks", repository / "bench" / "engine_tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pinned() -> Callable[..., str]:
    """Run Python code in a pinned child; returns its stdout."""

    def run(code: str, *arguments: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env=environment() | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def label_rows(n: int) -> list[dict[str, Any]]:
    """Short rows that cost little to train."""
    return [
        {
            "messages": [
                {"role": "system", "content": "Label."},
                {"role": "user", "content": f"text number {i}"},
                {"role": "assistant", "content": "odd" if i % 2 else "even"},
            ]
        }
        for i in range(n)
    ]


class Jobs:
    """A server's state folder, as the server room writes it."""

    def __init__(self, root: Path, base: Base) -> None:
        self.root, self.base = root, base

    def file(self, rows: list[Any] | bytes, name: str = "file-1") -> str:
        folder = self.root / "files" / name
        folder.mkdir(parents=True, exist_ok=True)
        content = rows if isinstance(rows, bytes) else "".join(json.dumps(row) + "\n" for row in rows).encode()
        (folder / "content").write_bytes(content)
        return f"files/{name}/content"

    def make(self, name: str, rows: list[Any] | bytes | None = None, **changes: Any) -> Path:
        folder = self.root / "jobs" / f"ftjob-{name}"
        folder.mkdir(parents=True)
        rows = label_rows(20) if rows is None else rows
        job = {
            "id": folder.name,
            "created_at": 1_700_000_000,
            "model": "tiny",
            "base": {"name": self.base.name, "digest": self.base.digest},
            "training_file": self.file(rows, f"file-{name}"),
            "validation_file": None,
            "hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": "auto"},
            "seed": 7,
            "fine_tuned_model": f"ft:{self.base.name}:embedded::{name}",
            "suffix": None,
            "metadata": {},
            "fault": None,
        }
        (folder / "job.json").write_text(json.dumps(job | changes))
        return folder

    def state(self, folder: Path) -> dict[str, Any]:
        try:
            return json.loads((folder / "state.json").read_text())
        except FileNotFoundError:
            return {"status": "queued"}

    def events(self, folder: Path) -> list[dict[str, Any]]:
        try:
            lines = (folder / "events.jsonl").read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def steps(self, folder: Path) -> int:
        return sum(event["type"] == "metrics" for event in self.events(folder))

    def worker(self, folder: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start a worker in the foreground; the caller waits for it."""
        command = [sys.executable, "-m", "ftspec.engine.worker", str(folder)]
        return subprocess.Popen(command, env=environment() | variables, stderr=subprocess.DEVNULL)

    def run(self, folder: Path) -> dict[str, Any]:
        assert self.worker(folder).wait(WAIT) == 0
        return self.state(folder)

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < deadline, "waited too long"
            time.sleep(0.02)


@pytest.fixture
def jobs(tmp_path: Path, tiny: Base) -> Jobs:
    """An empty state folder."""
    return Jobs(tmp_path / "state", tiny)
