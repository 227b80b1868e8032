"""Two arms on the same items, from stored grades: runs, arms without training, or the winner. Asks no model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ftspec.compose import Project
from ftspec.evals.compare import Comparison, compare
from ftspec.workflows.flips import Flip, flips
from ftspec.workflows.sought import Side, Sought

SCHEMA = 1


@dataclass(frozen=True)
class OnSuite:
    """The comparison on one suite, and the items that the two decide differently, in the suite's order."""

    suite: str
    comparison: Comparison
    flips: tuple[Flip, ...]


@dataclass(frozen=True)
class Compared:
    """All suites that both were scored on; `alone` names those that only one of them was.

    `lies` says of a run that is called otherwise where it lies what it is called there.
    """

    baseline: str
    arm: str
    suites: tuple[OnSuite, ...]
    alone: tuple[str, ...]
    lies: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            "baseline": self.baseline,
            "arm": self.arm,
            "suites": [
                {"suite": one.suite}
                | msgspec.to_builtins(one.comparison)
                | {"flips": [flip.to_json() for flip in one.flips]}
                for one in self.suites
            ],
            "alone": list(self.alone),
            "lies": dict(self.lies),
        }


def compare_arms(project: Project, experiments: Sequence[str], baseline: str, arm: str) -> Compared:
    """Compare two named things. `experiments` are those in which arms and labels are looked for first.

    A name is a run by any of its names (see `ftspec.runs.names`), planned today or not, an arm that needs no training
    (`base`, `few_shot`, ...), or `*`: the winner; of an arm and a winner that several experiments have, that of the
    other side's experiment is meant. Scores under different eval digests are not compared: the verdict is `not
    comparable`. Raises UsageError for a name that nothing has, or that has no scores yet.
    """
    before, after = Sought(project, experiments).sides(baseline, arm)
    names = list(dict.fromkeys(one.suite.name for one, _ in (*before.scored, *after.scored)))
    both = [name for name in names if before.of(name) and after.of(name)]
    suites = tuple(_on_suite(name, before, after) for name in both)
    alone = tuple(name for name in names if name not in both)
    lies = tuple((side.name, side.lies) for side in (before, after) if side.lies)
    return Compared(before.name, after.name, suites, alone, lies)


def _on_suite(name: str, before: Side, after: Side) -> OnSuite:
    """Compare on the first pair of equal digests; where there is none, the first pair says why not."""
    pairs = [(a, b) for a in before.of(name) for b in after.of(name)]
    same = [(a, b) for a, b in pairs if a[0].suite.eval_digest == b[0].suite.eval_digest]
    (first, first_arm), (second, second_arm) = (same or pairs)[0]
    settings = second.suite.suite.suite.compare
    found = compare(first.measured(first_arm, before.name), second.measured(second_arm, after.name), settings)
    return OnSuite(name, found, tuple(flips(found, first, first_arm, second, second_arm)))
