"""Is what was sealed still what it was? One run, an experiment, or all of `runs/`."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.runs.directory import RunDirectory
from ftspec.runs.integrity import Checked, State, check_baselines, check_run
from ftspec.runs.names import read_names
from ftspec.runs.seal import Broken
from ftspec.spec.events import Emit, Verifying, silent
from ftspec.storage import Hashing

SCHEMA = 1
_RUN_FOLDER = re.compile(r"[^.].*\.[0-9a-f]{12}")
_EVERY_SECONDS = 0.2
_WORST: tuple[State, ...] = ("changed", "missing", "newer version", "unsealed", "intact")


@dataclass(frozen=True)
class Verified:
    """A run directory, or the baselines of an experiment, folder by folder. `state` is the worst of them."""

    folder: Path
    checked: tuple[Checked, ...]

    @property
    def state(self) -> State:
        """The worst state of its folders."""
        states = {one.state for one in self.checked}
        return next(state for state in _WORST if state in states)

    def faults(self) -> Iterator[str]:
        """Yield a line for each file, or folder, that is not as it was sealed."""
        for one in self.checked:
            place = one.folder.relative_to(self.folder).as_posix()
            place = "" if place == "." else f"{place}/"
            note = f" ({one.note})" if one.note else ""
            if one.state == "unsealed":
                yield f"{place or 'run'}: unsealed{note}"
            elif not one.faults and one.state != "intact":
                yield f"{place or 'run'}: {one.state}{note}"
            else:
                yield from (f"{place}{fault}{note}" for fault in one.faults)

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {"folder": str(self.folder), "state": self.state, "faults": list(self.faults())}


def verify_runs(runs: Path, names: Sequence[str] = (), emit: Emit = silent) -> list[Verified]:
    """Check what is named (runs as in `show`, or experiments), or everything below `runs/`.

    Emits `Verifying` on the way. Raises UsageError for a name that means nothing.
    """
    named = _named(runs, names) if names else _everything(runs)
    folders = list({folder.resolve(): folder for folder in named}.values())
    progress = _Progress(emit, len(folders))
    hashing = Hashing(progress.read)
    found = []
    for folder in folders:
        progress.start(folder.relative_to(runs).as_posix() if folder.is_relative_to(runs) else str(folder))
        found.append(_verified(folder, hashing))
    progress.end()
    return found


@dataclass
class _Progress:
    """Tells of each folder that is begun, and of a long one as it is read."""

    emit: Emit
    total: int
    folder: str = ""
    done: int = -1
    bytes: int = 0
    told: float = 0.0

    def start(self, folder: str) -> None:
        self.folder, self.done = folder, self.done + 1
        self._tell()

    def read(self, count: int) -> None:
        self.bytes += count
        if time.monotonic() - self.told > _EVERY_SECONDS:
            self._tell()

    def end(self) -> None:
        self.folder, self.done = "", self.done + 1
        self._tell()

    def _tell(self) -> None:
        self.told = time.monotonic()
        self.emit(Verifying(folder=self.folder, done=self.done, total=self.total, bytes=self.bytes))


def _everything(runs: Path) -> Iterator[Path]:
    for experiment in sorted(runs.iterdir()) if runs.is_dir() else ():
        if experiment.is_dir() and not experiment.name.startswith("."):
            yield from _experiment(experiment)


def _named(runs: Path, names: Sequence[str]) -> Iterator[Path]:
    known = read_names(runs)
    for name in names:
        if known.is_experiment(name):
            yield from _experiment(runs / name) if (runs / name).is_dir() else ()
            yield from (run.here().path for run in known.of(name))
        elif matched := known.find(name):
            yield from (run.here().path for run in matched)
        else:
            raise known.unknown(name)


def _experiment(folder: Path) -> Iterator[Path]:
    """Yield an experiment's baselines, where something lies in them, and whatever is or was a run."""
    baselines = folder / "baselines"
    if baselines.is_dir() and any(path.is_dir() and not path.name.startswith(".") for path in baselines.iterdir()):
        yield baselines
    for path in sorted(p for p in folder.iterdir() if p.is_dir() and p != baselines and not p.name.startswith(".")):
        was = _RUN_FOLDER.fullmatch(path.name) is not None and any(path.glob("attempts/*/SEALED"))
        if was or (path / "run.json").is_file():
            yield path


def _verified(folder: Path, hashing: Hashing) -> Verified:
    if folder.name == "baselines":
        return Verified(folder, tuple(check_baselines(folder.parent.parent, folder.parent.name, hashing.sha256)))
    if not (folder / "run.json").is_file():
        return Verified(folder, (Checked(folder, "missing", (Broken("run.json", "missing"),)),))
    return Verified(folder, tuple(check_run(RunDirectory(folder), hashing.sha256)))
