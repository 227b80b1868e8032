"""What runs are made of: data sets and suites, each looked at once over all points, whatever else is wrong.

What is wrong is taken down, never raised: a broken data set hides no mistake of a suite, nor the other way round.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ftspec.compose import Point, Project
from ftspec.data import Prepared, RowRules
from ftspec.data.cache import Cache
from ftspec.data.examine import examine as examine_data
from ftspec.evals.suites import ResolvedSuite, examine, examine_items, projection, resolve
from ftspec.spec.digests import digest
from ftspec.spec.errors import SpecError
from ftspec.spec.experiment import Experiment
from ftspec.spec.suite import Suite
from ftspec.workflows.linting import lint_data, lint_suite
from ftspec.workflows.once import Once
from ftspec.workflows.prepared import facts_of, prepare_data, unkept_masks

_PART_ROLES = {"test": "test", "validation": "valid"}


@dataclass
class DataSets:
    """Prepares each distinct data set of a sweep once. Without a `cache` nothing may be kept, and all is only read."""

    project: Project
    cache: Path | None
    once: Once

    def of(self, point: Point) -> Prepared | None:
        """Return a point's data, or None where something is wrong with it."""
        if self.cache is None:
            self.examine(point, mapped=True)
            return None
        try:
            counter, rules = facts_of(point.experiment)
        except SpecError as error:  # no such provider; its rows can be read all the same
            self.once.problems.take(error)
            self.examine(point, mapped=True)
            return None
        key = f"{_block(point)} {counter.identity} {rules!r}"
        return self.once.look(("data", key), point, lambda: self._prepare(point.experiment, rules))

    def _prepare(self, experiment: Experiment, rules: RowRules) -> Prepared | None:
        problems = self.once.problems
        prepared = problems.try_to(lambda: prepare_data(self.project, experiment))
        if prepared is not None:
            problems.found += [*prepared.problems, *unkept_masks(prepared, experiment)]
            found = lint_data(prepared, experiment, rules, self.project.root, self.cache)
            problems.found += found
        return prepared

    def examine(self, point: Point, *, mapped: bool, limits: RowRules | None = None) -> None:
        """Look at a point's files, and at its rows where what makes them (`mapped`) is not broken.

        With `limits` the weights of its rows are looked at too.
        """
        dataset, weights = point.experiment.dataset, point.experiment.weights
        root, cache = self.project.root, Cache(self.cache)

        def look() -> None:
            self.once.problems.join(
                examine_data(dataset, weights, root=root, cache=cache, limits=limits, mapped=mapped)
            )

        self.once.look(("files", f"{_block(point)} {mapped}"), point, look)


def _block(point: Point) -> str:
    return f"{point.config['dataset']!r} {point.config['weights']!r}"


@dataclass
class Suites:
    """Resolves each distinct suite of a sweep once; its digest holds items, request, arms, graders and metrics."""

    root: Path
    cache: Path | None
    once: Once

    def of(self, point: Point, prepared: Prepared) -> dict[str, tuple[ResolvedSuite, str]] | None:
        """Return a point's suites with their digests, or None where something is wrong with one of them."""
        train = prepared.parts["train"].sha256
        found = {}
        for name in point.experiment.evals:
            one = self.once.look(
                ("suite", name, _suite_block(point, name), train),
                point,
                lambda name=name: self.once.problems.try_to(lambda: self._resolve(name, point, prepared)),  # type: ignore[misc]
            )
            if one is not None:
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
        self.once.problems.found += resolved.problems
        eval_digest = digest("eval", projection(resolved))
        if not any(problem.severity == "error" for problem in resolved.problems):
            self.once.problems.found += lint_suite(prepared, resolved, eval_digest, self.cache)
        return resolved, eval_digest

    def examine(self, point: Point, *, parts_known: bool = True) -> None:
        """Look at a point's suites while its data cannot be used; `parts_known`: its split at least is not broken."""
        baselines = point.experiment.baselines
        parts: Collection[str] | None = point.experiment.dataset.split.held_out if parts_known else None
        for name, suite in point.experiment.evals.items():

            def look(name: str = name, suite: Suite = suite) -> None:
                self.once.problems.join(examine(name, suite, baselines=baselines, root=self.root, parts=parts))

            self.once.look(("asked", name, _suite_block(point, name), f"{parts}"), point, look)

    def examine_items(self, point: Point, name: str) -> None:
        """Look at nothing but the items of a suite."""
        suite = point.experiment.evals[name]

        def look() -> None:
            self.once.problems.join(examine_items(name, suite, self.root))

        self.once.look(("items", name, repr(point.config["evals"][name]["data"])), point, look)


def _suite_block(point: Point, name: str) -> str:
    return repr(point.config["evals"][name]) + repr(point.config.get("baselines"))
