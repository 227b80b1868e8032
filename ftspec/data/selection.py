"""Which raw rows of a source are used: `where`, equality on raw values; and what to say about names that fit none."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from ftspec.data import template
from ftspec.spec.errors import Problem

_MOST_SEEN = 1000  # distinct names or values remembered for suggestions


def same(left: Any, right: Any) -> bool:
    """Whether two raw values are equal and of one kind: 1 and 1.0 are, 1 and true or 1 and "1" are not."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


class _Condition:
    """One field of `where`; `hits` says which of its values occurred."""

    def __init__(self, field: str, wanted: Any) -> None:
        self.field = field
        self.wanted = wanted if isinstance(wanted, list) else [wanted]
        self.place = template.path_or_name(field)
        self.found = False
        self.hits = [False] * len(self.wanted)
        self.seen: dict[tuple[type[Any], Any], None] = {}

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether the row's value is one of those wanted. A row without the field does not count."""
        if self.field in row:
            value = row[self.field]
        else:
            try:
                value = self.place.find(row)
            except template.MissingFieldError:
                return False
        self.found = True
        kept = False
        for n, wanted in enumerate(self.wanted):
            if same(value, wanted):
                self.hits[n] = kept = True
        if not kept and len(self.seen) < _MOST_SEEN and isinstance(value, str | int | float | bool | None):
            self.seen[type(value), value] = None
        return kept


class Selection:
    """The `where` of one source. `path` is its place in the spec."""

    def __init__(self, where: Mapping[str, Any], path: str) -> None:
        self.path = path
        self._conditions = [_Condition(field, wanted) for field, wanted in where.items()]
        self._fields: dict[str, None] = {}
        self._kept = 0
        self._file = ""

    def keeps(self, row: Mapping[str, Any], file: str) -> bool:
        """Whether the row is used."""
        if len(self._fields) < _MOST_SEEN:
            self._fields.update(dict.fromkeys(map(str, row)))
        self._file = self._file or file
        kept = True
        for condition in self._conditions:  # every one is asked: each remembers what it saw
            kept &= condition.holds(row)
        self._kept += kept
        return kept

    def problems(self) -> list[Problem]:
        """Return what fits no row, once all rows were seen; nothing where no row could be read."""
        if not self._fields:
            return []
        found = [problem for condition in self._conditions for problem in self._wrong(condition)]
        if not found and not self._kept:
            found.append(Problem("where", "no row meets all conditions", self.path, fix="leave one out"))
        return found

    def _wrong(self, condition: _Condition) -> Iterable[Problem]:
        path = f"{self.path}.{condition.field}"
        if not condition.found:
            message = f"no row of {self._file} has a field {condition.field!r}"
            yield Problem("where", message, path, fix=_suggest(condition.field, self._fields))
            return
        texts = [value for kind, value in condition.seen if kind is str]
        for wanted, hit in zip(condition.wanted, condition.hits, strict=True):
            if hit:
                continue
            fix = _suggest(str(wanted), texts)
            if not isinstance(wanted, str) and str(wanted) in texts:
                fix = f'values of this field are text: write "{wanted}"'
            yield Problem("where", f"no row has {wanted!r} in {condition.field}", path, fix=fix)


def _suggest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]}?"
    return f"there are: {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}" if known else ""
