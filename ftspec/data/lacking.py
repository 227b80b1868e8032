"""Fields that a template names and that rows lack: counted over all rows, told once each, where the mistake is.

A name that no row has is a mistake of the template and told at its line; what only some rows lack, or hold null in, is
told at the first of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ftspec.data import template
from ftspec.spec.errors import Problem

_SHOWN = 8  # fields of a row that a message names
_DEEPEST = 3


@dataclass
class _Lack:
    """Rows of one file without a field; `line`, `says` and `fix` are about the first of them."""

    line: int
    says: str
    fix: str
    rows: int = 0
    last: int = 0

    def add(self, number: int) -> None:
        """Count a row by its number in the file, once, however often its template names the field."""
        self.rows += number != self.last
        self.last = number


class Unmet:
    """Names that the spec gives and that no row has, with the spec path of each; a name that some rows lack is none."""

    def __init__(self, paths: Mapping[str, str], code: str) -> None:
        self._paths, self._code = paths, code
        self._left: dict[str, Mapping[str, Any] | None] = dict.fromkeys(paths)

    def see(self, row: Mapping[str, Any]) -> None:
        """Take down which names a row has."""
        if not self._left:
            return
        for name, widest in list(self._left.items()):
            if name in row:
                del self._left[name]
            elif widest is None or len(row) > len(widest):
                self._left[name] = row

    def problems(self) -> list[Problem]:
        """Return a problem for each name that no row had, once all rows were seen."""
        found = []
        for name, row in self._left.items():
            if row is not None:
                meant = nearest(template.Place(name, (name,)), row)
                there = ", ".join(map(str, list(row)[:_SHOWN]))
                fix = f"did you mean {meant}?" if meant else f"there are: {there}" if there else ""
                found.append(Problem(self._code, f"no row has a field {name!r}", self._paths[name], fix=fix))
        return found


class Lacking:
    """Remembers which rows lack what; `rows` counts all rows by file."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self._missing: dict[tuple[str, str], dict[str, _Lack]] = {}
        self._null: dict[tuple[str, str], dict[str, _Lack]] = {}

    def missing(self, where: str, place: template.Place, row: Any, file: str, line: int) -> None:
        """Take down a row that lacks what the template at the spec path `where` names."""
        found = self._missing.setdefault((where, place.path), {})
        lack = found.get(file)
        if lack is None:
            near = nearest(place, row)
            lack = found[file] = _Lack(line, what_is_there(place, row), f"did you mean {near}?" if near else "")
        lack.add(self.rows[file])

    def null(self, where: str, place: template.Place, file: str, line: int) -> None:
        """Take down a row whose field is null."""
        found = self._null.setdefault((where, place.path), {})
        found.setdefault(file, _Lack(line, "", "")).add(self.rows[file])

    def problems(self) -> list[Problem]:
        """Return what is missing and what is null, once all rows were seen."""
        told: set[tuple[str, str]] = set()  # a field that two messages name is missing in a row once
        return [
            *(one for (where, name), found in self._missing.items() for one in self._absent(where, name, found, told)),
            *(one for (_, name), found in self._null.items() for one in self._nulls(name, found, told)),
        ]

    def _absent(
        self, where: str, name: str, found: Mapping[str, _Lack], told: set[tuple[str, str]]
    ) -> Iterator[Problem]:
        file, first = next(iter(found.items()))
        if sum(lack.rows for lack in found.values()) == self.rows.total():
            message = f"no row has a field {name} ({file}:{first.line}: {first.says})"
            yield Problem("missing_field", message, where, fix=first.fix)
            return
        for file, lack in found.items():
            if (file, name) not in told:
                told.add((file, name))
                message = f"no field {name} in {self._of(file, lack)} ({lack.says})"
                yield Problem("missing_field", message, "", file, lack.line, fix=lack.fix)

    def _nulls(self, name: str, found: Mapping[str, _Lack], told: set[tuple[str, str]]) -> Iterator[Problem]:
        for file, lack in found.items():
            if (file, f"{name} null") not in told:
                told.add((file, f"{name} null"))
                message = f"field {name} is null in {self._of(file, lack)}"
                yield Problem("null_field", message, "", file, lack.line)

    def _of(self, file: str, lack: _Lack) -> str:
        rows = self.rows[file]
        if rows == 1:
            return "the only row"
        return f"all {rows:,} rows of the file" if lack.rows == rows else f"{lack.rows:,} of {rows:,} rows"


def _deepest(place: template.Place, row: Any) -> tuple[Any, int]:
    """Return the value up to which a path leads, and the number of the step that fails there."""
    value = row
    for number, step in enumerate(place.steps):
        try:
            value = template.Place(place.path, (step,)).find(value)
        except template.MissingFieldError:
            return value, number
    return value, len(place.steps)


def what_is_there(place: template.Place, row: Any) -> str:
    """Word what stands where the path ends: `the row has: a, b`, `customer is a text`, `tags has 2 entries`."""
    value, number = _deepest(place, row)
    whose = template.written(place.steps[:number]) if number else "the row"
    if isinstance(value, Mapping):
        names = [str(key) for key in value]
        return f"{whose} has: {', '.join(names[:_SHOWN]) or 'nothing'}{', ...' if len(names) > _SHOWN else ''}"
    if isinstance(value, list):
        return f"{whose} has {len(value)} {'entry' if len(value) == 1 else 'entries'}"
    kinds = ((str, "a text"), (bool, "true or false"), (int | float, "a number"))
    return f"{whose} is {next((word for kind, word in kinds if isinstance(value, kind)), 'null')}"


def nearest(place: template.Place, row: Any) -> str:
    """Return the path that was probably meant, as a template writes it, or an empty text.

    In this order: a field whose name holds the dots, a like name where the path fails, the same name elsewhere.
    """
    value, number = _deepest(place, row)
    before, after = place.steps[:number], place.steps[number + 1 :]
    if not isinstance(value, Mapping):
        return ""
    names = [str(key) for key in value]
    whole = place.path if not number else template.written(place.steps[number:])
    if whole in names:
        return template.written((*before, whole))
    step = str(place.steps[number])
    alike = {name.casefold().replace(" ", "_"): name for name in reversed(names)}
    near = get_close_matches(step.casefold(), alike, n=1)
    if near:
        meant = (*before, alike[near[0]], *after)
        try:
            template.Place("", meant).find(row)
        except template.MissingFieldError:
            meant = meant[: len(before) + 1]
        return template.written(meant)
    return next((template.written(path) for path in _homes(row, step, ())), "")


def _homes(value: Any, name: str, at: tuple[template.Step, ...]) -> Iterator[tuple[template.Step, ...]]:
    """Yield where else in a row a field of this name stands, nearest to the top first."""
    if not isinstance(value, Mapping) or len(at) >= _DEEPEST:
        return
    if name in value:
        yield (*at, name)
    for key, below in value.items():
        yield from _homes(below, name, (*at, str(key)))
