"""Lint of an experiment: its data, and its data beside the items and requests of its suites. Asked once per content."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ftspec.data import Prepared, RowRules
from ftspec.data.cache import Cache, content_id
from ftspec.data.lint import lint_rows, recalled
from ftspec.evals.suites import ResolvedSuite
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment
from ftspec.spec.lint import LintLevel

_VERSION = 1


def asked_for(levels: Mapping[str, LintLevel | str]) -> frozenset[str]:
    """Return the codes that an experiment gives a level other than `ignore`."""
    return frozenset(
        code for code, level in levels.items() if (level.level if isinstance(level, LintLevel) else level) != "ignore"
    )


def lint_data(
    prepared: Prepared, experiment: Experiment, limits: RowRules, root: Path, cache: Path | None
) -> tuple[Problem, ...]:
    """Return what lints say of a prepared data set, at their own levels."""
    asked = asked_for(experiment.lint)
    return lint_rows(prepared, experiment.weights, limits, root=root, asked=asked, cache=cache)


def lint_suite(prepared: Prepared, suite: ResolvedSuite, digest: str, cache: Path | None) -> tuple[Problem, ...]:
    """Return what lints say of a data set beside one suite: items among its rows, other instructions."""
    kept = Cache(cache)
    name = content_id("lint_suite", [_VERSION, prepared.content, prepared.parts["train"].sha256, digest])
    known = recalled(kept, name)
    if known is None:
        from ftspec.workflows.overlap import beside

        known = beside(prepared, suite)
        kept.remember("lint", name, [asdict(problem) for problem in known])
    return known
