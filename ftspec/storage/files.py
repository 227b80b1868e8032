"""Whole files, replaced in one step: temp file in the same folder, fsync, rename, fsync of the folder."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ftspec.spec.errors import DataError, StorageError


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable. Systems that cannot open a folder (Windows) sync renames themselves."""
    with suppress(PermissionError, IsADirectoryError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def require_writable(folder: Path) -> None:
    """Find out without writing whether files can be made in `folder`. Raises StorageError: no permission, read-only."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        number = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
        raise StorageError.of(OSError(number, os.strerror(number)), folder)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a temp file beside `path` that takes its place when the block ends well; a reader sees all of it or nothing.

    Raises StorageError (disk full, read-only folder) with nothing half-written left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise StorageError.of(error, path) from error
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def move_folder(source: Path, target: Path) -> None:
    """Rename a folder to where nothing lies yet, durably. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
    sync_folder(target.parent)


def write_atomic(path: Path, content: bytes | str, *, mode: int = 0o644) -> None:
    """Replace `path` by `content` so that a reader sees the old bytes or the new ones, also after a crash.

    Raises StorageError (disk full, read-only folder) with nothing half-written left behind.
    """
    with replacing(path, mode=mode) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented UTF-8 JSON with one trailing newline."""
    write_atomic(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of ours. Raises DataError where it is not JSON, FileNotFoundError where it is missing."""
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise DataError("broken_file", f"{path} is not valid JSON: {error}", file=str(path)) from error


def sha256_file(path: Path) -> str:
    """Return the hex sha256 of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
