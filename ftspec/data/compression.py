"""Opening source files: plain, gzip or zstd (extra `ftspec[zstd]`), as they were when their digest was taken."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from ftspec.data.extras import extra
from ftspec.data.sources import InputFile
from ftspec.spec.errors import Problem

_ZSTD_INPUT = 2048  # bytes handed over at once: a block of 4 bytes may hold 128 KiB, so this bounds what comes out


class ReadError(Exception):
    """A file cannot be read any further; holds the problem. Rows before it have been given out."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@contextmanager
def opened(source: InputFile) -> Iterator[IO[bytes]]:
    """Open a source and decompress it.

    Raises ReadError for broken or truncated compression, for a file that cannot be read, and for one that changes
    meanwhile: its rows would not be those of its digest.
    """
    try:
        with source.real.open("rb") as raw:
            _check(raw, source)
            yield _decompressed(raw, source)
            _check(raw, source)
    except (EOFError, zlib.error, gzip.BadGzipFile, _ZstdError) as error:
        cut, kind = isinstance(error, EOFError), source.compression
        message = f"the {kind} file is cut off" if cut else f"not a valid {kind} file: {error}"
        fix = "copy or download it again"
        raise ReadError(Problem("truncated" if cut else str(kind), message, file=source.path, fix=fix)) from error
    except OSError as error:
        message = f"cannot read {source.path}: {error.strerror or error}"
        raise ReadError(Problem("unreadable_file", message, file=source.path)) from error


def _check(raw: IO[bytes], source: InputFile) -> None:
    stat = os.fstat(raw.fileno())
    if (stat.st_size, stat.st_mtime_ns, stat.st_ino) != source.stamp:
        fix = "let what writes it finish, then give the same command again"
        raise ReadError(Problem("file_changed", f"{source.path} changed while it was read", file=source.path, fix=fix))


def _decompressed(raw: IO[bytes], source: InputFile) -> IO[bytes]:
    if source.compression == "gzip":
        return gzip.open(raw, "rb")  # type: ignore[return-value]
    if source.compression == "zstd":
        return io.BufferedReader(_Zstd(raw, extra("zstandard", "zstd", source.path)), 1 << 20)
    return raw


class _ZstdError(Exception):
    """What zstandard found wrong."""


class _Zstd(io.RawIOBase):
    """The bytes of one or several zstd frames; unlike zstandard's own reader it tells a frame that is cut off."""

    def __init__(self, raw: IO[bytes], zstandard: Any) -> None:
        self._raw, self._library = raw, zstandard
        self._frame: Any = None
        self._input = b""
        self._output = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer. Raises EOFError inside a frame."""
        while not self._output:
            self._input = self._input or self._raw.read(_ZSTD_INPUT)
            if not self._input:
                if self._frame is not None:
                    raise EOFError
                return 0
            self._frame = self._frame or self._library.ZstdDecompressor().decompressobj()
            try:
                self._output = memoryview(self._frame.decompress(self._input))
            except self._library.ZstdError as error:
                raise _ZstdError(str(error)) from error
            self._input = self._frame.unused_data if self._frame.eof else b""
            self._frame = None if self._frame.eof else self._frame
        size = min(len(buffer), len(self._output))
        buffer[:size], self._output = self._output[:size], self._output[size:]
        return size
