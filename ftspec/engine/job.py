"""A job's folder: what the server writes, what the worker answers, and who may work on it. Imports no numpy.

STATE/jobs/<id>/job.json is immutable; state.json, events.jsonl, checkpoints/ and results.csv are the worker's; the
files `cancel` and `pause`, which may be empty, are the controls.
"""

import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftspec.engine.protocol import ModelRef
from ftspec.spec.errors import DataError
from ftspec.storage import AppendLog, FileLock, read_json, write_json

TERMINAL = ("succeeded", "failed", "cancelled")
MAX_ATTEMPTS = 20
SAFE = re.compile(r"[A-Za-z0-9_-]+")
CLAIM_WAIT = 0.25  # others take a lock for an instant to see whether it is held


class Job:
    """One job folder. `claim` before writing anything."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder.parent.parent
        self.lock = FileLock(folder / "worker.lock")
        self._last_event = 0

    # ---- what the server wrote

    def request(self) -> dict[str, Any]:
        """The content of job.json. Raises DataError (`broken_file`)."""
        try:
            request = read_json(self.folder / "job.json")
        except OSError as error:
            raise DataError("broken_file", f"job.json cannot be read: {error.strerror}") from error
        if not isinstance(request, dict) or request.get("id") != self.folder.name:
            raise DataError("broken_file", "job.json does not describe this job")
        return request

    def file(self, relative: str) -> Path:
        """A path inside the state folder. Raises DataError where it leads out of it."""
        path = (self.root / relative).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise DataError("broken_file", f"{relative} lies outside the server's state")
        return path

    def reference(self, base: Mapping[str, Any]) -> ModelRef:
        """Where training starts: a base model, or a checkpoint of an earlier job (its last one without an epoch)."""
        if "name" in base:
            return ModelRef(base=base["name"], digest=base.get("digest"))
        if not SAFE.fullmatch(str(base["job"])):
            raise DataError("broken_file", "the name of the base's job is not a job id")
        folder, epoch = self.root / "jobs" / base["job"], base.get("epoch")
        if epoch is None:
            epoch = Job(folder).state()["checkpoints"][-1]["epoch"]
        weights = folder / "checkpoints" / f"epoch-{int(epoch)}" / "weights.npz"
        return ModelRef(weights=weights, digest=base.get("digest"))

    @property
    def cancel_asked(self) -> bool:
        """Whether the control file `cancel` exists."""
        return (self.folder / "cancel").exists()

    @property
    def pause_asked(self) -> bool:
        """Whether the control file `pause` exists."""
        return (self.folder / "pause").exists()

    # ---- what the worker writes

    def state(self) -> dict[str, Any]:
        """The last state.json, `queued` where there is none."""
        try:
            state: dict[str, Any] = read_json(self.folder / "state.json")
            return state
        except FileNotFoundError:
            return {"status": "queued"}

    def write(self, **changes: Any) -> None:
        """Change some keys of state.json; the change of status is on disk when this returns."""
        write_json(self.folder / "state.json", self.state() | changes)

    @property
    def finished(self) -> bool:
        """Whether the job has come to its end."""
        return self.state()["status"] in TERMINAL

    def claim(self) -> bool:
        """Take the job's lock and start a new attempt; False where another works on it or it is finished."""
        if self.finished or not self.lock.acquire(timeout=CLAIM_WAIT, poll=0.01):
            return False
        if self.finished:
            self.lock.release()
            return False
        return True

    def begin(self) -> None:
        """Clear what a killed attempt left. Raises DataError (`worker_died`) after too many of them."""
        attempts = int(self.state().get("attempts", 0)) + 1
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        for name in ("events.jsonl", "results.csv"):
            (self.folder / name).unlink(missing_ok=True)
        fresh: dict[str, Any] = {
            "resolved": None,
            "started_at": None,
            "finished_at": None,
            "trained_tokens": None,
            "loss_tokens": None,
        }
        fresh |= {"weights_digest": None, "error": None, "checkpoints": [], "fingerprint": None}
        self.write(status="validating_files", attempts=attempts, **fresh)
        if attempts > MAX_ATTEMPTS:
            raise DataError("worker_died", f"the worker died {MAX_ATTEMPTS} times; its last lines: {self.last_lines()}")

    def last_lines(self) -> str:
        """The end of the worker's stderr."""
        try:
            content = (self.folder / "stderr.log").read_bytes()[-2000:]
        except OSError:
            return "(none)"
        return " | ".join(content.decode("utf-8", "replace").split("\n")[-6:]).strip(" |") or "(none)"

    def event(self, message: str, *, level: str = "info", data: Mapping[str, Any] | None = None) -> None:
        """Append one event; times never go back."""
        self._last_event = max(self._last_event, int(time.time()))
        kind = "metrics" if data else "message"
        line = {
            "created_at": self._last_event,
            "level": level,
            "message": message,
            "type": kind,
            "data": dict(data or {}),
        }
        with AppendLog(self.folder / "events.jsonl") as log:
            log.append(line)


def next_queued(root: Path) -> Job | None:
    """The oldest job that nobody works on, claimed for the caller; None where there is none."""
    waiting = []
    for folder in _folders(root):
        job = Job(folder)
        try:
            if (folder / "job.json").exists() and not job.finished and not job.pause_asked:
                waiting.append((_created(job), folder.name, job))
        except DataError:  # a state.json that no worker wrote: the server shows it, no worker can mend it
            continue
    return next((job for _, _, job in sorted(waiting, key=lambda item: item[:2]) if job.claim()), None)


def _folders(root: Path) -> list[Path]:
    try:
        with os.scandir(root / "jobs") as entries:
            return [Path(entry.path) for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []


def _created(job: Job) -> float:
    try:
        return float(job.request()["created_at"])
    except (DataError, KeyError, TypeError, ValueError):
        return 0.0


def slot_count() -> int:
    """How many jobs train at once on this machine: one core stays free."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def slots(root: Path) -> list[FileLock]:
    """The locks that bound the number of workers."""
    return [FileLock(root / "slots" / f"{k}.lock") for k in range(slot_count())]


def take_slot(root: Path) -> FileLock | None:
    """A free slot, taken; None where all are in use."""
    deadline = time.monotonic() + CLAIM_WAIT
    while True:
        for slot in slots(root):
            if slot.acquire():
                return slot
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.02)
