"""The winner of a sweep by its declared rule, and what the scores say about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from ftspec.evals.compare import Comparison, compare
from ftspec.evals.scores import Scores, metric_of
from ftspec.workflows.plan import Plan
from ftspec.workflows.scored import ScoredSuite


class Candidate(Protocol):
    """A run that can win."""

    @property
    def label(self) -> str: ...
    @property
    def train_digest(self) -> str: ...
    @property
    def epochs(self) -> int: ...
    @property
    def valid_loss(self) -> float | None: ...
    @property
    def scores(self) -> Mapping[str, Scores]: ...


@dataclass(frozen=True)
class Pick:
    """The winner, and what the scores say about it and the runner-up. `seeds` is how often each point is trained."""

    label: str
    by: str
    runner_up: str | None
    comparison: Comparison | None
    seeds: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "label": self.label,
            "by": self.by,
            "runner_up": self.runner_up,
            "comparison": msgspec.to_builtins(self.comparison) if self.comparison else None,
        }


def choose(plan: Plan, runs: Sequence[Candidate], scored: Mapping[str, Mapping[str, ScoredSuite]]) -> Pick | None:
    """Rank the runs that have a value by `sweep.select`. None where there is nothing to choose from.

    `scored` holds each run's scores by train digest and suite. The verdict on the runner-up is on the first suite.
    """
    sweep = plan.composed.experiment.sweep
    by, tie = (sweep.select.by, sweep.select.tie) if sweep else ("valid_loss", "fewest_epochs")
    ranked = [(value, run) for run in runs if (value := _value(plan, run, by)) is not None]
    if len(runs) < 2 or not ranked:
        return None
    order = {run.label: i for i, run in enumerate(runs)}
    ranked.sort(key=lambda pair: (pair[0], pair[1].epochs if tie == "fewest_epochs" else 0, order[pair[1].label]))
    best = ranked[0][1]
    second = next((run for _, run in ranked if run.train_digest != best.train_digest), None)
    comparison = _against(plan, best, second, scored) if second is not None else None
    seeds = plan.composed.experiment.repeats
    return Pick(best.label, by, second.label if second else None, comparison, seeds)


def _value(plan: Plan, run: Candidate, by: str) -> float | None:
    """The value that is minimised; a score of which more is better is negated."""
    if by == "valid_loss":
        return run.valid_loss
    suite, _, metric = by.partition(".")
    scores = run.scores.get(suite)
    if scores is None or not scores.arms:
        return None
    name = metric or scores.primary
    estimate = next(iter(scores.arms.values())).metrics.get(name)
    if estimate is None or estimate.value is None:
        return None
    resolved = next(planned.suite for planned in plan.suites if planned.name == suite)
    return -estimate.value if metric_of(resolved, name).direction == "higher" else estimate.value


def _against(
    plan: Plan, best: Candidate, second: Candidate, scored: Mapping[str, Mapping[str, ScoredSuite]]
) -> Comparison | None:
    if not plan.suites:
        return None
    name = plan.suites[0].name
    mine, theirs = scored[best.train_digest].get(name), scored[second.train_digest].get(name)
    if mine is None or theirs is None or mine.tuned is None or theirs.tuned is None:
        return None
    settings = mine.suite.suite.suite.compare
    return compare(theirs.measured(theirs.tuned, second.label), mine.measured(mine.tuned, best.label), settings)
