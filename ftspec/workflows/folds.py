"""Folds of a small data set: which are missing from a sweep, and what all of them together say about the recipe.

Each row is answered once, by the run that did not see it, so the pooled score judges the recipe and no single model.
Runs share training rows, so the interval over rows is somewhat too narrow (Bengio and Grandvalet, JMLR 5, 2004: no
unbiased estimator of that variance exists).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftspec.compose import Point
from ftspec.evals.scores import Scores
from ftspec.evals.statistics.wilson import wilson
from ftspec.spec.errors import Problem

AXIS = "dataset.split.fold"


@dataclass(frozen=True)
class Pooled:
    """One recipe over its folds: `folds` of `of` have a score, `n` items in all; no interval for other than rates."""

    recipe: Mapping[str, Any]
    suite: str
    metric: str
    folds: int
    of: int
    n: int
    value: float | None
    low: float | None
    high: float | None

    @property
    def label(self) -> str:
        """The recipe's own coordinates."""
        return ",".join(f"{key.rpartition('.')[2]}={value}" for key, value in self.recipe.items()) or "recipe"

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        names = ("suite", "metric", "folds", "of", "n", "value", "low", "high")
        return {"recipe": dict(self.recipe), **{name: getattr(self, name) for name in names}}


def _recipe(point: Point) -> str:
    return repr({key: value for key, value in point.coordinates.items() if key != AXIS})


def recipes(points: Iterable[Point]) -> dict[str, list[Point]]:
    """Return the points that differ in their fold alone, by recipe; only those whose data has folds."""
    found: dict[str, list[Point]] = {}
    for point in points:
        if point.experiment.dataset.split.folds is not None:
            found.setdefault(_recipe(point), []).append(point)
    return found


def left_out(points: Iterable[Point]) -> list[Problem]:
    """Return a warning for folds that no run of a recipe holds out, once for all recipes."""
    for same in recipes(points).values():
        folds = same[0].experiment.dataset.split.folds or 0
        missing = sorted(set(range(folds)) - {point.experiment.dataset.split.fold for point in same})
        if missing:
            shown = ", ".join(map(str, missing))
            fix = f"sweep: {{grid: {{{AXIS}: {list(range(folds))}}}}}"
            message = f"fold {shown} of {folds} is never held out: its rows are never judged"
            return [Problem("folds_left_out", message, "dataset.split.folds", fix=fix, severity="warning")]
    return []


def pool(points: Sequence[Point], scores: Sequence[Mapping[str, Scores]]) -> tuple[Pooled, ...]:
    """Return each recipe's score over its folds, suite by suite; `scores` has the suites of each point, by name."""
    by_point = {id(point): found for point, found in zip(points, scores, strict=True)}
    pooled = []
    for same in recipes(points).values():
        for suite in dict.fromkeys(name for point in same for name in by_point[id(point)]):
            found = [by_point[id(point)][suite] for point in same if suite in by_point[id(point)]]
            pooled.append(_pooled(same, suite, found))
    return tuple(pooled)


def _pooled(same: Sequence[Point], suite: str, found: Sequence[Scores]) -> Pooled:
    estimates = [next(iter(scores.arms.values())).metrics[scores.primary] for scores in found]
    known = [(estimate.value, estimate.n) for estimate in estimates if estimate.value is not None]
    n = sum(size for _, size in known)
    total = sum(value * size for value, size in known)
    rate = n > 0 and all(estimate.method.startswith("wilson") for estimate in estimates)
    low, high = wilson(total, n) if rate else (None, None)
    recipe = {key: value for key, value in same[0].coordinates.items() if key != AXIS}
    folds = same[0].experiment.dataset.split.folds or 0
    return Pooled(recipe, suite, found[0].primary, len(known), folds, n, total / n if n else None, low, high)
