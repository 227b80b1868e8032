"""One run in hand: what was claimed of it, what it is planned as now, what was found so far."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftspec.evals.scores import read_scores
from ftspec.runs.directory import Attempt, RunDirectory
from ftspec.runs.environment import environment, git_state
from ftspec.runs.known import KnownResult
from ftspec.runs.lock import LockedRun
from ftspec.runs.seal import is_sealed
from ftspec.runs.surroundings import Difference, differences, how_to_run, of_code
from ftspec.storage import read_json
from ftspec.workflows.plan import PlannedRun, PlannedSuite
from ftspec.workflows.reproduction.verdicts import Level, Subject, Verdict


@dataclass(frozen=True)
class ReproduceOptions:
    """How far to go. `provider` makes it a transfer; `overrides` may then complete that provider's block."""

    level: Level = "bits"
    provider: str | None = None
    overrides: tuple[str, ...] = ()
    yes: bool = False
    accept_unknown: bool = False


@dataclass
class Case:
    """A run to be reproduced. `attempt` is the claim, `fresh` the new attempt once there is one."""

    label: str
    train: str
    planned: PlannedRun | None = None
    directory: RunDirectory | None = None
    attempt: Attempt | None = None
    locked: LockedRun | None = None
    known: tuple[KnownResult, ...] = ()
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    fresh: Attempt | None = None

    @property
    def ended(self) -> bool:
        """Whether a level did not hold, so that later ones are not tried."""
        return bool(self.verdicts) and self.verdicts[-1].word != "reproduced"

    def scored(self) -> Iterator[tuple[PlannedSuite, Path | None, Path]]:
        """Yield each suite of the tuned model with the folders of recorded (None: not here) and new scores."""
        assert self.planned is not None
        assert self.directory is not None
        assert self.fresh is not None
        for suite in self.planned.suites:
            if suite.suite.trained_arms:
                after = self.directory.evals(suite.name, suite.eval_digest, self.fresh)
                yield suite, self.recorded_scores(suite), after

    def recorded_scores(self, suite: PlannedSuite) -> Path | None:
        """Return the folder of a suite's recorded scores, None where they are not here."""
        if self.directory is None or self.attempt is None:
            return None
        folder = self.directory.evals(suite.name, suite.eval_digest, self.attempt)
        return folder if is_sealed(folder) else None

    def known_score(self, suite: PlannedSuite) -> KnownResult | None:
        """Return what results.json says of a suite."""
        return next((row for row in self.known if row.eval == suite.eval_digest), None)

    def subject(self, root: Path) -> Subject:
        """Return what is told of it; `root` is the project's folder, whose code is compared with the recorded one."""
        found: list[Difference] = []
        notes = list(self.notes)
        if self.attempt is not None and (self.attempt.path / "env.json").is_file():
            recorded = read_json(self.attempt.path / "env.json")
            now: dict[str, Any] = read_json(self.fresh.path / "env.json") if self.fresh else environment()
            found = [*of_code(recorded, git_state(root)), *differences(recorded, now)]
            if how := how_to_run(recorded, now):
                notes.append(how)
        attempt = str(self.fresh.path) if self.fresh else ""
        return Subject(self.label, self.train, tuple(self.verdicts), attempt, tuple(notes), tuple(found))


def still_open(cases: Iterable[Case]) -> list[Case]:
    """Return the cases whose levels all held so far."""
    return [case for case in cases if not case.ended and case.planned is not None]


def primary_of(folder: Path) -> tuple[float | None, tuple[float, float] | None, int]:
    """Return value, 95 % interval and items of the primary metric in a sealed folder of scores."""
    scores = read_scores(folder / "scores.json")
    found = next(iter(scores.arms.values())).metrics[scores.primary]
    interval = (found.low, found.high) if found.low is not None and found.high is not None else None
    return found.value, interval, found.n
