"""Contents of a revision's files, each bounded before it is read."""

import subprocess
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from ftspec.compose.git import git
from ftspec.compose.revision import Revision, printable
from ftspec.compose.scan import MAX_BYTES
from ftspec.spec.errors import DataError, UnsafeError

MAX_DATA_BYTES = 256 * 1024 * 1024


class Blobs:
    """Reads blobs of one repository; their sizes are asked for first, so that nothing too large is ever read."""

    def __init__(self, top: Path, process: "subprocess.Popen[bytes]") -> None:
        self._top, self._process = top, process
        self._sizes: dict[str, int] = {}
        self._small: dict[str, bytes] = {}

    def measure(self, oids: Iterable[str]) -> None:
        """Learn the sizes of blobs in one call. Raises DataError where one is missing (a partial clone)."""
        wanted = sorted({oid for oid in oids if oid and oid not in self._sizes})
        if not wanted:
            return
        done = git(self._top, "cat-file", "--batch-check", stdin="".join(f"{o}\n" for o in wanted).encode())
        for oid, line in zip(wanted, done.stdout.decode("ascii", "replace").splitlines(), strict=False):
            found = line.split(" ")
            if len(found) == 3 and found[1] == "blob":
                self._sizes[oid] = int(found[2])
        if any(oid not in self._sizes for oid in wanted):
            fix = "this is a partial clone: fetch it whole, `git fetch --refetch --no-filter`"
            raise DataError("no_blob", "files of this revision are not in the clone, and nothing is fetched", fix=fix)

    def size(self, revision: Revision, path: str) -> int:
        """Return the size of a file in bytes."""
        entry = revision.files.get(path)
        if entry is None or not entry.oid:
            assert revision.disk is not None
            return (revision.disk / path).stat().st_size
        self.measure([entry.oid])
        return self._sizes[entry.oid]

    def read(self, revision: Revision, path: str, limit: int = MAX_BYTES) -> bytes:
        """Return a small file. Raises UnsafeError before reading one larger than `limit`."""
        if self.size(revision, path) > limit:
            raise too_large(path, limit)
        entry = revision.files.get(path)
        if entry is None or not entry.oid:
            assert revision.disk is not None
            return (revision.disk / path).read_bytes()
        if entry.oid not in self._small:
            self._small[entry.oid] = b"".join(self._stream(entry.oid))
        return self._small[entry.oid]

    def copy(self, revision: Revision, path: str, target: IO[bytes], limit: int, line: int | None) -> None:
        """Copy a data file block by block. Raises UnsafeError for one that is too large or has a line that is."""
        if self.size(revision, path) > limit:
            raise too_large(path, limit)
        entry = revision.files.get(path)
        blocks = self._stream(entry.oid) if entry is not None and entry.oid else _blocks(revision, path)
        check = _Lines(path, limit, line) if line is not None else None
        for block in blocks:
            if check is not None:
                check.see(block)
            target.write(block)

    def _stream(self, oid: str) -> Iterator[bytes]:
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answered is not None
        asked.write(f"{oid}\n".encode())
        asked.flush()
        head = answered.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise DataError("no_blob", f"git cannot read the object {oid}")
        left = int(head[2])
        while left:
            block = answered.read(min(left, 1 << 20))
            if not block:
                raise DataError("no_blob", f"git stopped inside the object {oid}")
            left -= len(block)
            yield block
        answered.read(1)


class _Lines:
    """Bounds the lines of a data file while it is copied, and what comes out of a gzip file, which no size tells."""

    def __init__(self, path: str, most: int, line: int) -> None:
        self._path, self._most, self._line = path, most, line
        self._gzip = zlib.decompressobj(wbits=31) if path.endswith(".gz") else None
        self._tail = self._total = 0

    def see(self, block: bytes) -> None:
        """Look at the next block. Raises UnsafeError; broken gzip is left to its reader."""
        if self._gzip is None:
            self._count(block)
            return
        while block:
            try:
                self._count(self._gzip.decompress(block, 1 << 20))
            except zlib.error:
                return
            block = self._gzip.unconsumed_tail
            if self._gzip.eof:
                block = self._gzip.unused_data
                self._gzip = zlib.decompressobj(wbits=31)

    def _count(self, block: bytes) -> None:
        first, *rest = block.split(b"\n")
        self._total += len(block)
        self._tail += len(first)
        longest = max([self._tail, *map(len, rest)])
        self._tail = len(rest[-1]) if rest else self._tail
        if longest > self._line:
            raise UnsafeError("limit", f"{printable(self._path)} holds a line of more than {self._line >> 10} KiB")
        if self._total > self._most:
            raise too_large(self._path, self._most)


def _blocks(revision: Revision, path: str) -> Iterator[bytes]:
    assert revision.disk is not None
    with (revision.disk / path).open("rb") as stream:
        while block := stream.read(1 << 20):
            yield block


def too_large(path: str, limit: int) -> UnsafeError:
    """Word that a file is over its limit."""
    return UnsafeError("limit", f"larger than {limit >> 10:,} KiB", file=printable(path))
