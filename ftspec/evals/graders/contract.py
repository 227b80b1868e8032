"""What every grader returns, and what it says of a value that is absent."""

from collections.abc import Mapping
from typing import Any

import msgspec

Scope = Mapping[str, Any]

MISSING = "missing"
NO_LABEL = "__none__"


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """One grader's judgement of one answer.

    `score` is in 0..1; None, with `error`, where it cannot be told: an error is never a zero. `passed` is the yes or no
    behind it. `parts` holds what metrics of the whole suite are computed from.
    """

    score: float | None
    passed: bool | None
    label: str | None = None
    parts: dict[str, Any] = {}
    error: str | None = None


def failed(error: str) -> Grade:
    """An answer that cannot be graded: the item or the suite is at fault, or a time-out struck."""
    return Grade(score=None, passed=None, error=error)


def right(passed: bool) -> Grade:
    """A grade of 1 or 0."""
    return Grade(score=float(passed), passed=passed)


def absent(path: str) -> Grade:
    """A path of a template leads nowhere: `sample.*` scores 0 with the label `missing`, `item.*` is an error."""
    if path.split(".")[0] == "sample":
        return Grade(score=0.0, passed=False, label=MISSING, parts={"missing": path})
    return failed(f"the item has no {path.removeprefix('item.')}")
