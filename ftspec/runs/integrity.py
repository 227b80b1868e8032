"""Whether what was sealed is still what it was: every file is hashed again, no name is trusted."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ftspec.runs.directory import RunDirectory, only_stored, scored_blobs
from ftspec.runs.seal import SEAL, Broken, broken, is_sealed, sealed_files
from ftspec.spec.digests import data_digest, short
from ftspec.spec.errors import DataError
from ftspec.storage import BlobStore, sha256_file

Hash = Callable[[Path], str]
QUICK_BYTES = 1 << 20
State = Literal["intact", "changed", "missing", "unsealed", "newer version"]


@dataclass(frozen=True)
class Checked:
    """One sealed folder: an attempt, a suite's scores, or baselines. `faults` name files relative to it."""

    folder: Path
    state: State
    faults: tuple[Broken, ...] = ()
    note: str = ""


def check_folder(folder: Path, sha256: Hash = sha256_file) -> Checked:
    """Hash a sealed folder again; a file that was added later counts as a change."""
    found = tuple(broken(folder, sha256))
    if not found and (added := _added(folder)):
        return Checked(folder, "changed", tuple(Broken(name, "changed") for name in added), "not there when sealed")
    if not found:
        return Checked(folder, "intact")
    kinds = {fault.fault for fault in found}
    if "unsealed" in kinds:
        return Checked(folder, "unsealed", found, "interrupted, or still running")
    return Checked(folder, "changed" if kinds & {"changed", "broken"} else "missing", found)


def quick_faults(folder: Path, sha256: Hash = sha256_file) -> list[Broken]:
    """Return the files of a sealed folder that were changed, as far as that can be seen at once; none where it is open.

    Files of up to 1 MiB are hashed, larger ones only if they were written after the seal. What is missing is no change;
    `check_folder` looks at everything.
    """
    try:
        written = (folder / SEAL).stat().st_mtime_ns
        expected = sealed_files(folder)
    except FileNotFoundError:
        return []
    except (DataError, UnicodeDecodeError):
        return [Broken(SEAL, "broken")]
    found = []
    for name, sealed in expected.items():
        path = folder / name
        with suppress(FileNotFoundError):
            state = path.stat()
            looked = state.st_size <= QUICK_BYTES or state.st_mtime_ns > written
            if looked and sha256(path) != sealed:
                found.append(Broken(name, "changed"))
    return found


def _added(folder: Path) -> list[str]:
    known = sealed_files(folder)
    names = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != SEAL)
    return sorted(name for name in names if name not in known and not Path(name).name.startswith("."))


def check_run(run: RunDirectory, sha256: Hash = sha256_file) -> list[Checked]:
    """Check a run's attempts and scores, and that run.json is the run that its folder is named after.

    `sha256` hashes a file: `Hashing` does so once where many links name it.
    """
    try:
        facts = run.facts
        train = facts["digests"]["train"]
    except DataError as error:
        if error.code == "newer_version":
            schemas = error.problems[0].message.partition("(")[2].rstrip(")")
            return [Checked(run.path, "newer version", note=schemas)]
        return [Checked(run.path, "changed", (Broken("run.json", "broken"),))]
    except (OSError, KeyError, TypeError):
        return [Checked(run.path, "changed", (Broken("run.json", "broken"),))]
    found = []
    if run.path.name.rpartition(".")[2] != short(train):
        found.append(Checked(run.path, "changed", (Broken("run.json", "changed"),), "names another training"))
    found += list(_check_data(run, facts, sha256))
    found += list(_check_stored(run, facts, sha256))
    found += [check_folder(attempt.path, sha256) for attempt in run.attempts()]
    evals, blobs = run.path / "evals", _store(run.path.parent.parent)
    paths = [path for path in sorted(evals.iterdir()) if path.is_dir()] if evals.is_dir() else []
    found += [_check_scores(path, blobs, sha256) for path in paths]
    return found or [Checked(run.path, "unsealed", note="planned, never trained")]


def _check_data(run: RunDirectory, facts: Mapping[str, Any], sha256: Hash) -> Iterator[Checked]:
    """Without a sealed attempt nothing else says what the data files were."""
    if any(is_sealed(attempt.path) for attempt in run.attempts()):
        return
    try:
        train, valid = run.path / "data" / "train.jsonl", run.path / "data" / "valid.jsonl"
        for form in ("chat", "completion"):
            made = data_digest(train=sha256(train), valid=sha256(valid) if valid.is_file() else None, row_format=form)
            if made == facts["digests"]["data"]:
                return
    except OSError:
        yield Checked(run.path, "missing", (Broken("data/train.jsonl", "missing"),))
        return
    yield Checked(run.path, "changed", (Broken("data", "changed"),))


def _check_stored(run: RunDirectory, facts: Mapping[str, Any], sha256: Hash) -> Iterator[Checked]:
    """What only the blob store holds. A run directory that was taken away from its store says nothing about it."""
    try:
        wanted = only_stored(facts)
    except DataError:
        yield Checked(run.path, "changed", (Broken("run.json", "broken"),))
        return
    if faults := _broken_blobs(_store(run.path.parent.parent), wanted, sha256):
        yield Checked(run.path, _state_of(faults), faults)


def _check_scores(folder: Path, blobs: BlobStore | None, sha256: Hash) -> Checked:
    """Check a folder of scores, and the items that they were made on where those came from a file."""
    found = check_folder(folder, sha256)
    faults = _broken_blobs(blobs, dict.fromkeys(scored_blobs(folder), "the suite's items"), sha256)
    return Checked(folder, _state_of(faults), faults) if found.state == "intact" and faults else found


def _broken_blobs(blobs: BlobStore | None, wanted: Mapping[str, str], sha256: Hash) -> tuple[Broken, ...]:
    """Hash blobs again; `wanted` maps their digests to the words for them."""
    if blobs is None:
        return ()
    faults: list[Broken] = []
    for digest, name in wanted.items():
        path = blobs.path(digest)
        if not path.is_file():
            faults.append(Broken(f"blob {digest[:12]} ({name})", "missing"))
        elif sha256(path) != digest:
            faults.append(Broken(f"blob {digest[:12]} ({name})", "changed"))
    return tuple(faults)


def _state_of(faults: Iterable[Broken]) -> State:
    return "changed" if any(fault.fault == "changed" for fault in faults) else "missing"


def _store(runs: Path) -> BlobStore | None:
    """The blobs beside run directories, None where these were taken away from them."""
    blobs = BlobStore(runs / ".store")
    return blobs if blobs.root.is_dir() else None


def check_baselines(runs: Path, experiment: str, sha256: Hash = sha256_file) -> list[Checked]:
    """Check the sealed baselines of an experiment."""
    folder = runs / experiment / "baselines"
    if not folder.is_dir():
        return []
    blobs = _store(runs)
    paths = (path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith("."))
    return [_check_scores(path, blobs, sha256) for path in paths]
