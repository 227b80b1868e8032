"""`json_fields`: fields of a JSON answer against a reference object.

A wrong value is one false positive and one false negative.
"""

import math
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import msgspec

from ftspec.data.template import MissingFieldError
from ftspec.evals.graders.contract import MISSING, Grade, Scope, absent, failed
from ftspec.evals.values import value
from ftspec.spec.suite import JsonFields

UNPARSABLE = "unparsable"
FUZZY_LEAST = 90.0


def grade(spec: JsonFields, scope: Scope) -> Grade:
    """Score = share of the declared fields that are right; a field absent on both sides is right.

    parts: `fields` {name: [true positives, false positives, false negatives]}, `extra` the answer's undeclared fields
    (each a false positive unless `extra: ignore`). An answer that is no JSON object has every field wrong.
    """
    reference = _object(value(spec.reference, scope))
    if reference is None:
        return failed("the reference is no JSON object")
    label = None
    try:
        given = _object(value(spec.input, scope))
    except MissingFieldError as missing:
        if absent(missing.path).error:
            raise
        given, label = None, MISSING
    if given is None:
        label = label or UNPARSABLE
    counts = {name: _count(kind, name, given or {}, reference) for name, kind in spec.fields.items()}
    extra = 0 if given is None or spec.extra == "ignore" else sum(name not in spec.fields for name in given)
    n_right = 0 if given is None else sum(fp + fn == 0 for _, fp, fn in counts.values())
    passed = n_right == len(counts) and not extra
    return Grade(score=n_right / len(counts), passed=passed, label=label, parts={"fields": counts, "extra": extra})


def _count(kind: str, name: str, given: dict[str, Any], reference: dict[str, Any]) -> list[int]:
    if name not in reference:
        return [0, int(name in given), 0]
    if name not in given:
        return [0, 0, 1]
    return [1, 0, 0] if EQUAL[kind](given[name], reference[name]) else [0, 1, 1]


def _object(raw: Any) -> dict[str, Any] | None:
    if isinstance(raw, str):
        try:
            raw = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
    return raw if isinstance(raw, dict) else None


def same(one: Any, other: Any) -> bool:
    """Equality of JSON values: 1 equals 1.0, but true is not 1, at any depth."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(entry, other[key]) for key, entry in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _number(raw: Any) -> float | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, str):
        raw = raw.strip().replace(",", "")
    try:
        number = float(raw)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _numbers(one: Any, other: Any) -> bool:
    """Equal to 9 digits; "1,250.00" is 1250."""
    left, right = _number(one), _number(other)
    return left is not None and right is not None and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


def _day(raw: Any) -> date | None:
    if not isinstance(raw, str):
        return None
    try:
        return datetime.fromisoformat(raw.strip()).date()
    except ValueError:
        return None


def _dates(one: Any, other: Any) -> bool:
    """The same day, both in ISO 8601."""
    left = _day(one)
    return left is not None and left == _day(other)


def _casefold(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.strip().casefold() == other.strip().casefold()
    return same(one, other)


def _fuzzy(one: Any, other: Any) -> bool:
    """At least 90 of 100 by rapidfuzz's WRatio over letters and digits."""
    if not (isinstance(one, str) and isinstance(other, str)):
        return same(one, other)
    from rapidfuzz import fuzz, utils

    return bool(fuzz.WRatio(one, other, processor=utils.default_process) >= FUZZY_LEAST)


def _sets(one: Any, other: Any) -> bool:
    """The same members, whatever their order and number."""
    if not (isinstance(one, list) and isinstance(other, list)):
        return same(one, other)
    return all(any(same(x, y) for y in other) for x in one) and all(any(same(x, y) for y in one) for x in other)


EQUAL: dict[str, Callable[[Any, Any], bool]] = {
    "exact": same,
    "number": _numbers,
    "date": _dates,
    "casefold": _casefold,
    "fuzzy": _fuzzy,
    "set": _sets,
}
