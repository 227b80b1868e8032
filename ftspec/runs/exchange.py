"""Parcels and a store: each parcel is one thin archive, its blobs lie beside it under their digests.

`runs/<experiment>/<run>/<part>.<seal12>.tar` and `sha256/ab/cdef...`. Blobs go first and the archive last, so that
whatever is listed is complete, also after a crash; names follow from content, so pushers cannot disturb each other.
What a store holds is trusted no more than a file from a stranger.
"""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from ftspec.runs.admission import Admitted, admit, staging
from ftspec.runs.archive import read_archive, write_archive
from ftspec.runs.directory import named_blobs, run_directories, scored_blobs
from ftspec.runs.parcels import Parcel, parcel_source, sealed_folders
from ftspec.runs.seal import seal_digest
from ftspec.spec.errors import DataError, StorageError
from ftspec.storage import BlobStore, replacing, sha256_file
from ftspec.storage.stores import Store

_NAME = re.compile(r"runs/([^/]+)/([^/]+)/([^/]+)\.([0-9a-f]{12})\.tar")
_AT_ONCE = 8


def _blob_name(sha256: str) -> str:
    return f"sha256/{sha256[:2]}/{sha256[2:]}"


def push(store: Store, runs: Path, parcels: Iterable[Parcel]) -> Iterator[tuple[Parcel, int]]:
    """Put each parcel and those of its blobs that the store lacks; yield it with the bytes that were sent.

    Raises StorageError (the store, the disk), DataError where a file is not what was sealed.
    """
    with _scratch() as folder, ThreadPoolExecutor(_AT_ONCE) as pool:
        archive = folder / "parcel.tar"
        for parcel in parcels:
            with replacing(archive) as stream:
                missing = write_archive(stream, [parcel], runs, thin=True)
            sources = _sources(runs, parcel)
            sent = sum(pool.map(lambda item: _put_blob(store, *item), sources.items()))
            if lost := set(missing) & set(parcel.files.values()):
                raise DataError("missing_blob", f"blob {min(lost)[:12]} is not here", file=parcel.folder)
            store.put(parcel.name, archive)
            yield parcel, sent + archive.stat().st_size


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for temp files, away from `runs/`, which may be read-only."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="ftspec-push-")
    except OSError as error:
        raise StorageError.of(error, Path(tempfile.gettempdir())) from error
    with folder as name:
        yield Path(name)


def _sources(runs: Path, parcel: Parcel) -> dict[str, Path]:
    """Return where each blob of a parcel lies on this disk; what is nowhere is left out."""
    blobs = BlobStore(runs / ".store")
    paths = {sha256: path for path, sha256 in parcel.files.items() if sha256 in parcel.blobs}
    found = {sha256: parcel_source(runs, blobs, paths.get(sha256, ""), sha256) for sha256 in sorted(parcel.blobs)}
    return {sha256: path for sha256, path in found.items() if path.is_file()}


def _put_blob(store: Store, sha256: str, source: Path) -> int:
    if store.has(_blob_name(sha256)):
        return 0
    if sha256_file(source) != sha256:
        raise DataError("altered_blob", f"blob {sha256[:12]} was altered", file=str(source), fix="see `ftspec verify`")
    store.put(_blob_name(sha256), source)
    return source.stat().st_size


def lacking(store: Store, runs: Path, experiments: Iterable[str]) -> list[str]:
    """Return the names of parcels of these experiments that the store holds and `runs` does not, in order."""
    here = {_here(runs, folder) for folder in sealed_folders(runs)}
    found = []
    for experiment in experiments:
        for name in sorted(store.names(f"runs/{experiment}/")):
            if (match := _NAME.fullmatch(name)) is None:
                continue
            run = match[2].rpartition(".")[2] if match[2] != "baselines" else f"{match[1]} {match[3]}"
            if (run, match[4]) not in here:
                found.append(name)
    return found


def _here(runs: Path, folder: Path) -> tuple[str, str]:
    """What a sealed folder is told by: its run (found by digest) or its own name for baselines, and its seal."""
    experiment, run, *part = folder.relative_to(runs).parts
    return (f"{experiment} {part[0]}" if run == "baselines" else run.rpartition(".")[2]), seal_digest(folder)[:12]


def experiments_of(store: Store) -> list[str]:
    """Return the experiments that a store holds runs of."""
    return sorted({name.split("/")[1] for name in store.names("runs/") if name.count("/") >= 3})


def pull(store: Store, runs: Path, name: str) -> list[Admitted]:
    """Fetch one parcel, verify it and let it in.

    Raises UnsafeError, DataError or StaleError for one that is not as it must be, StorageError.
    """
    blobs = BlobStore(runs / ".store")
    with staging(runs) as staged:
        fetch = _fetching(store, blobs, staged / ".blob")
        archive = staged / ".parcel.tar"
        store.get(name, archive)
        read_archive(archive, staged, blobs, fetch=fetch)
        for sha256 in sorted(_named(staged)):
            if not blobs.has(sha256):
                fetch(sha256)
        return admit(staged, runs)


def _named(staged: Path) -> set[str]:
    """The blobs that what was unpacked names without holding them."""
    found = {sha256 for run in run_directories(staged) for sha256 in named_blobs(run.facts)}
    scored = {path.parent for part in ("*.*/evals/*", "baselines/*") for path in staged.glob(f"*/{part}/scores.json")}
    return found.union(*map(scored_blobs, scored))


def _fetching(store: Store, blobs: BlobStore, place: Path) -> Callable[[str], None]:
    def fetch(sha256: str) -> None:
        store.get(_blob_name(sha256), place)
        with place.open("rb") as stream:
            blobs.receive(sha256, stream)

    return fetch
