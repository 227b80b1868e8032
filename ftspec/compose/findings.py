"""Collects what is wrong, in the base and in each run, and says all of it once, each with its place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ftspec.compose.concerned import concerned
from ftspec.compose.given import Given
from ftspec.compose.overrides import under
from ftspec.compose.points import Column, Coordinates, same
from ftspec.compose.scan import UNSAFE
from ftspec.compose.session import Session
from ftspec.compose.shape import meant, shapes_at
from ftspec.compose.sites import COMMAND_LINE, Place, Table, file_table, nearest
from ftspec.compose.wording import dotted, keys
from ftspec.spec.errors import FtspecError, Problem, SpecError, UnsafeError, in_order, shortened

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Scope:
    """Where a configuration came from: the choices of groups, and for a run its coordinates. `raw` is unresolved.

    Without `groups` the experiment as a whole is meant, with its sweep block.
    """

    groups: tuple[str, ...] | None = None
    coordinates: dict[str, Any] = field(default_factory=dict)
    raw: Any = None
    label: str = ""


BASE = Scope()
_OF_HOLES = ("missing_key", "missing_value", "reference")  # mistakes that may only follow from what was not read


@dataclass
class _Found:
    problem: Problem
    path: Path
    scope: Scope
    runs: set[str] = field(default_factory=set)
    used_by: list[str] = field(default_factory=list)


def kind_of_codes(problems: Sequence[Problem]) -> type[FtspecError]:
    """Return UnsafeError where one of the problems is a refusal, else SpecError."""
    return UnsafeError if any(problem.code in UNSAFE for problem in problems) else SpecError


def raise_all(problems: Sequence[Problem]) -> None:
    """Raise all errors among the problems at once: as UnsafeError if one of them is, else as SpecError."""
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise kind_of_codes(errors).many(errors)


@dataclass
class Findings:
    """Problems of one experiment. Places are looked up only when there is something to say."""

    session: Session
    given: Sequence[Given] = ()
    groups: tuple[str, ...] = ()
    columns: dict[str, Column] = field(default_factory=dict)
    placed: list[Problem] = field(default_factory=list)
    found: dict[Any, _Found] = field(default_factory=dict)
    warned: list[_Found] = field(default_factory=list)
    holes: list[Path] = field(default_factory=list)  # what a file or an option that cannot be read would have set
    _tables: dict[tuple[str, ...], Table] = field(default_factory=dict)

    def place(self, problem: Problem) -> None:
        """Add a problem that knows its place."""
        if problem not in self.placed:
            self.placed.append(problem)

    def add(self, path: Path, problem: Problem, scope: Scope = BASE) -> None:
        """Add a problem at a path of a configuration; the same one in several runs is said once."""
        target, used_by = self._followed(path, scope)
        if problem.code == "missing_key" and any(known[:2] == (target, "missing_value") for known in self.found):
            return
        if problem.code == "missing_value":  # it knows the line that asks for it
            self.found.pop((target, "missing_key", "is missing"), None)
        key = (target, problem.code, problem.message)
        found = self.found.setdefault(key, _Found(problem, target, scope))
        found.runs.add(scope.label)
        if used_by and used_by not in found.used_by:
            found.used_by.append(used_by)

    def warn(self, path: Path, problem: Problem) -> None:
        """Add a warning about the experiment as a whole."""
        self.warned.append(_Found(replace(problem, severity="warning"), path, BASE))

    def _followed(self, path: Path, scope: Scope) -> tuple[Path, str]:
        """A value that is one reference reports its target."""
        from ftspec.compose.references import Reference, pieces

        node = scope.raw
        for number, part in enumerate(path):
            if isinstance(node, str):
                path = path[:number]
                break
            node = _below(node, part)
        if not (isinstance(node, str) and "${" in node):
            return path, ""
        try:
            found = [piece for piece in pieces(node) if piece]
        except ValueError:
            return path, ""
        if len(found) == 1 and isinstance(found[0], Reference):
            target = found[0].target(path)
            if target is not None and target != path:
                return target, dotted(path)
        return path, ""

    @property
    def any(self) -> bool:
        """Whether an error was found."""
        return bool(self.placed or self.found)

    def problems(
        self, points: Mapping[str, Coordinates] = MappingProxyType({}), *, scanned: Sequence[Problem] = ()
    ) -> list[Problem]:
        """Return everything found, in order; `points` are the runs by label, `scanned` comes from the files."""
        problems = [*scanned, *self.placed]
        taken = {(problem.file, problem.line, problem.column) for problem in scanned if problem.line}
        for found in self.found.values():
            if found.problem.code in _OF_HOLES and self._follows(found):
                continue
            problem = self._said(found, points)
            # A YAML trap explains what the schema then refuses.
            if (problem.file, problem.line, problem.column) not in taken or problem.code not in (
                "invalid_value",
                "override_syntax",
            ):
                problems.append(problem)
        return shortened(in_order(sorted(_distinct(problems), key=lambda problem: problem.path)))

    def _follows(self, found: _Found) -> bool:
        """Tell whether a mistake may follow from what was not read: a reference may point anywhere into it."""
        anywhere = found.problem.code == "reference"
        return any(anywhere or found.path[: len(hole)] == hole for hole in self.holes)

    def broken(self, label: str) -> set[Path]:
        """Return the paths at which a run, or the experiment as a whole, is known to be wrong."""
        paths = [found.path for found in self.found.values() if found.runs & {"", label}]
        paths += [tuple(keys(problem.path)) for problem in self.placed if problem.path and not self._left_out(problem)]
        return {broken for path in paths for broken in _spread(path)} | set(self.holes)

    def _left_out(self, problem: Problem) -> bool:
        """Tell whether composing went on without what a problem is about: its holes say what is missing."""
        return problem.code == "unknown_option" and problem.file != COMMAND_LINE

    def warnings(self) -> tuple[Problem, ...]:
        """Return the warnings with their places."""
        return tuple(_distinct([self._said(found, {}) for found in self.warned]))

    def _said(self, found: _Found, points: Mapping[str, Coordinates]) -> Problem:
        problem = found.problem
        message = problem.message
        if found.used_by and dotted(found.path) not in found.used_by:
            message += f"; used by {', '.join(found.used_by)}"
        path = dotted(found.path) if found.used_by else problem.path
        # A value of an axis says which runs are meant.
        whole = "" in found.runs or self.axis_over(found.path, found.scope)
        runs, run = ("", "") if whole else concerned(found.runs, points)
        problem = replace(problem, message=message, path=path, runs=runs, run=run)
        if problem.file:
            return problem
        # A missing key has no place of its own: say where the mapping stands that lacks it.
        path_of_place = found.path[:-1] if problem.code == "missing_key" else found.path
        place = self.site(path_of_place, found.scope)
        return problem.at(place.file, place.line, place.column)

    def axis_over(self, path: Path, scope: Scope) -> str:
        """Return the axis that gives a path its value, empty where a file or a chosen option does."""
        names = (name for name in scope.coordinates if under(dotted(path), name) and not self.session.is_group(name))
        return next(names, "")

    def site(self, path: Path, scope: Scope = BASE) -> Place:
        """Return the place that set a path: the command line, an axis of the sweep, or a file."""
        key = dotted(path)
        for one in reversed(self.given):
            # `+x.y=1` makes an `x` too, which no file has.
            made = one.prefix in ("+", "++") and under(one.key, key) and path not in self.table(self.groups)
            if one.values is None and not one.is_group and (made or under(key, one.key)):
                return Place(COMMAND_LINE)
        table = self.table(self.groups if scope.groups is None else scope.groups)
        axis = self.axis_over(path, scope)
        if axis in self.columns:
            return self._item(table, self.columns[axis], scope.coordinates[axis])
        return nearest(table, path) or Place(f"experiments/{self.session.name}.yaml", 1, 1)

    def _item(self, table: Table, column: Column, value: Any) -> Place:
        if not column.at:
            return Place(COMMAND_LINE)
        for number, item in enumerate(column.values.make()):
            if same(item, value) and (*column.at, number) in table:
                return table[(*column.at, number)]
        return nearest(table, column.at) or Place(COMMAND_LINE)

    def table(self, groups: tuple[str, ...]) -> Table:
        """Return the places of a composition's values, once."""
        if groups not in self._tables:
            try:
                self._tables[groups] = file_table(self.session, groups)
            except self.session.errors:
                # The composition itself fails: the primary file's own marks are what there is.
                self._tables[groups] = self._primary()
        return self._tables[groups]

    def _primary(self) -> Table:
        loaded = self.session.snapshot.load("experiments", f"{self.session.name}.yaml")
        if loaded is None or loaded.document is None:
            return {}
        return {path: Place(loaded.shown, node.line, node.column) for path, node, _ in loaded.document.marks()}


def _spread(path: Path) -> Iterator[Path]:
    """Yield what a mistake at a path makes doubtful: the path, the axis of a sweep, the key that was meant."""
    yield path
    if path and path[0] == "sweep":
        yield from (tuple(part.split(".")) for part in path[1:] if isinstance(part, str) and shapes_at(part.split(".")))
    elif path and not shapes_at(path):
        probably = meant(path) or path[:-1]
        if probably:
            yield probably


def _below(node: Any, part: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _distinct(problems: Sequence[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))
