"""Hashing much: each content on disk once, however many hard links name it, with word of how far it is."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

_BLOCK = 1 << 20


class Hashing:
    """Hashes files within one call of a command. `read` is told the bytes of each block, and of what needed no reading.

    A file is known again by device, inode, size and times: whoever changes it meanwhile changes these.
    """

    def __init__(self, read: Callable[[int], None] = lambda _: None) -> None:
        self._read = read
        self._known: dict[tuple[int, ...], str] = {}

    def sha256(self, path: Path) -> str:
        """Return the hex sha256 of a file's bytes. Raises OSError."""
        with path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            key = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
            if facts.st_nlink > 1 and (known := self._known.get(key)) is not None:
                self._read(facts.st_size)
                return known
            found = hashlib.sha256()
            while block := stream.read(_BLOCK):
                found.update(block)
                self._read(len(block))
        self._known[key] = found.hexdigest()
        return self._known[key]
