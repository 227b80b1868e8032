"""Problems found in a composed experiment, put where they were written: file, line and column of the value."""

import dataclasses
from collections.abc import Iterable, Sequence

from ftspec.compose import Composed, Project, Site, where
from ftspec.compose.wording import keys
from ftspec.spec.errors import FtspecError, Problem

_BUILT_IN = "built in"
_MOST = 20


def place(problems: Iterable[Problem], project: Project, composed: Composed) -> list[Problem]:
    """Give each problem that has a path but no file the place of that value, or of the nearest one above it.

    What concerns some runs alone is placed where the values of their first one are written. Sites are only worked out
    where some problem needs one: that costs a composition for each run that is first so, up to a limit.
    """
    points = {point.label: point.overrides for point in composed.points}
    tables: dict[str, dict[tuple[str, ...], Site]] = {}
    found = []
    for problem in problems:
        if not problem.path or problem.file:
            found.append(problem)
            continue
        run = problem.run if problem.run in tables or len(tables) < _MOST else ""
        if run not in tables:
            tables[run] = _table(project, composed.name, points.get(run, composed.overrides))
        found.append(_placed(problem, tables[run]))
    return found


def _table(project: Project, name: str, overrides: Sequence[str]) -> dict[tuple[str, ...], Site]:
    try:
        sites = where(project, name, overrides)
    except FtspecError:  # it composed a moment ago; a problem without its line is better than none
        return {}
    return {keys(site.path): site for site in sites if site.file != _BUILT_IN}


def _placed(problem: Problem, table: dict[tuple[str, ...], Site]) -> Problem:
    path = keys(problem.path)
    while path:
        if (site := table.get(path)) is not None:
            return dataclasses.replace(problem, file=site.file, line=site.line, column=site.column)
        below = next((s for at, s in table.items() if at[: len(path)] == path), None)
        if below is not None:
            return dataclasses.replace(problem, file=below.file, line=below.line, column=below.column)
        path = path[:-1]
    return problem
