"""Rendered files, written in blocks while their digest is taken."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20


@dataclass
class PartWriter:
    """One rendered file and the sums over its rows."""

    role: str
    path: Path
    sha256: Any = field(default_factory=hashlib.sha256)
    size: int = 0
    rows: int = 0
    tokens: int = 0
    learned_tokens: int = 0
    messages: int = 0
    learned_messages: int = 0

    def __post_init__(self) -> None:
        self._stream = self.path.open("wb", 0)
        self._waiting: list[bytes] = []
        self._bytes = 0

    def write(self, line: bytes) -> None:
        """Append one line, which ends with a newline."""
        self._waiting.append(line)
        self._bytes += len(line)
        self.rows += 1
        if self._bytes >= _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Hand waiting lines to the system."""
        block = b"".join(self._waiting)
        self._waiting.clear()
        self.size += len(block)
        self._bytes = 0
        self.sha256.update(block)
        view = memoryview(block)
        while view:
            view = view[self._stream.write(view) :]

    def discard(self) -> None:
        """Close the file without what waits; harmless when closed."""
        self._waiting.clear()
        self._stream.close()

    def close(self) -> None:
        """Write what waits and close the file."""
        self.flush()
        self._stream.close()

    def abandon(self) -> None:
        """Close the file without what waits; harmless when closed."""
        self._stream.close()
