"""How a job stands, as told by the files of its folder; jobs that lost their worker get a new one."""

import time
from pathlib import Path
from typing import Any

from ftspec.server.records import Record
from ftspec.server.state import Launcher, State
from ftspec.storage import AppendLog, FileLock, is_locked, read_json, write_atomic, write_json
from ftspec.wire.responses import TERMINAL

RELAUNCH_SECONDS = 2.0
REMEMBERED = 4096

Standing = dict[str, Any]


class Supervisor:
    """Reads `state.json` of jobs, controls them by files, and launches what is queued or was orphaned."""

    def __init__(self, state: State, launcher: Launcher) -> None:
        self.state, self.launcher = state, launcher
        self._launched: dict[str, float] = {}
        self._over: dict[str, Standing] = {}

    def launch(self, job: Record) -> None:
        """Ask for a worker now. Raises what the launcher raises; the job stays queued."""
        self._launched[job["id"]] = time.monotonic()
        self.launcher.launch(self.state.jobs.folder(job["id"]))

    def recover(self) -> None:
        """Look at every job once, oldest first, so that orphans of a killed server or worker go on."""
        for job in reversed(self.state.jobs.newest_first()):
            self.standing(job)

    def standing(self, job: Record) -> Standing:
        """Return the worker's state with the status that clients shall see. Launches a job without a worker."""
        identifier = job["id"]
        folder = self.state.jobs.folder(identifier)
        standing = self._read(identifier, folder)
        if standing["status"] in TERMINAL:
            return standing
        if (folder / "cancel").exists():
            return self._cancel_unheld(identifier, folder) or standing
        if standing["status"] == "paused" and not (folder / "pause").exists():
            standing = {**standing, "status": "queued"}  # resumed: its worker, or a new one, will say so
        if time.monotonic() - self._launched.get(identifier, -RELAUNCH_SECONDS) < RELAUNCH_SECONDS:
            return standing
        if is_locked(folder / "worker.lock"):
            return standing
        # Nobody works on it. It may have ended since it was read, and then the last word is on disk.
        standing = self._read(identifier, folder)
        if standing["status"] in TERMINAL:
            return standing
        if (folder / "pause").exists():
            return {**standing, "status": "paused"}
        self.launch(job)
        return {**standing, "status": "queued"}

    def cancel(self, job: Record) -> Standing:
        """Ask the worker to stop, or end a job that has none. A job that is over stays as it is."""
        folder = self.state.jobs.folder(job["id"])
        standing = self._read(job["id"], folder)
        if standing["status"] in TERMINAL:
            return standing
        write_atomic(folder / "cancel", b"")
        return self._cancel_unheld(job["id"], folder) or self._read(job["id"], folder)

    def pause(self, job: Record) -> Standing:
        """Ask the worker to wait between two steps; a queued job is not started."""
        write_atomic(self.state.jobs.folder(job["id"]) / "pause", b"")
        return self.standing(job)

    def resume(self, job: Record) -> Standing:
        """Take the request to pause back."""
        (self.state.jobs.folder(job["id"]) / "pause").unlink(missing_ok=True)
        self._launched.pop(job["id"], None)
        return self.standing(job)

    def _cancel_unheld(self, identifier: str, folder: Path) -> Standing | None:
        """Write the end of a job without a worker. None where a worker holds it: it will see the file `cancel`."""
        lock = FileLock(folder / "worker.lock")
        if not lock.acquire():
            return None
        with lock:
            standing = self._read(identifier, folder)
            if standing["status"] in TERMINAL:
                return standing
            now = int(time.time())
            ended = {**standing, "status": "cancelled", "finished_at": now}
            messages = ["Fine-tuning job cancelled"]
            if "attempts" not in standing:  # no worker ever began, so the log is empty
                messages.insert(0, f"Created fine-tuning job: {identifier}")
            with AppendLog(folder / "events.jsonl") as events:
                for message in messages:
                    event = {"created_at": now, "level": "info", "message": message, "type": "message", "data": {}}
                    events.append(event)
            write_json(folder / "state.json", ended)
            return ended

    def _read(self, identifier: str, folder: Path) -> Standing:
        if identifier in self._over:
            return self._over[identifier]
        try:
            standing: Standing = read_json(folder / "state.json")
        except FileNotFoundError:
            return {"status": "queued"}
        if standing["status"] in TERMINAL:
            if len(self._over) >= REMEMBERED:
                self._over.pop(next(iter(self._over)))
            self._over[identifier] = standing
        return standing
