"""Choices, values and runs without effect: what somebody wrote and no run takes is an error, never a silent default."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftspec.compose.findings import Scope
from ftspec.compose.given import Given
from ftspec.compose.points import Column
from ftspec.compose.scan import Node
from ftspec.compose.session import Session
from ftspec.compose.sites import COMMAND_LINE, Table, file_table, merged_files
from ftspec.compose.sources import Loaded
from ftspec.compose.sweeping import Sweeping
from ftspec.compose.wording import dotted
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment

Path = tuple[str | int, ...]


def without_effect(
    session: Session, given: Sequence[Given], sweeping: Sweeping, chosen_groups: tuple[str, ...]
) -> Iterator[tuple[Path, Problem, Scope]]:
    """Yield choices of groups of which no value survives, since a later file sets the same keys."""
    choices: list[tuple[str, Any, Column | None]] = []
    for one in given:
        if one.is_group and one.values is None and one.prefix in ("", "+"):
            choices.append((one.key, one.value, None))
    for key, axis in sweeping.columns.items():
        if key in sweeping.groups or session.is_group(key):
            choices.extend((key, value, axis) for value in axis.values.make())
    for group, value, column in choices:
        if not _may_be_covered(session, group):
            continue
        others = tuple(text for text in chosen_groups if text.partition("=")[0] != group)
        groups = (*others, sweeping.assignment(group, value)) if column is not None else chosen_groups
        covering = _covering(session, group, value, groups)
        if covering is None:
            continue
        message = f"the choice {value} has no effect: {covering} sets the same keys later"
        problem = Problem("no_effect", message, group, fix=f"remove them there, or give {group}.KEY itself")
        if column is None or not column.at:
            problem = problem.at(COMMAND_LINE)
        yield (column.at if column is not None else (group,)), problem, Scope()


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
            message = f"has no effect: {place.file}:{place.line}:{place.column} sets it later"
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
    files = [file for file, _ in merged_files(session, groups) if file.layer == "experiments"]
    shown = [file.shown for file in files]
    table = file_table(session, groups)
    for key, column in sweeping.columns.items():
        axis = table.get(column.at)
        if axis is None or axis.file not in shown or not all(key in point for point in points):
            continue
        for file in files[shown.index(axis.file) + 1 :]:
            node = _given_in(file, key)
            if node is not None:
                message = f"has no effect: the axis at {axis.file}:{axis.line}:{axis.column} gives it in every run"
                fix = "give the axis these values instead, or null there to take it away"
                problem = Problem("no_effect", message, key, fix=fix)
                yield column.at, problem.at(file.shown, node.line, node.column)


def _given_in(file: Loaded, key: str) -> Node | None:
    """Return where a file gives a key its value, or chooses for it in the defaults list."""
    document = file.document
    if document is None:
        return None
    given = (node for path, node, value in document.entries() if dotted(path) == key and value.kind != "map")
    chosen = (node for path, node, _ in document.marks() if path[0] == "defaults" and path[-1] == f"override {key}")
    return next(given, next(chosen, None))


def _may_be_covered(session: Session, group: str) -> bool:
    """Cheap test before the defaults list is asked for: does a file outside the group set keys of it?"""
    for (_, path), file in session.snapshot.loaded.items():
        document = None if path.startswith(f"{group}/") else file.document
        if document is not None and any(key.value == group.split("/")[0] for key in document.top()):
            return True
    return False


def _covering(session: Session, group: str, value: Any, groups: tuple[str, ...]) -> str | None:
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
            place = table.get((*package, *path))
            if place is not None and place.file == loaded.shown:
                return None
            if place is not None:
                covered = f"{place.file}:{place.line}:{place.column}"
    return covered


def repeated_runs(runs: Sequence[tuple[Mapping[str, Any], Experiment | None]]) -> Iterator[tuple[Path, Problem]]:
    """Yield runs whose whole configuration equals that of an earlier one: an axis that changes nothing."""
    seen: dict[str, Mapping[str, Any]] = {}
    for coordinates, experiment in runs:
        text = repr(experiment)
        first = seen.setdefault(text, coordinates)
        if first is not coordinates:
            differ = [key for key in coordinates if first.get(key) != coordinates[key]] or list(coordinates)
            axes = " and ".join(differ)
            said = f"{_point(first)} and {_point(coordinates)} are the same run: {axes} changes nothing"
            yield ("sweep", "grid", differ[0]), Problem("no_effect", said, differ[0], fix="leave one of them out")
            return


def _point(coordinates: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in coordinates.items())
