"""Numbers that JSON does not hold exactly: what an experiment is known by could not hold them either (RFC 8785)."""

import math
from collections.abc import Iterator
from typing import Any

from ftspec.compose.traps import MAX_INT
from ftspec.spec.errors import Problem

Path = tuple[str | int, ...]


def inexact(value: Any, at: Path = ()) -> Iterator[tuple[Path, Problem]]:
    """Yield (path, problem) of each whole number beyond 2**53 - 1, each infinite one and each that is none."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from inexact(item, (*at, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from inexact(item, (*at, number))
    elif isinstance(value, float) and math.isnan(value):
        yield at, Problem("invalid_value", "nan is no number")
    elif isinstance(value, (int, float)) and (abs(value) > MAX_INT if isinstance(value, int) else math.isinf(value)):
        yield at, Problem("invalid_value", f"the number {str(value)[:40]} is too large")
