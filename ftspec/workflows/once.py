"""What many points share is looked at once, and each problem told of the runs that share it."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ftspec.compose import Point
from ftspec.compose.concerned import concerned
from ftspec.spec.errors import Problem, Problems

T = TypeVar("T")


@dataclass
class Once:
    """A memory of what was looked at, by key: its result, the problems found on the way, the points that share it."""

    problems: Problems
    _results: dict[Hashable, Any] = field(default_factory=dict)
    _found: dict[Hashable, list[Problem]] = field(default_factory=dict)
    _points: dict[Hashable, list[Point]] = field(default_factory=dict)

    def look(self, key: Hashable, point: Point, at: Callable[[], T]) -> T:
        """Return what `at` returned for this key; it is called for the first point only."""
        self._points.setdefault(key, []).append(point)
        if key not in self._results:
            before = len(self.problems.found)
            self._results[key] = at()
            self._found[key] = self.problems.found[before:]
        return self._results[key]  # type: ignore[no-any-return]

    def bound(self, problems: Iterable[Problem], points: Sequence[Point]) -> list[Problem]:
        """Return the problems, each told which runs it concerns where it does not concern all `points`."""
        shared: dict[Problem, list[Hashable]] = {}
        for key, found in self._found.items():
            for problem in found:
                shared.setdefault(problem, []).append(key)
        coordinates = {point.label: point.coordinates for point in points}
        words: dict[tuple[Hashable, ...], tuple[str, str]] = {}
        told = []
        for problem in problems:
            keys = tuple(shared.get(problem, ()))
            if keys not in words:
                words[keys] = concerned((point.label for key in keys for point in self._points[key]), coordinates)
            runs, run = words[keys]
            told.append(replace(problem, runs=runs, run=run) if runs else problem)
        return told
