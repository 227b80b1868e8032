"""`where`: which file, line and column set each value of an experiment."""

from collections.abc import Sequence
from typing import Any

from ftspec.compose.composed import Composed
from ftspec.compose.findings import Scope
from ftspec.compose.loading import Loading
from ftspec.compose.points import same
from ftspec.compose.project import Project
from ftspec.compose.session import opened
from ftspec.compose.sites import BUILT_IN, COMMAND_LINE, Place, Site
from ftspec.compose.sources import Snapshot
from ftspec.compose.wording import dotted

Path = tuple[str | int, ...]


def where(project: Project, name: str, overrides: Sequence[str] = ()) -> list[Site]:
    """Return the site of every value of the resolved experiment, in the order of the schema.

    With the overrides of a point, the values are that point's, and swept ones stand in the sweep. Raises what `load`
    raises.
    """
    name = project.name_of(name)
    with opened(Snapshot.of(project), name, str(project.experiments)) as session:
        loading = Loading(project, session, tuple(overrides))
        return _sites(loading, loading.composed())


def _sites(loading: Loading, composed: Composed) -> list[Site]:
    one = composed.points[0] if len(composed.points) == 1 else None
    config = {**one.config, "sweep": composed.config.get("sweep")} if one else composed.config
    scope = Scope(None, _of_axes(loading))
    findings = loading.findings
    findings.given = [one for one in loading.given if one.key not in scope.coordinates]
    table = findings.table(findings.groups)
    found = []
    for path, value in _leaves({key: value for key, value in config.items() if value is not None}):
        place = findings.site(path, scope)
        swept = findings.axis_over(path, scope)
        # Where only a mapping above a value is written, the value itself is the schema's default.
        if place.file != COMMAND_LINE and path not in table and not swept:
            place = Place(BUILT_IN)
        found.append(Site(dotted(path), value, place.file, place.line, place.column))
    return found


def _of_axes(loading: Loading) -> dict[str, Any]:
    """Return the overrides that say what the sweep says for one of its points: the sweep is their place."""
    found = {}
    for one in loading.given:
        column = loading.findings.columns.get(one.key)
        if one.values is None and column is not None and column.at:
            values = column.values.make()
            if any(same(value, one.value) for value in values):
                found[one.key] = one.value
    return found


def _leaves(value: Any, at: Path = ()) -> list[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        return [leaf for key, item in value.items() for leaf in _leaves(item, (*at, key))]
    if isinstance(value, list) and value and any(isinstance(item, (dict, list)) for item in value):
        return [leaf for number, item in enumerate(value) for leaf in _leaves(item, (*at, number))]
    return [(at, value)]
