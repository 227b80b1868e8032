"""Problems found in a composed experiment, put where they were written: file, line and column of the value."""

import dataclasses
import re
from collections.abc import Iterable, Sequence

from ftspec.compose import Project, Site, where
from ftspec.spec.errors import FtspecError, Problem

_BUILT_IN = "built in"


def place(problems: Iterable[Problem], project: Project, name: str, overrides: Sequence[str]) -> list[Problem]:
    """Give each problem that has a path but no file the place of that value, or of the nearest one above it.

    Sites are only worked out where some problem needs one: that costs a composition.
    """
    found = list(problems)
    if not any(problem.path and not problem.file for problem in found):
        return found
    try:
        sites = where(project, name, overrides)
    except FtspecError:  # it composed a moment ago; a problem without its line is better than none
        return found
    table = {_keys(site.path): site for site in sites if site.file != _BUILT_IN}
    return [_placed(problem, table) if problem.path and not problem.file else problem for problem in found]


def _keys(path: str) -> tuple[str, ...]:
    """`a[0].b`, `a.0.b` and `a[key.with.dots]` as keys."""
    return tuple(part for part in re.split(r"\.|\[([^\]]*)\]", path) if part)


def _placed(problem: Problem, table: dict[tuple[str, ...], Site]) -> Problem:
    path = _keys(problem.path)
    while path:
        if (site := table.get(path)) is not None:
            return dataclasses.replace(problem, file=site.file, line=site.line, column=site.column)
        below = next((s for keys, s in table.items() if keys[: len(path)] == path), None)
        if below is not None:
            return dataclasses.replace(problem, file=below.file, line=below.line, column=below.column)
        path = path[:-1]
    return problem
