"""Choices, values and runs without effect: what somebody wrote and no run takes is an error, never a silent default."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftspec.compose.findings import Scope
from ftspec.compose.given import Given
from ftspec.compose.overrides import under
from ftspec.compose.points import Column
from ftspec.compose.scan import Node
from ftspec.compose.session import Session
from ftspec.compose.sites import COMMAND_LINE, Place, Table, file_table, merged_files
from ftspec.compose.sources import Loaded
from ftspec.compose.sweeping import Sweeping
from ftspec.compose.wording import dotted
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment

Path = tuple[str | int, ...]


def without_effect(
    session: Session,
    given: Sequence[Given],
    sweeping: Sweeping,
    chosen_groups: tuple[str, ...],
    points: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[Path, Problem, Scope]]:
    """Yield choices of groups of which no value survives, since a later file or an axis gives the same keys."""
    choices: list[tuple[str, Any, Column | None]] = []
    for one in given:
        if one.is_group and one.values is None and one.prefix in ("", "+"):
            choices.append((one.key, one.value, None))
    for key, axis in sweeping.columns.items():
        if key in sweeping.groups or session.is_group(key):
            choices.extend((key, value, axis) for value in axis.values.make())
    swept = _axes_of_every_run(session, sweeping, chosen_groups, points, own=True) if choices else {}
    for group, value, column in choices:
        if not _may_be_covered(session, group) and not any(under(key, group) for key in swept):
            continue
        others = tuple(text for text in chosen_groups if text.partition("=")[0] != group)
        groups = (*others, sweeping.assignment(group, value)) if column is not None else chosen_groups
        covering = _covering(session, group, value, groups, swept)
        if covering is None:
            continue
        problem = _ineffective(group, value, covering)
        if column is None or not column.at:
            problem = problem.at(COMMAND_LINE)
        yield (column.at if column is not None else (group,)), problem, Scope()


def idle_choices(
    session: Session, sweeping: Sweeping, chosen_groups: tuple[str, ...], points: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Path, Problem]]:
    """Yield choices of the experiment's own defaults list of which no value survives."""
    own = session.snapshot.load("experiments", f"{session.name}.yaml")
    swept = _axes_of_every_run(session, sweeping, chosen_groups, points, own=False)
    for group, value, node in _own_choices(own) if own is not None else ():
        if not (any(under(key, group) for key in swept) or _is_set(session, group)):
            continue
        if value is None:
            places = (place for path, place in file_table(session, chosen_groups).items() if path[0] == group)
            kept = next((place for place in places if place.file.startswith("experiments/")), None)
            covering = str(kept) if kept is not None else None
        else:
            covering = _covering(session, group, value, chosen_groups, swept)
        if covering is not None and own is not None:
            yield (group,), _ineffective(group, value, covering).at(own.shown, node.line, node.column)


def _ineffective(group: str, value: Any, covering: str) -> Problem:
    choice = "null" if value is None else value
    message = f"the choice {choice} has no effect: {covering} sets the same keys later"
    return Problem("no_effect", message, group, fix=f"remove them there, or give {group}.KEY itself")


def _own_choices(own: Loaded) -> Iterator[tuple[str, Any, Node]]:
    """Yield (group, options, where) of each `override group: option` of a file; None for null."""
    root = own.document.root if own.document is not None else None
    defaults = root.entry("defaults") if root is not None else None
    for item in defaults.value if defaults is not None and defaults.kind == "list" else ():
        for key, value in item.value if item.kind == "map" else ():
            words = str(key.value).split()
            if words[:-1] == ["override"]:
                options = [one.value for one in value.value] if value.kind == "list" else value.value
                yield words[-1].lstrip("/"), None if _is_null(value) else options, key


def _is_set(session: Session, group: str) -> bool:
    """Cheap test before the table is made: does an experiment set keys of a group in its body?"""
    loaded = session.snapshot.loaded.items()
    documents = [file.document for (layer, _), file in loaded if layer == "experiments" and file.document is not None]
    return any(key.value == group for document in documents for key in document.top())


def _axes_of_every_run(
    session: Session,
    sweeping: Sweeping,
    groups: tuple[str, ...],
    points: Sequence[Mapping[str, Any]],
    *,
    own: bool,
) -> dict[str, Place]:
    """Return the axes that give their key in every run: those of other experiments, with `own` this one's too."""
    if not own and len([True for layer, _ in session.snapshot.loaded if layer == "experiments"]) < 2:
        return {}
    keys = [key for key, column in sweeping.columns.items() if column.at and all(key in point for point in points)]
    if not keys:
        return {}
    table = file_table(session, groups)
    found = {key: table[sweeping.columns[key].at] for key in keys if sweeping.columns[key].at in table}
    mine = f"experiments/{session.name}.yaml"
    return {
        key: place
        for key, place in found.items()
        if place.file.startswith("experiments/") and (own or place.file != mine)
    }


def shadowed(session: Session, groups: tuple[str, ...]) -> Iterator[tuple[Path, Problem]]:
    """Yield keys of the experiment's own file that a file of its defaults list sets later: `_self_` is not last."""
    files = merged_files(session, groups)
    own = next((file for file, _ in files if file.layer == "experiments" and file.path == f"{session.name}.yaml"), None)
    if own is None or own.document is None or files[-1][0] is own:
        return
    table = file_table(session, groups)
    for path, key, value in own.document.entries():
        place = table.get(path)
        if value.kind != "map" and path[0] != "defaults" and place is not None and place.file != own.shown:
            message = f"has no effect: {place} sets it later"
            problem = Problem(
                "no_effect", message, ".".join(map(str, path)), fix="put _self_ last in the defaults list"
            )
            yield path, problem.at(own.shown, key.line, key.column)


def swept_over(
    session: Session, sweeping: Sweeping, groups: tuple[str, ...], points: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Path, Problem]]:
    """Yield values of an experiment that no run takes: an axis of an experiment before it gives the key in every run.

    A value beside its axis, or before it, is a default that the axis was written over.
    """
    axes = _axes_of_every_run(session, sweeping, groups, points, own=False)
    files = [file for file, _ in merged_files(session, groups) if file.layer == "experiments"] if axes else []
    shown = [file.shown for file in files]
    for key, axis in axes.items():
        for file in files[shown.index(axis.file) + 1 :] if axis.file in shown else ():
            node = _given_in(file, key)
            if node is not None:
                message = f"has no effect: the axis at {axis} gives it in every run"
                fix = "give the axis these values instead, or null there to take it away"
                problem = Problem("no_effect", message, key, fix=fix)
                yield sweeping.columns[key].at, problem.at(file.shown, node.line, node.column)


def _given_in(file: Loaded, key: str) -> Node | None:
    """Return where a file gives a key its value, or chooses for it in the defaults list."""
    document = file.document
    if document is None:
        return None
    given = (node for path, node, value in document.entries() if dotted(path) == key and _says(value))
    chosen = (node for path, node, _ in document.marks() if path[0] == "defaults" and path[-1] == f"override {key}")
    return next(given, next(chosen, None))


def _says(value: Node) -> bool:
    """Tell whether a node is a value: not a mapping, and not null, which says nothing."""
    return value.kind != "map" and not _is_null(value)


def _is_null(value: Node) -> bool:
    return value.plain and value.value in ("null", "~", "")


def _may_be_covered(session: Session, group: str) -> bool:
    """Cheap test before the defaults list is asked for: does a file outside the group set keys of it?"""
    for (_, path), file in session.snapshot.loaded.items():
        document = None if path.startswith(f"{group}/") else file.document
        if document is not None and any(key.value == group.split("/")[0] for key in document.top()):
            return True
    return False


def _covering(
    session: Session, group: str, value: Any, groups: tuple[str, ...], swept: Mapping[str, Place]
) -> str | None:
    """Return the place that covers every leaf of the chosen options, or None if a leaf survives."""
    table: Table = file_table(session, groups)
    options = value if isinstance(value, list) else [value]
    paths = [f"{group}/{option}.yaml" for option in options]
    covered = None
    for loaded, package in merged_files(session, groups):
        if loaded.path not in paths or loaded.document is None:
            continue
        for path, _node, _ in loaded.document.marks():
            if any(True for other, _, _ in loaded.document.marks() if other[: len(path)] == path and other != path):
                continue
            at = (*package, *path)
            while isinstance(at[-1], int):  # a list is replaced whole: its key is the place
                at = at[:-1]
            place = table.get(at)
            if axis := swept.get(dotted(at)):
                covered = f"the axis at {axis}"
                continue
            if place is not None and place.file == loaded.shown:
                return None
            if place is not None:
                covered = str(place)
    return covered


def repeated_runs(
    runs: Sequence[tuple[Mapping[str, Any], Experiment | None]], columns: Mapping[str, Column]
) -> Iterator[tuple[Path, Problem]]:
    """Yield runs whose whole configuration equals that of an earlier one: an axis that changes nothing."""
    seen: dict[str, Mapping[str, Any]] = {}
    for coordinates, experiment in runs:
        text = repr(experiment)
        first = seen.setdefault(text, coordinates)
        if first is not coordinates:
            differ = [key for key in coordinates if first.get(key) != coordinates[key]] or list(coordinates)
            axes = " and ".join(differ)
            said = f"{_point(first)} and {_point(coordinates)} are the same run: {axes} changes nothing"
            problem = Problem("no_effect", said, differ[0], fix="leave one of them out")
            at = columns[differ[0]].at if differ[0] in columns else ()
            yield at or ("sweep",), problem if at else problem.at(COMMAND_LINE if differ[0] in columns else "")
            return


def _point(coordinates: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in coordinates.items())
