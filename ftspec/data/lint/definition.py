"""What a lint is, what it may look at, and how many rows it told of.

A lint has a code, a level, the practice behind it with its source, the formula it goes by, and the share of rows that
it fires on in three public data sets (banking77, clinc150, gsm8k). Above 1 % it is off until an experiment asks for it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ftspec.data.lint.reading import Row
from ftspec.data.parts import Prepared
from ftspec.data.rules import RowRules
from ftspec.spec.dataset import Weights
from ftspec.spec.errors import Problem
from ftspec.spec.lint import LINTS, Level

_NAMED = 5  # further places named in a message


@dataclass(frozen=True)
class Subject:
    """A prepared data set, and the policy and limits it was prepared with. Source paths are relative to `root`."""

    prepared: Prepared
    weights: Weights
    limits: RowRules
    root: Path


@dataclass(frozen=True, slots=True)
class Hit:
    """What a lint found in one row: the path inside it and a few words that show it."""

    path: str
    shown: str


class Check(Protocol):
    """One lint at work on one data set."""

    def see(self, row: Row) -> None:
        """Look at one row; rows of the parts that are trained on come in source order."""
        ...

    def problems(self) -> Iterator[Problem]:
        """Say what was found, after the last row."""
        ...


@dataclass(frozen=True)
class Lint:
    """One lint. `rates` are percent of rows in banking77, clinc150 and gsm8k, None for what looks at no single row.

    `every` lints see every row, without decoding it; the others a stable sample of very large data sets (`reading.py`).
    What goes by masks is `masked`. `check` is None where another room finds it (`found_by` names the module).
    """

    code: str
    level: Level
    practice: str
    formula: str
    source: str
    check: Callable[["Lint", Subject], Check] | None
    fix: str = ""
    rates: tuple[float, float, float] | None = None
    every: bool = False
    masked: bool = False
    found_by: str = ""

    @property
    def says(self) -> str:
        """One line: what the lint advises."""
        return LINTS[self.code]

    def problem(self, message: str, path: str = "", file: str = "", line: int = 0, *, mild: bool = False) -> Problem:
        """Return its finding; a `mild` one is a hint.

        A lint that is off by default was asked for: its level is set by the experiment.
        """
        level = "hint" if mild or self.level == "ignore" else self.level
        return Problem(self.code, message, path, file, line, fix=self.fix, severity=level)


Find = Callable[[Row], Hit | None]


class RowCheck:
    """Asks `find` of every row, counts its hits and names the first of them."""

    def __init__(self, lint: Lint, find: Find, words: str) -> None:
        self._lint, self._find, self._words = lint, find, words
        self.seen = 0
        self.rows: list[tuple[str, int, Hit]] = []
        self.count = 0

    def see(self, row: Row) -> None:
        """Look at one row."""
        self.seen += 1
        hit = self._find(row)
        if hit is not None:
            self.count += 1
            if len(self.rows) <= _NAMED:
                self.rows.append((row.source, row.line, hit))

    def problems(self) -> Iterator[Problem]:
        """Yield one problem with the first place, the count and a few further lines."""
        if not self.rows:
            return
        source, line, hit = self.rows[0]
        rows = f"{self.count:,} of {self.seen:,} rows {self._words}"
        shown = f", first: {hit.shown}" if hit.shown else ""
        yield self._lint.problem(rows + shown + also(self.rows[1:], source), hit.path, source, line)


def rowwise(find: Find, words: str) -> Callable[[Lint, Subject], Check]:
    """Return a factory of checks that look at one row at a time; `words` follow "3 of 40 rows"."""
    return lambda lint, subject: RowCheck(lint, find, words)


def also(rows: list[tuple[str, int, Hit]], source: str) -> str:
    """Return ` (also lines 3, 8)`; a line of another file is named with it."""
    if not rows:
        return ""
    places = [str(line) if file == source else f"{file}:{line}" for file, line, _ in rows[:_NAMED]]
    return f" (also line{'s' if len(places) > 1 else ''} {', '.join(places)})"


def quoted(text: str, at: int = 0, width: int = 60) -> str:
    """Return a piece of text around a position, in quotes, on one line."""
    start = max(0, at - width // 3)
    piece = " ".join(text[start : start + width].split())
    return f'"{"..." if start else ""}{piece}{"..." if start + width < len(text) else ""}"'
