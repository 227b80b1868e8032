"""Answers that were paid for once: a disposable look-up in SQLite, shared by processes.

What lasts are the run's own files.
"""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from ftspec.storage import FileLock

_SCHEMA = 1
_TABLE = "CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, created REAL NOT NULL, body BLOB NOT NULL)"


class ResponseCache:
    """Response bodies by key, usually in `runs/.store/responses.sqlite`.

    Never a reason to fail: a broken file is removed and begun anew, and where none can be written (read-only folder,
    full disk) answers are kept in memory for this process. `problem` then says why. Errors must not be put in.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.problem: str | None = None
        self._db = self._open()

    def get(self, key: str, *, max_age: float | None = None) -> bytes | None:
        """Return the body stored under `key`, unless it is older than `max_age` seconds."""
        try:
            row = self._db.execute("SELECT created, body FROM responses WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            self._fall_back(error)
            return None
        if row is None or (max_age is not None and time.time() - row[0] > max_age):
            return None
        return bytes(row[1])

    def put(self, key: str, body: bytes) -> None:
        """Store a body; a later one under the same key replaces it (the first may have been too old)."""
        try:
            self._db.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?)", (key, time.time(), body))
        except sqlite3.Error as error:
            self._fall_back(error)
            self._db.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?)", (key, time.time(), body))

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _open(self) -> sqlite3.Connection:
        if self.path is None:
            return _in_memory()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return _connect(self.path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                self._remove_broken(self.path)
                return _connect(self.path)
        except (OSError, sqlite3.Error) as error:
            self.problem = f"answers are not cached in {self.path}: {error}"
            return _in_memory()

    def _remove_broken(self, path: Path) -> None:
        """Remove a file that is no database, unless another process has repaired it meanwhile."""
        with FileLock(path.with_name(path.name + ".lock")) as lock:
            lock.acquire(timeout=5)
            try:
                _connect(path).close()
            except sqlite3.DatabaseError:
                for suffix in ("", "-wal", "-shm", "-journal"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)

    def _fall_back(self, error: sqlite3.Error) -> None:
        self.problem = f"answers are not cached in {self.path}: {error}"
        self.close()
        self._db = _in_memory()


def _in_memory() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute(_TABLE)
    return db


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        # WAL lets processes read while one writes; network file systems refuse it, then the default journal stays.
        with suppress(sqlite3.OperationalError):
            db.execute("PRAGMA journal_mode=WAL")
        # Without an fsync per answer: after a power cut some answers are asked again, no file is torn.
        db.execute("PRAGMA synchronous=NORMAL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _SCHEMA):
            db.execute("DROP TABLE IF EXISTS responses")
        db.execute(_TABLE)
        db.execute(f"PRAGMA user_version={_SCHEMA}")
    except BaseException:
        db.close()
        raise
    return db
