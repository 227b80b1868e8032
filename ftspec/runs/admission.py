"""Run directories from elsewhere let into `runs/`: verified where they were unpacked, then renamed into place.

Nothing is overwritten. What is here already is left alone; a training that another machine planned otherwise (another
commit, say) cannot share a folder with the own one, since its seals cover that machine's run.json.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ftspec.runs.directory import Catalog, RunDirectory, training_lock
from ftspec.runs.integrity import Checked, check_folder, check_run
from ftspec.runs.seal import is_sealed, seal_digest, sealed_files
from ftspec.spec.errors import StaleError, StorageError
from ftspec.storage import read_json, sha256_file
from ftspec.storage.files import move_folder

How = Literal["new", "here", "apart"]
_LOCK_WAIT = 30.0


@dataclass(frozen=True)
class Admitted:
    """What became of a folder, named relative to `runs/`: `new`, `here` (it was already), or `apart` (and why)."""

    folder: str
    how: How
    note: str = ""


@contextmanager
def staging(runs: Path) -> Iterator[Path]:
    """Give a folder beside the run directories to unpack into; it is gone afterwards."""
    folder = runs / f".incoming.{os.getpid()}.{os.urandom(4).hex()}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise StorageError.of(error, folder) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def admit(staged: Path, runs: Path) -> list[Admitted]:
    """Let everything below `staged` into `runs`: run directories, scores of runs that are here, baselines.

    Raises StaleError, admitting nothing, if one is not what was sealed (or is of a newer version).
    """
    folders = sorted(path for path in staged.glob("*/*.*") if path.is_dir())
    baselines = sorted(path for path in staged.glob("*/baselines/*") if path.is_dir())
    _verify(staged, folders, baselines)
    admitted: list[Admitted] = []
    try:
        for folder in folders:
            admitted += _admit_run(RunDirectory(folder), runs)
        admitted += (_admit_folder(folder, runs / folder.relative_to(staged), runs) for folder in baselines)
    except OSError as error:
        raise StorageError.of(error, runs) from error
    return admitted


def _verify(staged: Path, folders: Iterable[Path], baselines: Iterable[Path]) -> None:
    checks: list[Checked] = []
    for folder in folders:
        if (folder / "run.json").is_file():
            checks += check_run(RunDirectory(folder))
        else:
            checks += map(check_folder, _subfolders(folder / "evals"))
    checks += map(check_folder, baselines)
    faults = [
        f"{check.folder.relative_to(staged)}: {', '.join(map(str, check.faults)) or check.state} {check.note}".rstrip()
        for check in checks
        if check.state != "intact"
    ]
    if faults:
        raise StaleError("altered", f"not what was sealed: {'; '.join(faults[:5])}", fix="nothing was unpacked")


def _admit_run(run: RunDirectory, runs: Path) -> Iterator[Admitted]:
    folder = f"{run.experiment}/{run.path.name}"
    lock = training_lock(runs / ".store", run.path.name.rpartition(".")[2])
    if not lock.acquire(timeout=_LOCK_WAIT):
        yield Admitted(folder, "apart", "a process trains this run here just now")
        return
    with lock:
        here = Catalog(runs).named(run.path.name.rpartition(".")[2])
        if not (run.path / "run.json").is_file():
            if here is None:
                yield Admitted(folder, "apart", "its training is not here")
            else:
                yield from _add_scores(run, here, runs)
        elif here is None or not (here.attempts() or _explained(run) == _explained(here)):
            yield from _admit_whole(run, here, runs)
        elif _explained(run) == _explained(here):
            yield from _add_attempts(run, here)
            yield from _add_scores(run, here, runs)
        else:
            yield Admitted(folder, "apart", _why(run, here))


def _admit_whole(run: RunDirectory, planned: RunDirectory | None, runs: Path) -> Iterator[Admitted]:
    """Rename a whole folder into place; one that was only planned here, without an attempt, makes room for it."""
    target = runs / run.experiment / run.path.name
    if planned is not None:
        os.rename(planned.path, run.path.with_name(f".{run.path.name}.aside"))
    elif target.exists():
        yield Admitted(
            f"{run.experiment}/{run.path.name}", "apart", "a folder of this name is here, no run of that kind"
        )
        return
    parts = [*(f"attempts/{attempt.path.name}" for attempt in run.attempts())]
    parts += [f"evals/{path.name}" for path in _subfolders(run.path / "evals")]
    move_folder(run.path, target)
    _point_latest(RunDirectory(target))
    yield from (Admitted(_place(run, part), "new") for part in parts)


def _add_attempts(run: RunDirectory, here: RunDirectory) -> Iterator[Admitted]:
    """Add the attempts that are not here, by their seal, under the next free number."""
    known = _by_seal(here)
    for attempt in run.attempts():
        number = known.get(seal_digest(attempt.path))
        how: How = "new" if number is None else "here"
        if number is None:
            taken = {other.number for other in here.attempts()}
            number = attempt.number if attempt.number not in taken else max(taken) + 1
            move_folder(attempt.path, here.path / "attempts" / f"{number:03d}")
        yield Admitted(_place(here, f"attempts/{number:03d}"), how)
    _point_latest(here)


def _add_scores(run: RunDirectory, here: RunDirectory, runs: Path) -> Iterator[Admitted]:
    """Put scores beside the attempt they are of, whatever its number is here."""
    by_seal = _by_seal(here)
    by_model = {a.results.get("model"): a.number for a in here.attempts() if a.sealed}
    for folder in _subfolders(run.path / "evals"):
        scores = read_json(folder / "scores.json")
        number = by_seal.get(scores.get("attempt"))
        if number is None:  # scores of the first weeks name no seal, but the tuned model
            number = next((by_model[arm["model"]] for arm in scores["arms"].values() if arm["model"] in by_model), None)
        if number is None:
            yield Admitted(_place(run, f"evals/{folder.name}"), "apart", "the attempt that it scores is not here")
            continue
        name = ".".join(folder.name.split(".")[:2]) + ("" if number == 1 else f".{number:03d}")
        yield _admit_folder(folder, here.path / "evals" / name, runs)


def _admit_folder(folder: Path, target: Path, runs: Path) -> Admitted:
    """Rename a sealed folder of scores into place, unless scores lie there already."""
    place = target.relative_to(runs).as_posix()
    if is_sealed(target):
        same = seal_digest(target) == seal_digest(folder)
        return Admitted(place, "here", "" if same else "scored here too, with another seal")
    if target.exists():
        return Admitted(place, "apart", "it is being scored here")
    move_folder(folder, target)
    return Admitted(place, "new")


def _by_seal(run: RunDirectory) -> dict[str, int]:
    return {seal_digest(attempt.path): attempt.number for attempt in run.attempts() if attempt.sealed}


def _explained(run: RunDirectory) -> dict[str, str]:
    """Return what an attempt's seal covers above it; of a run without one, what a seal would."""
    for attempt in run.attempts():
        if attempt.sealed:
            return {name: sha for name, sha in sealed_files(attempt.path).items() if name.startswith("../../")}
    return {name: sha256_file(run.path / name.removeprefix("../../")) for name in run.sealed_outside()}


def _why(run: RunDirectory, here: RunDirectory) -> str:
    ours, theirs = _explained(here), _explained(run)
    names = sorted(name.removeprefix("../../") for name in ours.keys() | theirs if ours.get(name) != theirs.get(name))
    place = f"{here.experiment}/{here.path.name}"
    return f"the same training is here as {place}, planned otherwise ({', '.join(names)}) and with attempts of its own"


def _place(run: RunDirectory, part: str) -> str:
    return f"{run.experiment}/{run.path.name}/{part}"


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _point_latest(run: RunDirectory) -> None:
    sealed = [attempt for attempt in run.attempts() if attempt.sealed]
    if sealed:
        run.point_latest(sealed[-1])
