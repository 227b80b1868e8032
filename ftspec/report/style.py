"""Colours, numbers and columns for terminals."""

from collections.abc import Sequence
from itertools import zip_longest
from operator import add

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
_BARS = "▁▂▃▄▅▆▇█"


def paint(text: str, style: str, colour: bool) -> str:
    """Wrap text in an ANSI style where colours are on."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m" if colour and text else text


def usd(value: float | None) -> str:
    """Dollars; an unknown price is `unknown`, never 0."""
    if value is None:
        return "unknown"
    if 0 < value < 0.005:
        return "under $0.01"
    return "$0" if value == 0 else f"${value:,.2f}"


def size(count: int) -> str:
    """Bytes as people say them: `512 B`, `2.7 MiB`."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def usd_range(value: float | None, bounds: tuple[float, float] | None) -> str:
    """Dollars, and what they may be where a host decides: `$3.10 ($1.03-$3.10)`."""
    if bounds is None or bounds[0] == bounds[1]:
        return usd(value)
    return f"{usd(value)} ({usd(bounds[0])}-{usd(bounds[1])})"


def duration(seconds: float) -> str:
    """Seconds as people say them: `8 s`, `2 min`, `1.5 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a score with its interval, `0.88 [0.80-0.93]`."""
    if value is None:
        return "-"
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}-{high:.2f}]"


def points(value: float, low: float, high: float) -> str:
    """Return a difference of rates in points with its interval, `+77 [+66..+84]`."""
    return f"{value * 100:+.0f} [{low * 100:+.0f}..{high * 100:+.0f}]"


def sparkline(values: list[float], width: int = 12) -> str:
    """Draw the last `width` values, high ones tall."""
    shown = (
        values[-width:]
        if len(values) <= width
        else [values[i * (len(values) - 1) // (width - 1)] for i in range(width)]
    )
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    return "".join(_BARS[round((value - low) / (high - low) * 7) if high > low else 0] for value in shown)


def columns(rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset(), gap: str = "   ") -> list[str]:
    """Align rows into columns; those in `right` are flush right. Widths leave ANSI codes out."""
    if not rows:
        return []
    padded: list[Sequence[str]] = []
    places = []  # one `%10s` or `%-10s` a column: tables of ten thousand rows are made by one call a row
    for i, column in enumerate(zip_longest(*rows, fillvalue="")):
        if "\x1b" in "".join(column):
            sizes = list(map(_width, column))
            spaces = [" " * (max(sizes) - size) for size in sizes]
            padded.append(list(map(add, spaces, column) if i in right else map(add, column, spaces)))
            places.append("%s")
        else:
            padded.append(column)
            places.append(f"%{'' if i in right else '-'}{max(map(len, column))}s")
    line = gap.replace("%", "%%").join(places)
    return [(line % cells).rstrip() for cells in zip(*padded, strict=True)]


def _width(text: str) -> int:
    if "\x1b" not in text:
        return len(text)
    import re

    return len(re.sub(r"\x1b\[[0-9;]*m", "", text))
