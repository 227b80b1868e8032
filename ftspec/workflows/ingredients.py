"""What runs are made of: data sets and suites, each looked at once over all points, whatever else is wrong.

What is wrong is taken down, never raised: a broken data set hides no mistake of a suite, nor the other way round.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from ftspec.compose import Point, Project
from ftspec.data import Prepared, RowRules
from ftspec.data.cache import Cache
from ftspec.data.examine import examine as examine_data
from ftspec.evals.suites import ResolvedSuite, examine, examine_items, projection, resolve
from ftspec.spec.digests import digest
from ftspec.spec.errors import Problems, SpecError
from ftspec.workflows.linting import lint_data, lint_suite
from ftspec.workflows.prepared import facts_of, prepare_data, unkept_masks

_PART_ROLES = {"test": "test", "validation": "valid"}


@dataclass
class DataSets:
    """Prepares each distinct data set of a sweep once. Without a `cache` nothing may be kept, and all is only read."""

    project: Project
    cache: Path | None
    problems: Problems
    _prepared: dict[str, Prepared | None] = field(default_factory=dict)
    _examined: set[str] = field(default_factory=set)

    def of(self, point: Point) -> Prepared | None:
        """Return a point's data, or None where something is wrong with it."""
        if self.cache is None:
            self.examine(point, mapped=True)
            return None
        experiment = point.experiment
        try:
            counter, rules = facts_of(experiment)
        except SpecError as error:  # no such provider; its rows can be read all the same
            self.problems.take(error)
            self.examine(point, mapped=True)
            return None
        key = f"{_block(point)} {counter.identity} {rules!r}"
        if key not in self._prepared:
            prepared = self.problems.try_to(lambda: prepare_data(self.project, experiment))
            if prepared is not None:
                self.problems.found += [*prepared.problems, *unkept_masks(prepared, experiment)]
                found = lint_data(prepared, experiment, rules, self.project.root, self.cache)
                self.problems.found += found
            self._prepared[key] = prepared
        return self._prepared[key]

    def examine(self, point: Point, *, mapped: bool, limits: RowRules | None = None) -> None:
        """Look at a point's files, and at its rows where what makes them (`mapped`) is not broken.

        With `limits` the weights of its rows are looked at too.
        """
        key = f"{_block(point)} {mapped}"
        if key not in self._examined:
            self._examined.add(key)
            dataset, weights = point.experiment.dataset, point.experiment.weights
            cache = Cache(self.cache)
            self.problems.join(
                examine_data(dataset, weights, root=self.project.root, cache=cache, limits=limits, mapped=mapped)
            )


def _block(point: Point) -> str:
    return f"{point.config['dataset']!r} {point.config['weights']!r}"


@dataclass
class Suites:
    """Resolves each distinct suite of a sweep once; its digest holds items, request, arms, graders and metrics."""

    root: Path
    cache: Path | None
    problems: Problems
    _resolved: dict[tuple[str, str, str], tuple[ResolvedSuite, str] | None] = field(default_factory=dict)

    def of(self, point: Point, prepared: Prepared) -> dict[str, tuple[ResolvedSuite, str]] | None:
        """Return a point's suites with their digests, or None where something is wrong with one of them."""
        train = prepared.parts["train"].sha256
        found = {}
        for name in point.experiment.evals:
            key = (name, _suite_block(point, name), train)
            if key not in self._resolved:
                self._resolved[key] = self.problems.try_to(lambda name=name: self._resolve(name, point, prepared))  # type: ignore[misc]
            if (one := self._resolved[key]) is not None:
                found[name] = one
        return found if len(found) == len(point.experiment.evals) else None

    def _resolve(self, name: str, point: Point, prepared: Prepared) -> tuple[ResolvedSuite, str]:
        suite = point.experiment.evals[name]
        resolved = resolve(
            name,
            suite,
            baselines=point.experiment.baselines,
            references=dict(prepared.references),
            items=prepared.parts.get(_PART_ROLES[suite.data.part or "test"]),
            train=prepared.parts["train"],
            root=self.root,
        )
        self.problems.found += resolved.problems
        eval_digest = digest("eval", projection(resolved))
        if not any(problem.severity == "error" for problem in resolved.problems):
            self.problems.found += lint_suite(prepared, resolved, eval_digest, self.cache)
        return resolved, eval_digest

    def examine(self, point: Point, *, parts_known: bool = True) -> None:
        """Look at a point's suites while its data cannot be used; `parts_known`: its split at least is not broken."""
        parts: Collection[str] | None = point.experiment.dataset.split.held_out if parts_known else None
        for name, suite in point.experiment.evals.items():
            key = (name, _suite_block(point, name), f"{parts}")
            if key not in self._resolved:
                self._resolved[key] = None
                self.problems.join(
                    examine(name, suite, baselines=point.experiment.baselines, root=self.root, parts=parts)
                )

    def examine_items(self, point: Point, name: str) -> None:
        """Look at nothing but the items of a suite."""
        key = (name, repr(point.config["evals"][name]["data"]), "items")
        if key not in self._resolved:
            self._resolved[key] = None
            self.problems.join(examine_items(name, point.experiment.evals[name], self.root))


def _suite_block(point: Point, name: str) -> str:
    return repr(point.config["evals"][name]) + repr(point.config.get("baselines"))
