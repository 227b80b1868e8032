"""Advisory locks between processes, released by the system when their holder dies.

A lock file is never replaced by rename: the lock belongs to the inode, so a new file would be a new lock.
"""

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ftspec.spec.errors import StorageError


class FileLock:
    """An exclusive flock on `path`. Not reentrant; forked children share it, spawned ones do not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd: int | None = None

    def acquire(self, *, timeout: float | None = None, poll: float = 0.05) -> bool:
        """Take the lock, waiting up to `timeout` seconds (None: do not wait). Return whether it is held."""
        deadline = time.monotonic() + (timeout or 0.0)
        while not self._try():
            if time.monotonic() >= deadline:
                return False
            time.sleep(poll)
        return True

    def _try(self) -> bool:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StorageError.of(error, self.path) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise StorageError.of(error, self.path) from error
        self._fd = fd
        return True

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def release(self) -> None:
        """Give the lock back; harmless when it is not held. The file stays, since others may be waiting on it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()


def is_locked(path: Path) -> bool:
    """Whether another holder has the lock now. Takes it for an instant to find out: ask only where that is harmless."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        return not lock.acquire()
    finally:
        lock.release()
