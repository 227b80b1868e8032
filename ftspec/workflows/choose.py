"""Find the run of an experiment that a person means by any of its names: a point of its sweep, or a run of its plan."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from ftspec.compose import Composed, Point, Project
from ftspec.runs.names import read_names
from ftspec.spec.digests import short
from ftspec.spec.errors import UsageError

if TYPE_CHECKING:
    from ftspec.workflows.plan import Plan, PlannedRun

T = TypeVar("T")


def point_of(project: Project, composed: Composed, text: str) -> Point:
    """Return the point that is meant: its label, or a name or digest of its run as the lock has it.

    Raises UsageError with the nearest labels.
    """
    points = {point.label: point for point in composed.points}
    return points[text] if text in points else _meant(project, composed.name, text, points, {})


def run_of(plan: "Plan", text: str) -> "PlannedRun":
    """Return the run of a plan that is meant, by label or any other name. Raises UsageError with the nearest labels."""
    runs = {run.label: run for run in plan.runs}
    trains = {short(run.train_digest): run.label for run in plan.runs}
    return runs[text] if text in runs else _meant(plan.project, plan.name, text, runs, trains)


def _meant(project: Project, experiment: str, text: str, known: Mapping[str, T], trains: Mapping[str, str]) -> T:
    import difflib

    found = read_names(project.runs).meant(text)
    mine = {name.label for run in found for name in run.names if name.experiment == experiment}
    mine = {trains[run.train] for run in found if run.train in trains} or mine & known.keys()
    if len(mine) == 1:
        return known[mine.pop()]
    if mine:
        fix = f"say which: {', '.join(sorted(mine))}"
        raise UsageError("several_runs", f"{text!r} names {len(mine)} runs of {experiment}", fix=fix)
    near = difflib.get_close_matches(text, known, n=3) or list(known)[:5]
    elsewhere = f"; it names {found[0]}, which {experiment} does not plan" if len(found) == 1 else ""
    raise UsageError(
        "unknown_run", f"{experiment} has no run {text!r}{elsewhere}", fix="for example " + ", ".join(near)
    )
