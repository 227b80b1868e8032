"""Sources that lie elsewhere: URLs by fsspec, Hugging Face data sets by `datasets`; read from a copy in the cache.

Nothing here touches a network but `fetch`, which only `run` calls. A copy is found by its address; `sha256` and
`revision` in the spec say which bytes are meant.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from ftspec.data.cache import Cache, Entry, content_id
from ftspec.data.extras import extra
from ftspec.data.origins import Origin, origins
from ftspec.spec.dataset import HUB, Dataset, Source
from ftspec.spec.errors import DataError, Problem, StorageError

_BLOCK = 1 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Copy:
    """One fetched file: its address as people read it, where its bytes lie."""

    path: str
    real: Path
    sha256: str
    bytes: int


def _id(source: Source) -> str:
    return content_id("fetched", [source.path, source.revision, source.name, source.split])


def copies(source: Source, cache: Cache) -> list[Copy]:
    """Return the fetched files of a source, none where it was not fetched yet."""
    found = cache.find("fetched", _id(source))
    if found is None:
        return []
    body, files = found
    return [Copy(path, files[name], sha256, files[name].stat().st_size) for path, name, sha256 in body]


def unpinned(dataset: Dataset, shas: dict[str, str]) -> Iterator[Problem]:
    """Yield a warning for each remote source whose bytes may change under its address; `shas` are by path."""
    for origin in origins(dataset):
        source = origin.source
        if not source.remote or source.sha256 or _COMMIT.fullmatch(source.revision or ""):
            continue
        sha256 = shas.get(source.path)
        fix = f"pin it: sha256: {sha256}" if sha256 else "name its files one by one, each with its sha256"
        message = f"{source.path} may change: neither sha256 nor a commit as revision"
        yield Problem("unpinned_source", message, origin.where, fix=fix, severity="warning")


def fetch(dataset: Dataset, root: Path, cache_folder: Path, progress: Progress) -> None:
    """Fetch every remote source that has no copy yet.

    Raises DataError with every source that cannot be fetched, is not what its sha256 says, or needs an extra.
    """
    cache = Cache(cache_folder)
    problems: list[Problem] = []
    for origin in origins(dataset):
        if origin.source.remote and not copies(origin.source, cache):
            progress(f"fetching {origin.source.path}")
            try:
                size = _fetch(origin, root, cache)
            except DataError as error:
                problems += error.problems
            else:
                progress(f"fetched {origin.source.path}: {size:,} bytes")
    if problems:
        raise DataError.many(problems)


def _fetch(origin: Origin, root: Path, cache: Cache) -> int:
    source = origin.source
    entry = cache.create("fetched", _id(source))
    try:
        files = list(_hub(source, root, entry) if source.path.startswith(HUB) else _url(source, entry))
        for path, _, sha256, _ in files:
            if source.sha256 and source.sha256 != sha256:
                message = f"{path} has sha256 {sha256[:12]}..., pinned is {source.sha256[:12]}..."
                fix = f"it is not what was reviewed; if it may be: sha256: {sha256}"
                raise DataError("pin", message, path=f"{origin.where}.sha256", fix=fix)
        entry.commit([[path, name, sha256] for path, name, sha256, _ in files])
        return sum(size for *_, size in files)
    except DataError as error:
        entry.abandon()
        raise DataError.many(
            [Problem(p.code, p.message, p.path or f"{origin.where}.path", fix=p.fix) for p in error.problems]
        ) from error
    except StorageError:
        entry.abandon()
        raise
    except Exception as error:
        # fsspec and its file systems, and `datasets`, raise errors of a hundred types.
        entry.abandon()
        words = " ".join(str(error).split())[:300] or type(error).__name__
        message = f"cannot fetch {source.path}: {words}"
        raise DataError(
            "fetch", message, path=f"{origin.where}.path", fix="check the address and your access"
        ) from error
    except BaseException:
        entry.abandon()
        raise


def _url(source: Source, entry: Entry) -> Iterator[tuple[str, str, str, int]]:
    """Copy the files of a URL; yield (path, name in the entry, sha256, bytes)."""
    fsspec: Any = extra("fsspec", "fsspec", source.path)
    system, inner = fsspec.core.url_to_fs(source.path)
    paths = sorted(system.glob(inner)) if any(mark in inner for mark in "*?[") else [inner]
    if not paths:
        raise DataError("missing_file", f"no file matches {source.path!r}")
    for n, path in enumerate(paths):
        name = f"{n}{''.join(PurePosixPath(path).suffixes[-2:])}"
        with system.open(path, "rb") as stream:
            sha256, size = _write(entry.path(name), iter(lambda: stream.read(_BLOCK), b""))
        yield (source.path if len(paths) == 1 else system.unstrip_protocol(path)), name, sha256, size


def _hub(source: Source, root: Path, entry: Entry) -> Iterator[tuple[str, str, str, int]]:
    """Write the rows of a `datasets` data set as JSON lines; class labels become their names."""
    datasets: Any = extra("datasets", "hf", source.path)
    address = source.path.removeprefix(HUB)
    where = str(root / address) if address.startswith("./") else address
    rows = datasets.load_dataset(
        where, name=source.name, split=source.split or "train", revision=source.revision, streaming=True
    )
    labels = {k: f for k, f in (rows.features or {}).items() if isinstance(f, datasets.ClassLabel)}
    sha256, size = _write(entry.path("rows.jsonl"), (_line(row, labels) for row in rows))
    yield source.path, "rows.jsonl", sha256, size


def _line(row: dict[str, Any], labels: dict[str, Any]) -> bytes:
    named = {k: labels[k].int2str(v) if k in labels and isinstance(v, int) and v >= 0 else v for k, v in row.items()}
    return msgspec.json.encode(named) + b"\n"


def _write(path: Path, blocks: Iterator[bytes]) -> tuple[str, int]:
    state = hashlib.sha256()
    size = 0
    with path.open("wb") as out:
        for block in blocks:
            state.update(block)
            size += len(block)
            try:
                out.write(block)
            except OSError as error:
                raise StorageError.of(error, path) from error
    return state.hexdigest(), size
