"""Moving runs: into one file and out of it. What arrives is verified before it is let in."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.runs.admission import Admitted, admit, staging
from ftspec.runs.archive import Limits, read_archive, write_archive
from ftspec.runs.directory import RunDirectory, run_directories
from ftspec.runs.names import read_names
from ftspec.runs.parcels import Parcel, baseline_parcels, parcels_of
from ftspec.spec.errors import FtspecError, Problem, UsageError
from ftspec.storage import BlobStore, replacing

SCHEMA = 1


@dataclass(frozen=True)
class Gathered:
    """The parcels of what was named, and the runs that stay behind: altered ones, and ones with nothing sealed."""

    parcels: tuple[Parcel, ...]
    left: tuple[Problem, ...]


def gather(runs: Path, names: Sequence[str] = ()) -> Gathered:
    """Collect what is sealed: of runs (as in `show`), of experiments with their baselines, or of everything.

    Raises UsageError for a name that means nothing.
    """
    parcels: list[Parcel] = []
    left: list[Problem] = []
    for source in _sources(runs, names):
        try:
            if isinstance(source, RunDirectory):
                found = list(parcels_of(source))
                if not found:
                    left.append(Problem("unsealed", "nothing of it is sealed yet", file=str(source.path)))
            else:
                found = list(baseline_parcels(runs, source))
        except FtspecError as error:
            left += error.problems
        else:
            parcels += found
    return Gathered(tuple(parcels), tuple(left))


def _sources(runs: Path, names: Sequence[str]) -> Iterator[RunDirectory | str]:
    """Yield run directories, and the names of experiments whose baselines are meant."""
    if not names:
        yield from run_directories(runs)
        yield from sorted(path.parent.name for path in runs.glob("[!.]*/baselines"))
    known = read_names(runs)
    for name in names:
        if known.is_experiment(name):
            yield from (run.here() for run in known.of(name))
            yield name
        elif found := known.find(name):
            yield from (run.here() for run in found)
        else:
            raise known.unknown(name)


@dataclass(frozen=True)
class Packed:
    """What went into a file."""

    path: Path
    folders: tuple[str, ...]
    bytes: int
    missing: tuple[str, ...]
    left: tuple[Problem, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            "file": str(self.path),
            "bytes": self.bytes,
            "packed": list(self.folders),
            "missing_blobs": list(self.missing),
            "left": [problem.to_json() for problem in self.left],
        }


def pack(runs: Path, names: Sequence[str], target: Path) -> Packed:
    """Write one tar file of everything sealed that is named. Equal runs make equal bytes.

    Raises UsageError (nothing to pack, the file exists), DataError (a file changes meanwhile), StorageError.
    """
    if target.exists():
        raise UsageError("file_exists", f"{target} exists", fix="choose another name, or remove it")
    gathered = gather(runs, names)
    if not gathered.parcels:
        if gathered.left:
            raise FtspecError.many(gathered.left)
        raise UsageError("nothing_to_pack", "no run is sealed here", fix="`ftspec ls` lists them")
    with replacing(target) as stream:
        missing = write_archive(stream, gathered.parcels, runs)
    folders = tuple(parcel.folder for parcel in gathered.parcels)
    return Packed(target, folders, target.stat().st_size, tuple(missing), gathered.left)


@dataclass(frozen=True)
class Moved:
    """What was let in, was here already, or was kept apart."""

    admitted: tuple[Admitted, ...]

    def of(self, how: str) -> list[Admitted]:
        """The folders that fared so."""
        return [one for one in self.admitted if one.how == how]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {"schema": SCHEMA, "folders": [admitted_json(one) for one in self.admitted]}


def admitted_json(one: Admitted) -> dict[str, Any]:
    """Return the stable shape of docs/json.md."""
    return {"folder": one.folder, "how": one.how, "note": one.note}


def unpack(path: Path, runs: Path, limits: Limits = Limits()) -> Moved:
    """Let the runs of a packed file into `runs`. Nothing that is here is overwritten.

    Raises UnsafeError, DataError (see `read_archive`), StaleError (something is not what was sealed), StorageError.
    """
    if not path.is_file():
        raise UsageError("no_file", f"there is no file {path}", fix="`ftspec runs pack` makes one")
    with staging(runs) as staged:
        read_archive(path, staged, BlobStore(runs / ".store"), limits=limits)
        return Moved(tuple(admit(staged, runs)))


def shown(admitted: Iterable[Admitted]) -> list[Admitted]:
    """Return what is worth a line: everything that is new or was kept apart."""
    return [one for one in admitted if one.how != "here" or one.note]
