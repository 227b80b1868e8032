"""The sweep block as points: product, zip, union, exclude, random. Pure; counted by arithmetic before any is made."""

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ftspec.compose.axes import AxisError, Values

Path = tuple[str | int, ...]
Coordinates = dict[str, Any]

# No block is ever enumerated beyond this, whatever exclude and random would leave of it.
MAX_PRODUCT = 100_000


@dataclass(frozen=True)
class Column:
    """One key of an axis: its values, and the place it has in the sweep block (empty for the command line)."""

    key: str
    values: Values
    at: Path = ()


@dataclass(frozen=True)
class Axis:
    """One key, or several keys that move together (`zip`)."""

    columns: tuple[Column, ...]

    @property
    def count(self) -> int:
        """How many steps it has."""
        return self.columns[0].values.count


@dataclass(frozen=True)
class Block:
    """A set of points; see `ftspec.spec.sweep.Block`. `at` is its place in the sweep block."""

    axes: tuple[Axis, ...] = ()
    union: tuple["Block", ...] = ()
    exclude: tuple[Mapping[str, Any], ...] = ()
    random: int | None = None
    at: Path = ()

    def swept(self) -> list[str]:
        """Return every swept key in axis order."""
        own = [column.key for axis in self.axes for column in axis.columns]
        return list(dict.fromkeys([*own, *(key for block in self.union for key in block.swept())]))

    def columns(self) -> Iterator[Column]:
        """Yield every column, those of `union` after the block's own."""
        for axis in self.axes:
            yield from axis.columns
        for block in self.union:
            yield from block.columns()

    def size(self) -> int:
        """Return an upper bound of the number of points, by arithmetic."""
        own = math.prod(axis.count for axis in self.axes) if self.axes else 0
        total = own + sum(max(1, block.size()) for block in self.union)
        return min(total, self.random) if self.random else total

    def work(self) -> int:
        """Return how many points must be made to know which ones remain."""
        own = math.prod(axis.count for axis in self.axes) if self.axes else 0
        return own + sum(max(1, block.work()) for block in self.union)


@dataclass(frozen=True)
class Idle:
    """An `exclude` that drops nothing, or a `random` that asks for more than there is; `at` is its place."""

    what: str
    at: Path
    message: str
    pairs: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Expansion:
    """Points of a block, and what in it had no effect."""

    points: list[Coordinates]
    idle: list[Idle] = field(default_factory=list)


def expand(block: Block, seed: int, limit: int, times: int = 1) -> Expansion:
    """Make the points of a block. Raises AxisError `too_many_runs` before memory grows.

    `limit` is the greatest number of runs, `times` how many each point gives; where exclude or random may drop some
    points, more are looked at.
    """
    work = block.work()
    shrinks = _shrinks(block)
    most = max(1, limit // times)
    if work > (max(most, MAX_PRODUCT) if shrinks else most):
        raise too_many(work * times, limit)
    idle: list[Idle] = []
    points = _points(block, seed, idle)
    if len(points) > most:
        raise too_many(len(points) * times, limit)
    if block.union:  # each block has its own order of keys; points have one
        order = block.swept()
        points = [{key: point[key] for key in order if key in point} for point in points]
    return Expansion(points, idle)


def too_many(count: int, limit: int) -> AxisError:
    """Word that a sweep is larger than its limit."""
    many = f"{count:,}" if count < 10**18 else "more than 10^18"
    return AxisError(
        "too_many_runs", f"the sweep has {many} runs, the limit is {limit:,}", "sweep less, or raise sweep.max_runs"
    )


def _shrinks(block: Block) -> bool:
    return bool(block.exclude or block.random or block.union)


def _points(block: Block, seed: int, idle: list[Idle]) -> list[Coordinates]:
    points = list(_product(block.axes))
    for further in block.union:
        # A block without axes is the experiment as it stands: "the default, and one change each".
        points.extend(_points(further, seed, idle) if further.axes or further.union else [{}])
    points = _distinct(points) if block.union else points
    for number, pairs in enumerate(block.exclude):
        kept = [point for point in points if not _matches(point, pairs)]
        if len(kept) == len(points):
            idle.append(Idle("exclude", (*block.at, "exclude", number), "excludes no point", pairs))
        points = kept
    if block.random is not None and block.random > len(points):
        many = f"asks for {block.random:,} points, there {'is' if len(points) == 1 else 'are'} {len(points):,}"
        idle.append(Idle("random", (*block.at, "random"), many))
    if block.random is not None and block.random < len(points):
        chosen = sorted(range(len(points)), key=lambda number: _rank(points[number], seed))[: block.random]
        points = [points[number] for number in sorted(chosen)]
    return points


def _product(axes: Sequence[Axis]) -> Iterator[Coordinates]:
    if not axes:
        return
    made = [list(zip(*(column.values.make() for column in axis.columns), strict=True)) for axis in axes]
    keys = [column.key for axis in axes for column in axis.columns]
    for rows in itertools.product(*made):
        yield dict(zip(keys, itertools.chain.from_iterable(rows), strict=True))


def _matches(point: Coordinates, pairs: Mapping[str, Any]) -> bool:
    return all(key in point and same(point[key], value) for key, value in pairs.items())


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal and of one kind, to the ground: 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def identity(point: Mapping[str, Any]) -> str:
    """Return a text that is equal for equal points, whatever the order of their keys."""
    import rfc8785

    return rfc8785.dumps(dict(point)).decode()


def _distinct(points: Sequence[Coordinates]) -> list[Coordinates]:
    first: dict[str, Coordinates] = {}
    for point in points:
        first.setdefault(identity(point), point)
    return list(first.values())


def _rank(point: Coordinates, seed: int) -> str:
    import rfc8785

    return hashlib.sha256(rfc8785.dumps({"seed": seed, "point": point})).hexdigest()
