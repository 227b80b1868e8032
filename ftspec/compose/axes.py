"""One axis: its values, out of a YAML list, Hydra's sweep grammar or `logrange`, counted before any is made."""

import decimal
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ftspec.compose.overrides import written
from ftspec.compose.session import MAX_OVERRIDE, Session
from ftspec.compose.traps import MAX_INT

_NUMBER = r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
_LOGRANGE = re.compile(rf"\s*logrange\({_NUMBER},{_NUMBER},\s*(\d+)\s*(?:,\s*(?:digits\s*=\s*)?(\d+)\s*)?\)\s*")


class AxisError(Exception):
    """An axis that cannot be read; `code`, what is wrong and what to do."""

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.fix = code, message, fix
        self.given = ""  # the key on the command line that caused it


@dataclass(frozen=True)
class Values:
    """The values of an axis, not made yet: `count` is known, `make` costs memory."""

    count: int
    _list: Sequence[Any] = ()
    _range: tuple[Any, Any, Any] | None = None
    _casts: tuple[Any, ...] = ()

    def make(self) -> list[Any]:
        """Return the values."""
        if self._range is None:
            return list(self._list)
        start, stop, step = self._range
        if all(isinstance(bound, int) for bound in self._range):
            values: list[Any] = list(range(start, stop, step))
        else:
            first, width = Decimal(str(start)), Decimal(str(step))
            values = [float(first + number * width) for number in range(self.count)]
        for cast in self._casts:
            values = [cast(value) for value in values]
        return values


def listed(items: Sequence[Any]) -> Values:
    """Values of a YAML list: one per item, typed as YAML reads them. Raises AxisError for one that cannot be swept."""
    for item in items:
        try:
            text = written(item)
        except ValueError as error:
            raise AxisError("axis", str(error)) from error
        if len(text) > MAX_OVERRIDE:
            raise AxisError("limit", f"a value is longer than {MAX_OVERRIDE} characters", "put it in a file")
        _check_exact(item)
    return Values(len(items), items)


def _check_exact(value: Any) -> None:
    """Raise AxisError for a number that canonical JSON (RFC 8785) cannot hold, as a point's digest must."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        _check_exact(item)
    if isinstance(value, int) and abs(value) > MAX_INT:
        raise AxisError("axis", "holds a number that is too large to be written exactly", "make it a text")
    if isinstance(value, float) and not math.isfinite(value):
        raise AxisError("axis", f"holds {value}, which is no number", "leave it out")


def of_text(session: Session, key: str, text: str) -> Values | None:
    """Values of override text for `key`: `1,2`, `choice()`, `range()`, `glob()`, `logrange()`.

    None if it sweeps nothing. Raises AxisError.
    """
    if len(text) > MAX_OVERRIDE:
        raise AxisError("limit", f"longer than {MAX_OVERRIDE} characters")
    found = _LOGRANGE.fullmatch(text)
    if found:
        return logrange(found[1], found[2], int(found[3]), int(found[4] or 4))
    if text.lstrip().startswith("logrange"):
        raise AxisError("axis", f"{text.strip()} cannot be read", "write logrange(0.02, 0.2, 4)")
    try:
        override = session.parse(f"{key}={text}")
    except session.errors as error:
        message, fix = syntax(error, key, text)
        raise AxisError("override_syntax", message, fix) from error
    return of_override(session, override)


def syntax(error: Exception, key: str, text: str) -> tuple[str, str]:
    """Word a failure of Hydra's parser: what is wrong, and what to do."""
    lines = [line for line in str(error).splitlines() if line and not line.startswith("See http")]
    said = lines[-1] if lines and not lines[-1].lstrip().startswith("^") else (lines[0] if lines else "")
    said = re.sub(r"^(Error parsing override .*?: ?|LexerNoViableAltException: .*)", "", said)
    if "{{" in text:
        return f"{text} cannot be read as an override", f"quote the template: {key}='{{{{ field }}}}'"
    detail = f" ({said.strip()})" if said.strip() else ""
    return f"{text} cannot be read as an override{detail}", "quote a text that holds spaces or signs, e.g. key='a: b'"


def of_override(session: Session, override: Any) -> Values | None:
    """Values of a parsed override, or None if it sweeps nothing. Raises AxisError for what is random or continuous."""
    if not override.is_sweep_override():
        return None
    value = override.value()
    if override.is_interval_sweep():
        raise AxisError("axis", "interval() is continuous", "write range(), choice() or logrange()")
    if getattr(value, "shuffle", False):
        raise AxisError("axis", "shuffle() is random", "list the values in the order you want")
    if override.is_range_sweep():
        return _ranged(value)
    kinds = session.hydra.override_types
    if isinstance(value, kinds.Glob):
        options = [name for name in session.snapshot.options(override.key_or_group) if value.filter([name])]
        if not options:
            raise AxisError("axis", f"no option of {override.key_or_group} matches")
        return Values(len(options), options)
    convert = session.hydra.override_types.Override._convert_value
    return listed([convert(item) for item in value.list])


def _ranged(value: Any) -> Values:
    bounds = []
    for bound in (value.start, value.stop, value.step):
        if isinstance(bound, Decimal):
            bound = int(bound) if bound == bound.to_integral_value() and "." not in str(bound) else float(bound)
        if isinstance(bound, float) and not math.isfinite(bound):
            raise AxisError("axis", "a range needs finite bounds")
        _check_exact(bound)
        bounds.append(bound)
    start, stop, step = bounds
    if step == 0:
        raise AxisError("axis", "the step of a range must not be 0")
    span = (Decimal(str(stop)) - Decimal(str(start))) / Decimal(str(step))
    count = max(0, int(span.to_integral_value(rounding=decimal.ROUND_CEILING)))
    if count == 0:
        raise AxisError("axis", f"range({start}, {stop}, {step}) holds no value", "the upper end is not part of it")
    return Values(count, _range=(start, stop, step), _casts=tuple(getattr(value, "transformers", ())))


def logrange(start: str, stop: str, count: int, digits: int = 4) -> Values:
    """Values at equal ratios, both ends exact, rounded to `digits` significant digits; whole numbers stay whole.

    `logrange(0.02, 0.2, 4)` is 0.02, 0.04309, 0.09283, 0.2. Raises AxisError when neighbours become equal.
    """
    low, high = Decimal(start), Decimal(stop)
    if low <= 0 or high <= 0:
        raise AxisError("axis", "logrange needs ends above 0")
    if not 2 <= count <= 1000 or not 1 <= digits <= 15:
        raise AxisError("axis", "logrange takes 2 to 1000 values and 1 to 15 digits")
    exact = decimal.Context(prec=40)
    rounding = decimal.Context(prec=digits)
    first, last = exact.ln(low), exact.ln(high)
    width = exact.divide(exact.subtract(last, first), Decimal(count - 1))
    inner = [exact.exp(exact.fma(width, Decimal(number), first)) for number in range(1, count - 1)]
    points = [low, *(rounding.plus(value) for value in inner), high]
    if any(one == other for one, other in itertools.pairwise(points)):
        raise AxisError("axis", f"equal neighbours after rounding to {digits} digits", "ask for fewer values")
    whole = all(point == point.to_integral_value() for point in points) and not set(".eE") & set(start + stop)
    values = [int(point) if whole else float(point) for point in points]
    for value in values:
        if value == 0 or (isinstance(value, float) and not math.isfinite(value)):
            raise AxisError("axis", "logrange holds a number that is too large or too small to be written exactly")
        _check_exact(value)
    return Values(count, values)
