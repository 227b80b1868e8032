"""From a validated sweep block and the command line to the override strings of each run.

Overrides of a run stand in this order: axes as written, then the command line. A command-line value for an axis takes
its place; `repeats` is one more axis, the fastest.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ftspec.compose import axes, points
from ftspec.compose.axes import AxisError, Values
from ftspec.compose.given import Given, exists, unknown_key, unknown_option
from ftspec.compose.overrides import KEY, under, written
from ftspec.compose.points import Axis, Block, Column
from ftspec.compose.session import Session
from ftspec.compose.shape import shapes_at
from ftspec.compose.wording import shown
from ftspec.spec import sweep as spec
from ftspec.spec.errors import Problem

Path = tuple[str | int, ...]
Report = Callable[[Path, Problem], None]
_SHOWN = 8  # values of an axis that a message names


@dataclass(frozen=True)
class Planned:
    """One run before it is composed."""

    coordinates: dict[str, Any]
    overrides: tuple[str, ...]


@dataclass
class Sweeping:
    """Reads axes and expands them; problems are reported at their place, none raised."""

    session: Session
    raw: Any
    report: Report
    columns: dict[str, Column] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    foreign: set[Path] = field(default_factory=set)
    _prefixes: dict[str, str] = field(default_factory=dict)

    def block(self, sweep: spec.Block, at: Path = ("sweep",)) -> Block:
        """Read a block and those below it. Axes that cannot be read are reported and left out."""
        grid = []
        for key, axis in sweep.grid.items():
            if axis is not None:
                grid.extend(self._axis([(key, axis)], (*at, "grid")))
        for number, entry in enumerate(sweep.zip):
            given = [(key, axis) for key, axis in entry.items() if axis is not None]
            if given:
                grid.extend(self._axis(given, (*at, "zip", number)))
        union = tuple(self.block(below, (*at, "union", number)) for number, below in enumerate(sweep.union))
        block = Block(tuple(grid), union, tuple(sweep.exclude), sweep.random, at[1:])
        self._check_overlaps(block, at)
        return block

    def _axis(self, entries: Sequence[tuple[str, Any]], at: Path) -> list[Axis]:
        columns = []
        for key, axis in entries:
            try:
                columns.append(self._column(key, axis, (*at, key)))
            except AxisError as error:
                self.report((*at, key), Problem(error.code, error.message, key, fix=error.fix))
        if len(columns) < len(entries):
            return []
        counts = {column.values.count for column in columns}
        if len(counts) > 1:
            said = ", ".join(f"{column.key} has {column.values.count}" for column in columns)
            self.report(at, Problem("axis", f"zipped axes must be equally long: {said}", "sweep.zip"))
            return []
        return [Axis(tuple(columns))]

    def _column(self, key: str, axis: Any, at: Path) -> Column:
        self._check_key(key)
        values = axes.listed(axis) if isinstance(axis, list) else self._of_text(key, axis)
        if values.count == 0:
            raise AxisError("axis", "has no value", "null removes an inherited axis")
        is_group = self.session.is_group(key)
        if values.count <= points.MAX_PRODUCT:
            made = values.make()
            _check_twice(made)
            is_group = is_group and not any(isinstance(value, dict) for value in made)
            if is_group:
                self._check_options(key, made)
        if is_group:
            self.groups.add(key)
        column = Column(key, values, at)
        self.columns.setdefault(key, column)
        return column

    def _of_text(self, key: str, text: str) -> Values:
        values = axes.of_text(self.session, key, text)
        if values is not None:
            return values
        # One value in override grammar: `auto`, `3`, `[1, 2]`.
        return axes.listed([self.session.parse(f"{key}={text}").value()])

    def _check_key(self, key: str) -> None:
        self._check_part(key)
        if self.session.is_group(key):
            return
        known = exists(self.raw, key) or shapes_at(key.split("."))
        if known and not KEY.fullmatch(key):
            message = "cannot be swept: an override cannot hold this key"
            raise AxisError("axis", message, "rename it: ASCII letters, digits, _ and -; sweep what stands above it")
        if not known:
            problem = unknown_key(key)
            raise AxisError(problem.code, problem.message, problem.fix)

    def _check_part(self, key: str) -> None:
        """Raise AxisError for a key in which runs cannot differ."""
        top = key.split(".")[0]
        if top in spec.NOT_SWEPT or under(key.replace("/", "."), "hydra"):
            what = {"repeats": "repeats is an axis of its own", "sweep": "a sweep cannot sweep itself"}
            fix = "sweep seed, or leave repeats to count seeds" if top == "repeats" else ""
            said = what.get(top, "cannot be swept: it changes neither what is trained nor what is asked")
            raise AxisError("axis", said, fix)

    def _check_options(self, group: str, values: Sequence[Any]) -> None:
        options = self.session.snapshot.options(group)
        for value in values:
            for name in value if isinstance(value, list) else [value]:
                if not isinstance(name, str):
                    raise AxisError("unknown_option", f"{group} takes names of options", f"known: {', '.join(options)}")
                if name not in options and not self.session.snapshot.is_nested(group, name):
                    problem = unknown_option(group, name, options)
                    raise AxisError(problem.code, problem.message, problem.fix)

    def _check_overlaps(self, block: Block, at: Path) -> None:
        keys = [column for axis in block.axes for column in axis.columns]
        for one, other in itertools.combinations(keys, 2):
            if one.key == other.key or self._overlap(one.key, other.key):
                twice = one.key == other.key
                message = "is swept twice" if twice else f"overlaps with the axis {one.key}"
                fix = f"leave one out; an inherited one by grid: {{{one.key}: null}}" if twice else ""
                self.report(other.at, Problem("axis", message, other.key, fix=fix))
        # Where no axis could be read, which ones there are is not known.
        for number, pairs in enumerate(block.exclude if block.swept() else ()):
            for key in pairs:
                if key not in block.swept():
                    self.foreign.add((*at, "exclude", number))
                    fix = f"axes here: {', '.join(block.swept())}"
                    place = (*at, "exclude", number, key)
                    self.report(place, Problem("no_effect", "is no axis, so nothing is excluded", key, fix=fix))

    def _overlap(self, one: str, other: str) -> bool:
        if one in self.groups or other in self.groups:
            return False
        return under(one, other) or under(other, one)

    def expand(
        self, block: Block | None, given: Sequence[Given], seed: int, repeats: int, limit: int
    ) -> Iterator[Planned]:
        """Yield the runs. Raises AxisError `too_many_runs`, counted before any is made."""
        for one in given:
            if one.is_sweep_block and one.values is not None:
                axis = one.key.removeprefix("sweep.grid.")
                fix = f"give the axis itself: {axis}=1,2" if axis != one.key else ""
                swept = AxisError("axis", "a sweep cannot sweep itself", fix)
                swept.given = one.key
                raise swept
        given = [one for one in given if not one.is_sweep_block]
        too_large = block is not None and block.size() > limit
        for one in given:
            try:
                if one.key == "seed" and one.values is not None and repeats > 1:
                    raise AxisError("axis", "seed is swept and repeats counts seeds too", "use one of them")
                if one.values is not None:
                    self._check_part(one.key)
                if one.values is not None and one.values.count <= points.MAX_PRODUCT:
                    _check_twice(one.values.make())
                block = self._with(block, one) if block is not None else None
            except AxisError as error:
                error.given = one.key
                raise
        try:
            yield from self._expanded(block, given, seed, repeats, limit)
        except AxisError as error:
            # The sweep alone is small enough: the longest axis of the command line makes it too large.
            typed = [one for one in given if one.values is not None and one.values.count > 1]
            if typed and not too_large:
                error.given = max(typed, key=lambda one: one.values.count if one.values is not None else 0).key
            raise

    def _expanded(
        self, block: Block | None, given: Sequence[Given], seed: int, repeats: int, limit: int
    ) -> Iterator[Planned]:
        own = {column.key for column in block.columns()} if block is not None else set()
        further = [one for one in given if one.values is not None and one.key not in own]
        for one in further:
            assert one.values is not None
            self.columns[one.key] = Column(one.key, one.values)
            self.groups |= {one.key} if one.is_group else set()
        times = repeats * _product(one.values.count for one in further if one.values is not None)
        if block is not None and (block.axes or block.union):
            if block.size() * times > limit and not (block.exclude or block.union):
                raise points.too_many(block.size() * times, limit)
            expansion = points.expand(block, seed, limit, times)
            if expansion.idle and not given:
                self._report_idle(block, expansion.idle)
            base = expansion.points
        else:
            base = [{}]
        if len(base) * times > limit:
            raise points.too_many(len(base) * times, limit)
        ordered = [one for one in given if one.values is None or one in further]
        yield from self._planned(base, ordered, seed, repeats)

    def _report_idle(self, block: Block, idle: Sequence[points.Idle]) -> None:
        for one in idle:
            if ("sweep", *one.at) not in self.foreign:
                problem = Problem("no_effect", one.message, f"sweep.{one.what}", fix=_untaken(block, one.pairs))
                self.report(("sweep", *one.at), problem)

    def _with(self, block: Block, one: Given) -> Block:
        """Let a command-line value take the place of an axis, here and in the blocks below."""
        changed = []
        for axis in block.axes:
            keys = [column.key for column in axis.columns]
            if one.key not in keys:
                changed.append(axis)
            elif one.values is None:
                left = tuple(column for column in axis.columns if column.key != one.key)
                changed.extend([Axis(left)] if left else [])
            elif len(keys) > 1:
                raise AxisError("axis", f"{one.key} is zipped with other keys", "give it one value, or edit the zip")
            else:
                column = Column(one.key, one.values)
                self.columns[one.key] = column
                changed.append(Axis((column,)))
        if any(one.key != key and self._overlap(one.key, key) for key in block.swept() if not one.is_group):
            raise AxisError("axis", f"{one.key} overlaps with an axis of the sweep", "give the axis itself a value")
        return replace(block, axes=tuple(changed), union=tuple(self._with(below, one) for below in block.union))

    def _planned(
        self, base: Sequence[Mapping[str, Any]], given: Sequence[Given], seed: int, repeats: int
    ) -> Iterator[Planned]:
        seeds: list[int | None] = [*range(seed, seed + repeats)] if repeats > 1 else [None]
        if repeats > 1:
            given = [one for one in given if one.key not in ("seed", "repeats")]
        choices = [one.values.make() if one.values is not None else [None] for one in given]
        for point, *values, number in itertools.product(base, *choices, seeds):
            coordinates = dict(point)
            overrides = [self.assignment(key, value) for key, value in coordinates.items()]
            for one, value in zip(given, values, strict=True):
                if one.values is None:
                    lacking = not one.prefix and not one.is_group and self._below_choice(one.key)
                    overrides.append(f"++{one.text}" if lacking else one.text)
                else:
                    coordinates[one.key] = value
                    overrides.append(self.assignment(one.key, value, one.prefix))
            if number is not None:
                coordinates["seed"] = number
                overrides += [self.assignment("seed", number), self.assignment("repeats", 1)]
            yield Planned(coordinates, tuple(overrides))

    def assignment(self, key: str, value: Any, prefix: str = "") -> str:
        """Return the override string that gives a key a value; `++` where the composed base lacks the key."""
        return f"{prefix or self._prefix(key)}{key}={written(value)}"

    def _prefix(self, key: str) -> str:
        if key not in self._prefixes:
            group = key in self.groups or self.session.is_group(key)
            self._prefixes[key] = "" if group or (exists(self.raw, key) and not self._below_choice(key)) else "++"
        return self._prefixes[key]

    def _below_choice(self, key: str) -> bool:
        """Tell whether a group above the key is swept: another option may lack what the base's option has."""
        return any(key != group and under(key, group.replace("/", ".")) for group in self.groups)


def _untaken(block: Block, pairs: Mapping[str, Any]) -> str:
    """Name the first of some pairs whose value no axis takes."""
    for key, value in pairs.items():
        taken = [one for column in block.columns() if column.key == key for one in column.values.make()]
        if not any(points.same(one, value) for one in taken):
            several = ", ".join(map(shown, taken[:_SHOWN])) + (", ..." if len(taken) > _SHOWN else "")
            return f"{key} takes {several}, not {shown(value)}"
    return ""


def _product(counts: Iterator[int]) -> int:
    total = 1
    for count in counts:
        total *= count
    return total


def _check_twice(values: Sequence[Any]) -> None:
    seen = set()
    for value in values:
        text = written(value) if not (isinstance(value, float) and value.is_integer()) else written(int(value))
        if text in seen:
            raise AxisError("axis", f"holds {text} twice", "leave one out: a run is trained once")
        seen.add(text)
