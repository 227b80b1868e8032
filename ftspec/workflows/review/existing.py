"""Which trainings and scores of the head exist already: in run directories here, or in results that it commits."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ftspec.runs.directory import Catalog, RunDirectory
from ftspec.runs.known import read_results
from ftspec.runs.seal import is_sealed
from ftspec.spec.errors import DataError
from ftspec.workflows.sides import RunSide, SuiteSide

Evidence = Literal["", "runs", "results"]


@dataclass(frozen=True)
class Existing:
    """What need not be done again. Committed results are the change's own claim: no gate believes them."""

    trainings: frozenset[str] = frozenset()
    scores: frozenset[tuple[str, str]] = frozenset()
    answers: frozenset[tuple[str, str, str]] = frozenset()
    runs: Path | None = None
    _found: dict[str, RunDirectory | None] = field(default_factory=dict)

    def trained(self, train: str) -> Evidence:
        """Return where a training is known to be finished: `runs`, `results`, or nowhere."""
        if self._directory(train) is not None:
            return "runs"
        return "results" if train in self.trainings else ""

    def scored(self, run: RunSide, suite: SuiteSide) -> bool:
        """Tell whether a run's answers to a suite are on file."""
        if (run.train, suite.digest) in self.scores:
            return True
        directory = self._directory(run.train)
        attempt = directory.finished() if directory is not None else None
        if directory is None or attempt is None:
            return False
        return is_sealed(directory.evals(suite.name, suite.digest, attempt))

    def answered(self, run: RunSide, suite: SuiteSide, arm: str) -> bool:
        """Tell whether the answers of an arm without training are on file."""
        return (suite.digest, str(run.config.get("model")), arm) in self.answers

    @cached_property
    def _catalog(self) -> Catalog | None:
        return Catalog(self.runs) if self.runs is not None else None

    def _directory(self, train: str) -> RunDirectory | None:
        """Return the directory of a finished training; what cannot be read is none."""
        if train not in self._found:
            directory = None
            with suppress(OSError, DataError):
                directory = self._catalog.find(train) if self._catalog is not None else None
                directory = directory if directory is not None and directory.finished() is not None else None
            self._found[train] = directory
        return self._found[train]


def existing(head: Path, names: Iterable[str], runs: Path | None) -> Existing:
    """Read the committed results of the experiments `names` below `head`; `runs` are run directories that may be used.

    A broken file of results claims nothing.
    """
    trainings: set[str] = set()
    scores: set[tuple[str, str]] = set()
    answers: set[tuple[str, str, str]] = set()
    for name in names:
        path = head / "experiments" / f"{name}.results.json"
        with suppress(OSError, DataError):
            known = read_results(path.read_bytes(), file=path.name)
            trainings |= {row.train for row in known.results}
            scores |= {(row.train, row.eval) for row in known.results if row.eval is not None}
            answers |= {(row.eval, row.model, row.arm) for row in known.baselines}
    return Existing(frozenset(trainings), frozenset(scores), frozenset(answers), runs)
