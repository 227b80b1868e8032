"""What experiments call their runs, out of their locks: one training may be planned by several, under other labels.

Reads labels and digests of a lock and nothing else, so that `ls` can afford it.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from ftspec.spec.digests import short


@dataclass(frozen=True)
class Name:
    """A run as one experiment has it."""

    experiment: str
    label: str

    def __str__(self) -> str:
        return f"{self.experiment}/{self.label}"


class _Run(msgspec.Struct):
    label: str
    train: str


class _Lock(msgspec.Struct):
    runs: tuple[_Run, ...]


@dataclass(frozen=True)
class Planned:
    """The labels of every experiment, with their train digests."""

    labels: Mapping[str, Mapping[str, str]]

    @cached_property
    def by_train(self) -> Mapping[str, tuple[Name, ...]]:
        """All names of a run, by the 12 hex that its folder ends in."""
        found: dict[str, list[Name]] = {}
        for experiment, labels in self.labels.items():
            for label, train in labels.items():
                found.setdefault(short(train), []).append(Name(experiment, label))
        return {train: tuple(names) for train, names in found.items()}

    def also(self, experiment: str, label: str, train: str) -> tuple[Name, ...]:
        """Return what experiments call a run that lies as `experiment/label`, where that is another name."""
        names = self.by_train.get(short(train), ())
        return tuple(name for name in names if (name.experiment, name.label) != (experiment, label))


def read_planned(experiments: Path) -> Planned:
    """Read the locks in a folder of experiments.

    One that cannot be read, or whose experiment is gone, plans nothing.
    """
    planned: dict[str, dict[str, str]] = {}
    for path in sorted(experiments.glob("*.lock.json")):
        name = path.name.removesuffix(".lock.json")
        if path.with_name(f"{name}.yaml").is_file():
            with suppress(OSError, msgspec.MsgspecError):
                lock = msgspec.json.decode(path.read_bytes(), type=_Lock)
                planned[name] = {run.label: run.train for run in lock.runs}
    return Planned(planned)
