"""What travels together: one sealed folder with every file that explains it, and the blobs that these files name.

A parcel is an attempt with the run's own files, a suite's scores, or baselines. It holds regular files of known names
only; whatever else lies in a run directory (notes, links, half-written files) stays where it is.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ftspec.runs.directory import RunDirectory, named_blobs, scored_blobs
from ftspec.runs.integrity import check_folder
from ftspec.runs.seal import SEAL, is_sealed, seal_digest, sealed_files
from ftspec.spec.errors import DataError
from ftspec.storage import BlobStore, read_json, sha256_file

_PART = r"[A-Za-z0-9][A-Za-z0-9._+=,@~-]{0,250}"
_RUN = rf"{_PART}/{_PART}\.[0-9a-f]{{12}}"
FILE = re.compile(
    rf"{_RUN}/(?:README\.md|config\.yaml|run\.json|\.hydra/(?:config|overrides)\.yaml|data/{_PART}"
    rf"|attempts/[0-9]{{3,6}}/{_PART}|evals/{_PART}/{_PART})|{_PART}/baselines/{_PART}/{_PART}"
)
BLOB = re.compile(r"\.store/sha256/([0-9a-f]{2})/([0-9a-f]{62})")


@dataclass(frozen=True)
class Parcel:
    """One sealed folder. `folder` is relative to `runs/`; `seal` is the hex sha256 of its SEALED.

    `files` maps paths relative to `runs/` to hex sha256; `blobs` holds those of them that are kept in the blob store,
    and those that only the store holds (configuration sources, held-out items, an uncommitted patch).
    """

    folder: str
    seal: str
    files: Mapping[str, str]
    blobs: frozenset[str]

    @property
    def name(self) -> str:
        """Its name in a store."""
        return parcel_name(self.folder, self.seal)


def blob_path(sha256: str) -> str:
    """Return a blob's path relative to `runs/`."""
    return f".store/sha256/{sha256[:2]}/{sha256[2:]}"


def parcels_of(run: RunDirectory) -> Iterator[Parcel]:
    """Yield the parcels of a run: its sealed attempts, then its sealed scores.

    Raises DataError where run.json cannot be read, or a sealed file is no longer what it was: nothing altered travels.
    """
    facts = run.facts
    for attempt in run.attempts():
        if attempt.sealed:
            model = read_json(attempt.path / "model.json") if (attempt.path / "model.json").is_file() else None
            yield _parcel(run, attempt.path, named_blobs(facts, model))
    evals = run.path / "evals"
    for path in sorted(evals.iterdir()) if evals.is_dir() else ():
        if is_sealed(path) and not path.name.startswith("."):
            yield _scores_parcel(run.path.parent.parent, path)


def baseline_parcels(runs: Path, experiment: str) -> Iterator[Parcel]:
    """Yield the sealed baselines of an experiment."""
    folder = runs / experiment / "baselines"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_sealed(path) and not path.name.startswith("."):
            yield _scores_parcel(runs, path)


def sealed_folders(runs: Path, within: Path | None = None) -> Iterator[Path]:
    """Yield every sealed folder below `runs`, or of one run or one experiment's baselines, by its name alone."""
    patterns: tuple[str, ...]
    if within is None:
        patterns, top = ("[!.]*/[!.]*/attempts/*", "[!.]*/[!.]*/evals/*", "[!.]*/baselines/*"), runs
    else:
        patterns, top = ("*",) if within.name == "baselines" else ("attempts/*", "evals/*"), within
    for pattern in patterns:
        for path in top.glob(pattern):
            if is_sealed(path) and not path.name.startswith("."):
                yield path


def parcel_name(folder: str, seal: str) -> str:
    """Return a parcel's name in a store: folder and seal, so that equal parcels have equal names everywhere."""
    experiment, run, *part = folder.split("/")
    return f"runs/{experiment}/{run}/{'.'.join(part)}.{seal[:12]}.tar"


def _parcel(run: RunDirectory, folder: Path, blobs: set[str]) -> Parcel:
    readme = run.path / "README.md"
    more = {f"{run.experiment}/{run.path.name}/README.md": sha256_file(readme)} if readme.is_file() else {}
    made = _sealed_parcel(run.path.parent.parent, folder, more)
    data = {sha256 for path, sha256 in made.files.items() if path.split("/")[2] == "data"}
    return Parcel(made.folder, made.seal, made.files, frozenset(blobs | data))


def _scores_parcel(runs: Path, folder: Path) -> Parcel:
    return replace(_sealed_parcel(runs, folder, {}), blobs=frozenset(scored_blobs(folder)))


def _sealed_parcel(runs: Path, folder: Path, more: Mapping[str, str]) -> Parcel:
    checked = check_folder(folder)
    if checked.state != "intact":
        said = ", ".join(map(str, checked.faults))
        raise DataError("altered", f"{said}: not what was sealed", file=str(folder), fix="see `ftspec verify`")
    inside = folder.relative_to(runs).as_posix()
    files = {_joined(inside, name): sha256 for name, sha256 in sealed_files(folder).items()}
    digest = seal_digest(folder)
    files |= {f"{inside}/{SEAL}": digest, **more}
    unknown = [path for path in files if not FILE.fullmatch(path)]
    if unknown:
        raise DataError("unknown_file", f"{unknown[0]} is no file of a run", file=str(folder))
    return Parcel(inside, digest, files, frozenset())


def _joined(folder: str, name: str) -> str:
    """Resolve the `../../` that a seal uses for the files above it."""
    parts = folder.split("/")
    while name.startswith("../"):
        name, parts = name[3:], parts[:-1]
    return "/".join([*parts, name])


def parcel_source(runs: Path, blobs: BlobStore, path: str, sha256: str) -> Path:
    """Return a place on disk where a file of a parcel can be read."""
    own = runs / path
    return own if own.is_file() else blobs.path(sha256)
