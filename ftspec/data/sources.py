"""Which files a data set is made of: globs, digests with a memo, pins, and what to say about a missing file."""

import difflib
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ftspec.data.cache import Cache, content_id
from ftspec.data.origins import Home, origins
from ftspec.data.remote import copies
from ftspec.spec.dataset import Dataset, Source
from ftspec.spec.errors import DataError, FtspecError, Problem, Problems, UnsafeError
from ftspec.storage import sha256_file

Format = Literal["jsonl", "json", "csv", "parquet"]
Compression = Literal["gzip", "zstd"]
Stamp = tuple[int, int, int]
_SUFFIXES: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_COMPRESSED: dict[str, Compression] = {".gz": "gzip", ".zst": "zstd"}
MAX_LINE = 64 * 1024 * 1024  # no row is longer: files of another kind are refused before they fill the memory
_TICK = 20_000_000  # ns; a file written within one tick of its digest could change unseen


@dataclass(frozen=True)
class InputFile:
    """One file to read.

    `where` is the spec path of its source, `group` its number in `origins`, `home` the part it is bound to, `stamp` its
    size, time (ns) and inode when its digest was taken; `field`, `columns` and `delimiter` as in the spec.
    """

    path: str
    real: Path
    sha256: str
    bytes: int
    format: Format
    compression: Compression | None
    where: str
    group: int
    stamp: Stamp
    home: Home = "train"
    field: str | None = None
    columns: tuple[str, ...] | None = None
    delimiter: str | None = None

    def to_json(self) -> list[Any]:
        """Return everything that decides the rows, as plain JSON, for cache ids."""
        facts = [self.path, self.sha256, self.format, self.compression, self.home, self.group, self.field, self.columns]
        return facts if self.delimiter is None else [*facts, self.delimiter]


def find_inputs(dataset: Dataset, root: Path, cache: Cache) -> list[InputFile]:
    """Return the files of `dataset`, globs in sorted order, in the order of `origins`.

    Raises DataError with every missing, empty or altered file at once, UnsafeError where a path lies outside `root`.
    """
    found, wrong = look_for_inputs(dataset, root, cache)
    problems = Problems()
    for one in wrong:
        problems.take(one)
    if (error := problems.error()) is not None:
        raise error
    return found


def look_for_inputs(dataset: Dataset, root: Path, cache: Cache) -> tuple[list[InputFile], list[FtspecError]]:
    """Return the files of `dataset` that can be read, and an error for what cannot."""
    problems: list[Problem] = []
    wrong: list[FtspecError] = []
    found: list[InputFile] = []
    for group, origin in enumerate(origins(dataset)):
        place = (origin.where, group, origin.home)
        if origin.source.remote:
            found += _fetched(origin.source, cache, place, problems)
            continue
        try:
            paths = _expand(origin.source.path, root, origin.where, problems)
        except UnsafeError as error:
            wrong.append(error)
            continue
        for path in paths:
            made = _input(path, origin.source, root, cache, place, problems)
            found += [made] if made else []
    return found, [*([DataError.many(problems)] if problems else []), *wrong]


def _fetched(
    source: Source, cache: Cache, place: tuple[str, int, Home], problems: list[Problem]
) -> Iterator[InputFile]:
    where = place[0]
    made = copies(source, cache)
    if not made:
        message = f"{source.path} was not fetched yet, and only `run` fetches"
        problems.append(Problem("not_fetched", message, f"{where}.path", fix="ftspec run NAME --only data"))
    for copy in made:
        form = _format(copy.real.name, source)
        if source.sha256 and source.sha256 != copy.sha256:
            problems.append(_other_bytes(copy.path, copy.sha256, source.sha256, where))
        elif copy.bytes == 0:
            problems.append(Problem("empty_file", f"{copy.path} is empty", f"{where}.path", file=copy.path))
        elif form is None:
            problems.append(_no_format(copy.path, f"{where}.path"))
        else:
            yield _made(copy.path, copy.real, (copy.sha256, _stamp(copy.real.stat())), form, source, place)


def _other_bytes(path: str, sha256: str, pinned: str, where: str) -> Problem:
    message = f"{path} has sha256 {sha256[:12]}..., pinned is {pinned[:12]}..."
    fix = f"get the pinned file again, or pin this one: sha256: {sha256}"
    return Problem("pin", message, f"{where}.sha256", file=path, fix=fix)


def _no_format(path: str, where: str) -> Problem:
    fix = "add format: jsonl, json, csv or parquet"
    return Problem("format", f"cannot tell the format of {path} by its name", where, fix=fix)


def _expand(pattern: str, root: Path, where: str, problems: list[Problem]) -> list[str]:
    pure = PurePosixPath(pattern)
    if pure.is_absolute() or ".." in pure.parts or pattern.startswith("~"):
        message = f"{pattern!r} lies outside the project"
        fix = "write a path relative to the project's root; a link inside the project may point elsewhere"
        raise UnsafeError("outside_project", message, path=f"{where}.path", fix=fix)
    if not any(mark in pattern for mark in "*?["):
        return [pattern]
    matches = sorted(p.relative_to(root).as_posix() for p in root.glob(pattern) if p.is_file())
    if not matches:
        problems.append(Problem("missing_file", f"no file matches {pattern!r}", f"{where}.path"))
    return matches


def _input(
    path: str, source: Source, root: Path, cache: Cache, place: tuple[str, int, Home], problems: list[Problem]
) -> InputFile | None:
    where = place[0]
    real = root / path
    spec_path = f"{where}.path"
    try:
        if not real.is_file():
            problems.append(_missing(path, real, root, spec_path))
            return None
        if (endless := _endless(path, real, source)) is not None:
            problems.append(endless)
            return None
        sha256, stamp = _digest(real, cache)
    except OSError as error:
        reason = error.strerror or error
        problems.append(Problem("unreadable_file", f"cannot read {path}: {reason}", spec_path, file=path))
        return None
    if stamp[0] == 0:
        problems.append(Problem("empty_file", f"{path} is empty", spec_path, file=path))
        return None
    if source.sha256 and source.sha256 != sha256:
        problems.append(_other_bytes(path, sha256, source.sha256, where))
        return None
    form = _format(path, source)
    if form is None:
        problems.append(_no_format(path, spec_path))
        return None
    return _made(path, real, (sha256, stamp), form, source, place)


def _made(
    path: str, real: Path, digest: tuple[str, Stamp], form: Format, source: Source, place: tuple[str, int, Home]
) -> InputFile:
    (sha256, stamp), (where, group, home) = digest, place
    compression = _COMPRESSED.get(PurePosixPath(real.name if source.remote else path).suffix.lower())
    columns = tuple(source.columns) if source.columns else None
    facts = (path, real, sha256, stamp[0], form, compression, where, group, stamp, home, source.field, columns)
    return InputFile(*facts, source.delimiter or _delimiter(path))


def huge_line(path: str, line: int) -> Problem:
    """Word that a line is longer than any row."""
    fix = "is it one row a line, and no other kind of file?"
    return Problem("huge_line", f"the line is longer than {MAX_LINE >> 20} MB", file=path, line=line, fix=fix)


def _endless(path: str, real: Path, source: Source) -> Problem | None:
    """Return a problem for a file whose first line is too long, so that it is not read to its end for a digest."""
    pure = PurePosixPath(path.lower())
    if _format(path, source) not in ("jsonl", "csv") or pure.suffix in _COMPRESSED or real.stat().st_size <= MAX_LINE:
        return None
    with real.open("rb") as stream:
        for _ in range(MAX_LINE >> 20):
            if b"\n" in stream.read(1 << 20):
                return None
    return huge_line(path, 1)


def _format(path: str, source: Source) -> Format | None:
    if source.format != "auto":
        return source.format
    pure = PurePosixPath(path.lower())
    return _SUFFIXES.get((pure.with_suffix("") if pure.suffix in _COMPRESSED else pure).suffix)


def _delimiter(path: str) -> str | None:
    return "\t" if ".tsv" in PurePosixPath(path.lower()).suffixes[-2:] else None


def _missing(path: str, real: Path, root: Path, where: str) -> Problem:
    if real.is_dir():
        return Problem("missing_file", f"{path} is a folder", where, fix=f"name its files: {path.rstrip('/')}/*.jsonl")
    return Problem("missing_file", f"{path} does not exist", where, fix=_suggestion(path, root))


def _suggestion(path: str, root: Path) -> str:
    """Return "did you mean ..." over data files nearby; looks at few folders, so that a large project costs nothing."""
    pure = PurePosixPath(path)
    names: list[str] = []
    for folder in dict.fromkeys([root / pure.parent, root / "data", root]):
        if folder.is_dir():
            entries = sorted(folder.iterdir())[:1000]
            names += [p.relative_to(root).as_posix() for p in entries if p.is_file() and not p.name.startswith(".")]
    close = difflib.get_close_matches(path, names, n=1, cutoff=0.6)
    if not close:
        by_name = {PurePosixPath(name).name: name for name in names}
        close = [by_name[hit] for hit in difflib.get_close_matches(pure.name, by_name, n=1, cutoff=0.6)]
    return f"did you mean {close[0]}?" if close else ""


def _digest(real: Path, cache: Cache) -> tuple[str, Stamp]:
    """Return sha256 and stamp; a file whose (real path, size, mtime, inode) is known is not read."""
    stat = os.stat(real)
    key = [os.path.realpath(real), stat.st_size, str(stat.st_mtime_ns), stat.st_ino]
    name = content_id("source", key)
    known = cache.recall("source", name)
    if isinstance(known, dict) and isinstance(known.get("sha256"), str) and len(known["sha256"]) == 64:
        return known["sha256"], _stamp(stat)
    age = time.time_ns() - stat.st_mtime_ns
    if 0 <= age < _TICK:
        time.sleep((_TICK - age) / 1e9)
    sha256 = sha256_file(real)
    after = os.stat(real)
    if age >= 0 and _stamp(after) == _stamp(stat):
        cache.remember("source", name, {"sha256": sha256})
    return sha256, _stamp(stat)  # where they differ, reading the file will tell


def _stamp(stat: os.stat_result) -> Stamp:
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def texts_digest(texts: Sequence[str]) -> str:
    """Return the hex sha256 of several texts, unambiguous about where one ends."""
    state = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "big") + data)
    return state.hexdigest()
