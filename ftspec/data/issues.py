"""Collecting what is wrong with rows: the first hundred problems in full, the rest as counts by code."""

from collections import Counter
from collections.abc import Sequence

from ftspec.spec.errors import DataError, Problem

SHOWN = 100
MAX_BAD_ROWS = 1000


class BadRowError(Exception):
    """A row that cannot be used; holds all its problems, none where what is wrong is told once for many rows."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(str(problems[0]) if problems else "")
        self.problems = problems


class TooManyBadRowsError(Exception):
    """More rows fail than anyone would read about: the format is wrong."""


class Issues:
    """Errors of rows; `raise_all` raises them together."""

    def __init__(self) -> None:
        self.shown: list[Problem] = []
        self.hidden: Counter[str] = Counter()
        self.bad_rows = 0
        self.unmade = 0

    def add_row(self, problems: Sequence[Problem]) -> None:
        """Add all problems of one row. Raises TooManyBadRowsError after a thousand rows with problems of their own."""
        if not problems:
            self.unmade += 1
            return
        self.bad_rows += 1
        for problem in problems:
            self.add(problem)
        if self.bad_rows > MAX_BAD_ROWS:
            raise TooManyBadRowsError

    def add(self, problem: Problem) -> None:
        """Add one problem that belongs to no single row."""
        if len(self.shown) < SHOWN:
            self.shown.append(problem)
        else:
            self.hidden[problem.code] += 1

    def raise_all(self, whole: Sequence[Problem] = (), *, gave_up: bool = False) -> None:
        """Raise DataError with everything found, if anything was; `whole` are problems of no single row."""
        shown = self.shown[:20] if gave_up else self.shown
        tail = [
            Problem(code, f"and {count} more of this kind")
            for code, count in sorted(self.hidden.items())
            if not gave_up
        ]
        if gave_up:
            message = f"more than {MAX_BAD_ROWS} rows fail; the first {len(shown)} problems are shown"
            fix = "is `format:` right, or is `dataset.messages` missing?"
            tail = [Problem("many_bad_rows", message, "dataset", fix=fix)]
        if whole or shown:
            raise DataError.many([*whole, *shown, *tail])
