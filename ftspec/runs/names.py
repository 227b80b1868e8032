"""What runs are called: where they lie, what experiments that plan them call them, and their digest.

A training lies once, where it was planned first; another experiment, or a later shape of the same one, may plan it
under another label. Locks say so: reading them composes nothing.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ftspec.runs.directory import RunDirectory
from ftspec.runs.planned import Name, Planned, read_planned
from ftspec.spec.errors import UsageError

_FOLDER = re.compile(r"[^.].*\.[0-9a-f]{12}")
_WITHIN = re.compile(r"(?P<experiment>[^/\[\]]+)(?:\[(?P<inside>.+)\]|/(?P<after>.+))")
_DIGEST = re.compile(r"(?:sha256:)?(?P<hex>[0-9a-f]{4,64})")
_SHOWN = 6


@dataclass(frozen=True)
class NamedRun:
    """A run with all its names: `place` says where it lies, `planned` who else plans it.

    `train` is the beginning of its digest, 12 hex. `directory` is None where only a lock tells of it.
    """

    train: str
    directory: RunDirectory | None
    place: Name | None
    planned: tuple[Name, ...] = ()

    @property
    def names(self) -> tuple[Name, ...]:
        """All names, the place's first."""
        return tuple(dict.fromkeys([*([self.place] if self.place else []), *self.planned]))

    @property
    def also(self) -> tuple[Name, ...]:
        """The names that are not the place's."""
        return tuple(name for name in self.names if name != self.place)

    def called(self, text: str) -> tuple[Name, ...]:
        """Return the names that `label`, `experiment/label` or `experiment[label]` means."""
        return tuple(name for name in self.names if text in (name.label, str(name), f"{name.experiment}[{name.label}]"))

    def within(self, experiment: str) -> tuple[Name, ...]:
        """Return the names it has in an experiment."""
        return tuple(name for name in self.names if name.experiment == experiment)

    def here(self) -> RunDirectory:
        """Return its directory. Raises UsageError where only a lock tells of it."""
        if self.directory is None:
            experiment = self.names[0].experiment
            fix = f"ftspec run {experiment}; where another machine has it: ftspec runs pull {experiment}"
            raise UsageError("not_here", f"{self} is planned, but it does not lie in runs/", fix=fix)
        return self.directory

    def __str__(self) -> str:
        also = f" = {' = '.join(map(str, self.also))}" if self.place and self.also else ""
        return f"{self.names[0]}{also} ({self.train}{'' if self.directory else ', not trained here'})"


def other_name(directory: RunDirectory | None, experiment: str, label: str) -> str:
    """Return what a run is called where it lies; empty where an experiment calls it the same and it lies there."""
    if directory is None or (directory.experiment, directory.label) == (experiment, label):
        return ""
    return directory.label if directory.experiment == experiment else f"{directory.experiment}/{directory.label}"


class Names:
    """Every run below `runs/` and in the locks, by all its names. A snapshot."""

    def __init__(self, runs: Path, planned: Planned) -> None:
        self._runs, self._planned = runs, planned

    def with_plan(self, experiment: str, labels: Mapping[str, str]) -> "Names":
        """Return the names where an experiment plans these labels (to train digests), whatever its lock says."""
        return Names(self._runs, Planned({**self._planned.labels, experiment: labels}))

    def labels(self, experiment: str) -> Mapping[str, str]:
        """Return the labels that an experiment plans, with their train digests."""
        return self._planned.labels.get(experiment, {})

    @cached_property
    def all(self) -> tuple[NamedRun, ...]:
        """All runs: those that lie here in name order, then those that only locks tell of."""
        planned = self._planned.by_train
        here = [
            NamedRun(train, RunDirectory(path), Name(path.parent.name, label), planned.get(train, ()))
            for path in _folders(self._runs)
            for label, _, train in (path.name.rpartition("."),)
        ]
        gone = planned.keys() - {run.train for run in here}
        return (*here, *(NamedRun(train, None, None, planned[train]) for train in planned if train in gone))

    def find(self, text: str) -> list[NamedRun]:
        """Return the runs that a text may mean: a folder, a label, `experiment/label` or `experiment[label]`, a digest.

        Runs that only a lock tells of are meant where no other is.
        """
        for folder in (Path(text), self._runs / text):
            if _is_run(folder):
                return [self._at(folder)]
        wanted = text.rstrip("/")
        called = self._here([run for run in self.all if run.called(wanted)])
        return called or self._of_digest(wanted, self.all) or self._within(wanted)

    def _of_digest(self, text: str, among: Iterable[NamedRun]) -> list[NamedRun]:
        match = _DIGEST.fullmatch(text)
        if match is None:
            return []
        digest = match["hex"]
        return self._here([run for run in among if run.train.startswith(digest) or digest.startswith(run.train)])

    def _within(self, text: str) -> list[NamedRun]:
        """Return the runs of one experiment that have a label elsewhere, or a digest: `experiment/...`."""
        match = _WITHIN.fullmatch(text)
        if match is None:
            return []
        rest = match["inside"] or match["after"]
        mine = [run for run in self.all if run.within(match["experiment"])]
        labelled = [run for run in mine if any(name.label == rest for name in run.names)]
        return self._here(labelled) or self._of_digest(rest, mine)

    def _here(self, found: list[NamedRun]) -> list[NamedRun]:
        """Drop folders that hold no run, and runs that are not here where others are."""
        real = [run for run in found if run.directory is None or _is_run(run.directory.path)]
        return [run for run in real if run.directory is not None] or real

    def _at(self, folder: Path) -> NamedRun:
        place = folder.resolve()
        known = (run for run in self.all if run.directory is not None and run.directory.path.resolve() == place)
        label, _, train = place.name.rpartition(".")
        return next(known, NamedRun(train, RunDirectory(folder), Name(place.parent.name, label)))

    def of(self, experiment: str) -> list[NamedRun]:
        """Return the runs here that lie in an experiment's folder, or that it plans."""
        found = [run for run in self.all if run.within(experiment)]
        return [run for run in self._here(found) if run.directory is not None]

    def meant(self, text: str) -> list[NamedRun]:
        """Return the runs that a text may mean; an experiment's name means its runs."""
        return self.find(text) or self.of(text)

    def is_experiment(self, text: str) -> bool:
        """Tell whether a text names an experiment that planned or made something."""
        return text in self._planned.labels or text in _listed(self._runs)

    def one(self, text: str) -> NamedRun:
        """Return the run that is meant; an experiment's name means its only run. Raises UsageError."""
        found = self.meant(text)
        if not found:
            raise self.unknown(text)
        if len(found) > 1:
            raise several(text, found)
        return found[0]

    def unknown(self, text: str, more: Sequence[str] = (), code: str = "unknown_run") -> UsageError:
        """Return the error for a text that means nothing; `more` are other words that would have been understood."""
        full = [str(name) for run in self.all for name in run.names]
        labels = [name.label for run in self.all for name in run.names]
        known = list(dict.fromkeys([*more, *full]))
        if not known:
            return UsageError(code, f"no run is called {text!r}", fix="there are no runs yet: `ftspec run`")
        near = difflib.get_close_matches(text, dict.fromkeys([*labels, *known]), n=2, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        left = f" and {len(known) - _SHOWN:,} more (`ftspec ls` lists them)" if len(known) > _SHOWN else ""
        fix = f"{hint}known: {', '.join(known[:_SHOWN])}{left}; or a folder, or the beginning of a digest"
        return UsageError(code, f"no run is called {text!r}", fix=fix)

    def words(self) -> Iterator[str]:
        """Yield what may be typed for the runs that lie here."""
        for run in self._here(list(self.all)):
            yield from map(str, run.names)


def several(text: str, found: Sequence[NamedRun]) -> UsageError:
    """Return the error for a text that means several runs."""
    shown = ", ".join(map(str, found[:_SHOWN])) + (f" and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else "")
    fix = f"say which, by digest if need be: {shown}"
    return UsageError("several_runs", f"{text!r} names {len(found)} runs", fix=fix)


def read_names(runs: Path) -> Names:
    """Read the names of all runs below `runs/`, and those that the locks of the experiments beside it give them."""
    return Names(runs, read_planned(runs.parent / "experiments"))


def _folders(runs: Path) -> Iterator[Path]:
    """Yield the folders that may be runs, in name order; whether they are is asked on a hit."""
    for experiment in _listed(runs):
        for name in _listed(runs / experiment):
            if _FOLDER.fullmatch(name):
                yield runs / experiment / name


def _is_run(folder: Path) -> bool:
    with suppress(OSError, ValueError):  # a text that is no path at all
        return (folder / "run.json").is_file()
    return False


def _listed(folder: Path) -> list[str]:
    with suppress(OSError):
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    return []
