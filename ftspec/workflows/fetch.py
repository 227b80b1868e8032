"""Fetch what an experiment's sources name elsewhere, then plan it: the one place where data comes over a network."""

from collections.abc import Sequence

from ftspec.compose import Project, load
from ftspec.spec.errors import DataError
from ftspec.spec.events import Emit, Notice
from ftspec.workflows.placing import place
from ftspec.workflows.plan import Plan, make_plan


def plan_with_data(project: Project, name: str, overrides: Sequence[str], emit: Emit) -> Plan:
    """Return the plan; where sources were not fetched yet, fetch them first. Raises what `make_plan` and `fetch` do."""
    try:
        return make_plan(project, name, overrides)
    except DataError as error:
        if not any(problem.code == "not_fetched" for problem in error.problems):
            raise
    _fetch(project, name, overrides, emit)
    return make_plan(project, name, overrides)


def _fetch(project: Project, name: str, overrides: Sequence[str], emit: Emit) -> None:
    from ftspec.data.remote import fetch

    points = load(project, name, overrides).points
    for dataset in {repr(point.config["dataset"]): point.experiment.dataset for point in points}.values():
        try:
            fetch(
                dataset,
                project.root,
                project.cache,
                lambda text: emit(Notice(level="info", code="fetch", message=text)),
            )
        except DataError as error:
            raise DataError.many(place(error.problems, project, name, overrides)) from error
