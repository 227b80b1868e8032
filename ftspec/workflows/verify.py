"""Is what was sealed still what it was? One run, an experiment, or all of `runs/`."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.runs.directory import RunDirectory, run_directories
from ftspec.runs.integrity import Checked, State, check_baselines, check_run
from ftspec.runs.seal import Broken
from ftspec.spec.errors import UsageError
from ftspec.workflows.look import find_runs

SCHEMA = 1
_RUN_FOLDER = re.compile(r"[^.].*\.[0-9a-f]{12}")
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


def verify_runs(runs: Path, names: Sequence[str] = ()) -> list[Verified]:
    """Check what is named (runs as in `show`, or experiments), or everything below `runs/`.

    Raises UsageError for a name that means nothing.
    """
    if not names:
        experiments = sorted({run.experiment for run in run_directories(runs)} | set(_with_baselines(runs)))
        return [found for experiment in experiments for found in _experiment(runs, experiment)]
    found: list[Verified] = []
    for name in names:
        plain = Path(name).name
        if runs.is_dir() and (runs / plain).is_dir() and not plain.startswith(".") and "/" not in name:
            found += _experiment(runs, plain)
        elif matched := find_runs(runs, name):
            found += [_run(run) for run in matched]
        else:
            raise UsageError("unknown_run", f"no run is called {name!r}", fix="`ftspec ls` lists them")
    return found


def _with_baselines(runs: Path) -> Iterable[str]:
    if not runs.is_dir():
        return []
    return [p.name for p in runs.iterdir() if not p.name.startswith(".") and (p / "baselines").is_dir()]


def _experiment(runs: Path, experiment: str) -> Iterator[Verified]:
    if baselines := check_baselines(runs, experiment):
        yield Verified(runs / experiment / "baselines", tuple(baselines))
    for path in sorted(p for p in (runs / experiment).iterdir() if p.is_dir()):
        if (path / "run.json").is_file():
            if not path.name.startswith(".") and path.name != "baselines":
                yield _run(RunDirectory(path))
        elif _RUN_FOLDER.fullmatch(path.name) and any(path.glob("attempts/*/SEALED")):
            yield Verified(path, (Checked(path, "missing", (Broken("run.json", "missing"),)),))


def _run(run: RunDirectory) -> Verified:
    return Verified(run.path, tuple(check_run(run)))
