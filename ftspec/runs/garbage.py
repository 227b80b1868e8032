"""What no run needs any more: blobs that nothing names, half-written leftovers, and on request what can be made again.

A blob is named by every SEALED, run.json, model.json and scores.json below `runs/`, and by committed locks and
results. Names are looked for as 64 hex in the bytes of these files, so that one of a newer version, or one that cannot
be parsed, still protects what it names.
"""

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftspec.runs.seal import is_sealed
from ftspec.spec.errors import DataError, StorageError
from ftspec.storage import FileLock, read_json

Kind = Literal["blob", "leftover", "cache", "embedded job"]
# Whoever writes puts a blob first and names it then: what is younger than this is left alone.
GRACE_SECONDS = 3600.0
_HEX = re.compile(rb"[0-9a-f]{64}")
_NAMING = (
    "[!.]*/*/run.json",
    "[!.]*/*/attempts/*/model.json",
    "[!.]*/*/evals/*/scores.json",
    "[!.]*/baselines/*/scores.json",
)
_SEALS = ("[!.]*/*/attempts/*/SEALED", "[!.]*/*/evals/*/SEALED", "[!.]*/baselines/*/SEALED")


@dataclass(frozen=True)
class Garbage:
    """A file or folder that can go."""

    path: Path
    kind: Kind
    bytes: int


def find_garbage(
    runs: Path, committed: Iterable[Path], *, caches: bool = False, embedded: bool = False
) -> list[Garbage]:
    """Return what can be removed; `committed` are the locks and results that name blobs too.

    `caches` adds `runs/.cache`, `embedded` the embedded server's jobs whose weights are sealed in a run.
    """
    if not runs.is_dir():
        return []
    now = time.time()
    found = [*_blobs(runs, committed, now), *_leftovers(runs, now)]
    if caches and (runs / ".cache").is_dir():
        found.append(Garbage(runs / ".cache", "cache", _size(runs / ".cache")))
    if embedded:
        found += _jobs(runs)
    return found


def remove(runs: Path, garbage: Iterable[Garbage]) -> int:
    """Remove what was found, unless it was used since; return the bytes freed. Raises StorageError."""
    lock = FileLock(runs / ".store" / "locks" / "create.lock")
    if not lock.acquire(timeout=60):
        raise StorageError("busy", "another process makes run directories just now", file=str(lock.path))
    freed = 0
    with lock:
        for one in garbage:
            try:
                if one.kind == "blob":
                    if not _idle(one.path, time.time()):
                        continue
                    one.path.unlink(missing_ok=True)
                elif one.path.is_dir():
                    shutil.rmtree(one.path)
                else:
                    one.path.unlink(missing_ok=True)
            except OSError as error:
                raise StorageError.of(error, one.path) from error
            freed += one.bytes
    return freed


def _blobs(runs: Path, committed: Iterable[Path], now: float) -> Iterator[Garbage]:
    named = _named(runs, committed)
    for path in sorted((runs / ".store" / "sha256").glob("??/*")):
        sha256 = f"{path.parent.name}{path.name}"
        if _HEX.fullmatch(sha256.encode()) and sha256.encode() not in named and _idle(path, now):
            yield Garbage(path, "blob", path.stat().st_size)


def _named(runs: Path, committed: Iterable[Path]) -> set[bytes]:
    named: set[bytes] = set()
    paths = [path for pattern in (*_NAMING, *_SEALS) for path in runs.glob(pattern)]
    for path in [*paths, *committed]:
        try:
            named.update(_HEX.findall(path.read_bytes()))
        except FileNotFoundError:
            continue
        except OSError as error:  # it may name anything
            raise DataError("unreadable", f"cannot read: {error.strerror}", file=str(path)) from error
    return named


def _idle(path: Path, now: float) -> bool:
    """Whether a file is old enough, and no run's file shares its bytes by a hard link."""
    with suppress(OSError):
        facts = path.stat()
        return facts.st_nlink == 1 and facts.st_mtime < now - GRACE_SECONDS
    return False


def _leftovers(runs: Path, now: float) -> Iterator[Garbage]:
    """What killed writers left: temp files of blobs, run directories and parcels that never got their name."""
    candidates = [
        *runs.glob(".incoming.*"),
        *runs.glob("[!.]*/.*.tmp"),
        *(runs / ".store" / "sha256").glob("??/.*.tmp"),
    ]
    for path in sorted(candidates):
        with suppress(OSError):
            if path.lstat().st_mtime < now - GRACE_SECONDS:
                yield Garbage(path, "leftover", _size(path))


def _jobs(runs: Path) -> Iterator[Garbage]:
    """The embedded server's jobs whose tuned weights a sealed attempt holds; a model is put back when it is asked."""
    for attempt in sorted(runs.glob("[!.]*/*/attempts/*")):
        if not is_sealed(attempt) or not (attempt / "weights.npz").is_file():
            continue
        with suppress(DataError, OSError, KeyError, TypeError):
            job = str(read_json(attempt / "model.json")["job"])
            folder = runs / ".embedded" / "jobs" / job
            if re.fullmatch(r"[A-Za-z0-9-]+", job) and folder.is_dir():
                yield Garbage(folder, "embedded job", _size(folder))


def _size(path: Path) -> int:
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                total += os.lstat(f"{folder}/{name}").st_size
    return total
