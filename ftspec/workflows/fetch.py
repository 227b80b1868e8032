"""Get the data that a plan lacks, then plan: sources that lie elsewhere, answers of a teacher. Only `run` does so."""

from collections.abc import Sequence

from ftspec.compose import Project, load
from ftspec.spec.errors import DataError, Problem
from ftspec.spec.events import Emit, Notice
from ftspec.workflows.placing import place
from ftspec.workflows.plan import Plan, make_plan


async def plan_with_data(
    project: Project, name: str, overrides: Sequence[str], emit: Emit, *, paid: bool = False
) -> Plan:
    """Return the plan; what was not fetched or baked yet is got first, unless something else is wrong as well.

    `paid`: a teacher may cost.

    Raises what `make_plan`, `fetch` and `bake` do.
    """
    for missing, get in (("not_fetched", _fetch), ("not_baked", _bake)):
        try:
            return make_plan(project, name, overrides)
        except DataError as error:
            if not all(map(_to_get, error.problems)):
                raise
            if any(problem.code == missing for problem in error.problems):
                await get(project, name, overrides, emit, paid)
    return make_plan(project, name, overrides)


def _to_get(problem: Problem) -> bool:
    return problem.code in ("not_fetched", "not_baked")


async def _bake(project: Project, name: str, overrides: Sequence[str], emit: Emit, paid: bool) -> None:
    from ftspec.workflows.baking import bake

    await bake(project, name, overrides, emit, paid=paid)


async def _fetch(project: Project, name: str, overrides: Sequence[str], emit: Emit, paid: bool) -> None:
    from ftspec.data.remote import fetch

    composed = load(project, name, overrides)
    for dataset in {repr(point.config["dataset"]): point.experiment.dataset for point in composed.points}.values():
        try:
            fetch(
                dataset,
                project.root,
                project.cache,
                lambda text: emit(Notice(level="info", code="fetch", message=text)),
            )
        except DataError as error:
            raise DataError.many(place(error.problems, project, composed)) from error
