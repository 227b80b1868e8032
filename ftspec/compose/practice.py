"""What the schema cannot say of one key: contradictions, choices without effect, runs that are the same, advice."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ftspec.compose.findings import Scope
from ftspec.compose.given import Given
from ftspec.compose.overrides import under
from ftspec.compose.points import Column
from ftspec.compose.session import Session
from ftspec.compose.shape import shapes_at
from ftspec.compose.sites import COMMAND_LINE, Table, file_table, merged_files
from ftspec.compose.sweeping import Sweeping
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment

Path = tuple[str | int, ...]
MULTIPLIER = "hyperparameters.learning_rate_multiplier"


def contradictions(experiment: Experiment) -> Iterator[tuple[Path, Problem]]:
    """Yield values that exclude each other."""
    rates = experiment.hyperparameters
    if rates.learning_rate is not None and rates.learning_rate_multiplier is not None:
        yield (
            ("hyperparameters", "learning_rate"),
            Problem(
                "two_rates",
                "learning_rate and learning_rate_multiplier are both set",
                "hyperparameters.learning_rate",
                fix="keep one and set the other to null",
            ),
        )


def demanded(
    session: Session, given: Sequence[Given], swept: Iterable[str], groups: tuple[str, ...]
) -> Iterator[tuple[Path, Problem]]:
    """Yield keys that say "must be given" (`???`) and that neither a later file, an axis nor an override gives.

    Hydra would keep what an earlier file says (the base names every key, most with null) and ask for nothing.
    """
    if not any("???" in file.text for file in session.snapshot.loaded.values()):
        return
    asked: set[Path] = set()
    for loaded, package in merged_files(session, groups):
        for path, _, value in loaded.document.entries() if loaded.document is not None else ():
            at = (*package, *path)
            asked.discard(at)
            if value.kind == "text" and value.value == "???":
                asked.add(at)
    for at in sorted(asked, key=str):
        key = ".".join(map(str, at))
        shapes = shapes_at(at)
        if shapes and not any(under(key, one) for one in (*swept, *(one.key for one in given))):
            yield at, Problem("missing_value", f"must be given: {shapes[0].words}", key)


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


def advice(experiment: Experiment, columns: Mapping[str, Column]) -> Iterator[tuple[Path, Problem]]:
    """Yield what practice advises against; `lint` may raise or silence it."""
    column = columns.get(MULTIPLIER)
    # The reason is about what hosts hide; the embedded engine's rule for `auto` is open.
    hosted = experiment.provider.profile != "embedded"
    if hosted and column is not None and "auto" not in column.values.make():
        yield (
            column.at,
            Problem(
                "sweep_without_auto",
                "sweeps the multiplier without `auto`: real jobs resolved it 10 to 100 times above 0.02 to 0.2",
                MULTIPLIER,
                fix="add auto as a value",
            ),
        )
