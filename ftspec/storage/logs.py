"""Append-only JSON lines: one write a line, a torn last line is ignored by readers and cut by the next writer."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ftspec.spec.errors import DataError, StorageError


class AppendLog:
    """One writer of a JSON-lines file; `append` returns after the line reached the system (the disk, if `durable`)."""

    def __init__(self, path: Path, *, durable: bool = False) -> None:
        self.path, self.durable = path, durable
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_torn_line(path)
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise StorageError.of(error, path) from error

    def append(self, value: Any, *, durable: bool | None = None) -> None:
        """Append one line. `durable` overrides the log's own setting for this line."""
        self.append_bytes(json.dumps(value, ensure_ascii=False, allow_nan=False).encode(), durable=durable)

    def append_bytes(self, line: bytes, *, durable: bool | None = None) -> None:
        """Append an already encoded JSON document, which must hold no newline."""
        if b"\n" in line:
            raise ValueError("a log line must not hold a newline")
        try:
            view = memoryview(line + b"\n")
            while view:
                view = view[os.write(self._fd, view) :]
            if self.durable if durable is None else durable:
                os.fsync(self._fd)
        except OSError as error:
            raise StorageError.of(error, self.path) from error

    def close(self) -> None:
        """Close the file; appending afterwards is an error."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _cut_torn_line(path: Path) -> None:
    """Truncate a last line without newline: its writer was killed, so it never counted."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        size = stream.seek(0, os.SEEK_END)
        end = size
        while end > 0:
            start = max(0, end - 65536)
            stream.seek(start)
            newline = stream.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end != size:
            stream.truncate(end)


def read_log(path: Path) -> Iterator[Any]:
    """Yield the values of a JSON-lines file; a torn last line is left out, a missing file is empty.

    Raises DataError for a complete line that is not JSON.
    """
    if not path.exists():
        return
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError as error:
                message = f"line {number} is not valid JSON: {error}"
                raise DataError("broken_file", message, file=str(path), line=number) from error
