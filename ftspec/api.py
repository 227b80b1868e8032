"""The Python API: what the command line does, as functions that return frozen results and print nothing."""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ftspec.compose import Composed, Project
from ftspec.compose import load as compose_load
from ftspec.spec.errors import UsageError
from ftspec.spec.events import Emit, silent
from ftspec.workflows.plan import Plan, draft_plan, make_plan

if TYPE_CHECKING:
    from ftspec.workflows.results import Results
    from ftspec.workflows.run import RunOptions

Folder = str | os.PathLike[str] | None


def _project(folder: Folder) -> Project:
    return Project.find(Path(folder) if folder is not None else Path.cwd())


def load(experiment: str, overrides: Iterable[str] = (), *, project: Folder = None) -> Composed:
    """Compose, expand and validate an experiment.

    `overrides` are Hydra's, such as `"hyperparameters.n_epochs=1,3"`; `project` is a folder inside the project, by
    default the current one. Reads files only: no network, no data, no code of the project.

    Raises SpecError with every problem, each with its file and line; UnsafeError if one of them is a refusal.
    """
    found = _project(project)
    return compose_load(found, found.name_of(experiment), _texts(overrides))


def plan(experiment: str, overrides: Iterable[str] = (), *, project: Folder = None) -> Plan:
    """Say what `run` would do: each run's digests, size and cost, and what is on disk already. Starts nothing.

    Raises SpecError or DataError with every problem.
    """
    found = _project(project)
    return make_plan(found, found.name_of(experiment), _texts(overrides))


async def run_async(
    experiment: str | Plan,
    overrides: Iterable[str] = (),
    *,
    project: Folder = None,
    options: "RunOptions | None" = None,
    emit: Emit = silent,
) -> "Results":
    """Do the plan of an experiment, write its lock, return its scores; `emit` gets each event (`ftspec.spec.events`).

    `experiment` is a name, or what `plan` returned. The same call again does nothing twice. Composing blocks the event
    loop for about a second. Runs that failed are in `Results.failed`; they stop no other.
    Raises SpecError, DataError, GateError (budget) before any job, ProviderError where none could be made.
    """
    from ftspec.workflows.fetch import plan_with_data
    from ftspec.workflows.locking import write_lock
    from ftspec.workflows.results import collect
    from ftspec.workflows.run import RunOptions, execute

    texts = _texts(overrides)
    if isinstance(experiment, str):
        found = _project(project)
        paid = options is not None and options.yes
        made = await plan_with_data(found, found.name_of(experiment), texts, emit, paid=paid)
    elif texts:
        raise UsageError("overrides", "a plan has its overrides already", fix="give them to ftspec.plan(...)")
    else:
        made = experiment
    report = await execute(made, options or RunOptions(), emit)
    after = made if made.nothing_to_do else draft_plan(made.project, made.name, made.composed.overrides)
    results = collect(after)
    return replace(results, outcomes=report.outcomes, saved=write_lock(after, results), unsent=report.unsent)


def run(
    experiment: str | Plan,
    overrides: Iterable[str] = (),
    *,
    project: Folder = None,
    options: "RunOptions | None" = None,
    emit: Emit = silent,
) -> "Results":
    """Do the plan of an experiment and wait for it; the synchronous form of `run_async`.

    Raises UsageError inside a running event loop (a notebook): write `await ftspec.run_async(...)` there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(run_async(experiment, overrides, project=project, options=options, emit=emit))
    raise UsageError(
        "running_loop",
        "ftspec.run() cannot be called inside a running event loop, such as a notebook's",
        fix="write `await ftspec.run_async(...)`",
    )


def _texts(overrides: Iterable[str]) -> tuple[str, ...]:
    """Return overrides as a tuple. Raises UsageError for a single text, which Python would take letter by letter."""
    if isinstance(overrides, str):
        raise UsageError("overrides", "overrides are a list of texts", fix=f"write [{overrides!r}]")
    return tuple(overrides)
