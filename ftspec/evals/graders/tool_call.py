"""`tool_call`: calls of the answer against the expected ones: F1 over calls, 1 where both are none.

Each expected call is met by one call at most, so a call made twice where one was expected is a false positive: a refund
paid out twice is no success.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from ftspec.evals.graders.arguments import problem_with
from ftspec.evals.graders.contract import Grade, Scope, failed
from ftspec.evals.graders.json_fields import same
from ftspec.evals.values import value
from ftspec.spec.suite import ToolArguments, ToolCallGrader


class Call(msgspec.Struct, frozen=True):
    """A function call. `arguments` is None where they are no JSON object, such as an object encoded twice."""

    name: str
    arguments: dict[str, Any] | None


def grade(spec: ToolCallGrader, scope: Scope) -> Grade:
    """Match calls by name and arguments.

    parts: `name_f1` (names alone), `args_valid` (share of the calls whose arguments are an object that fits the
    function declared in the request; None without calls), `no_call` (right to call nothing; None where calls were
    expected).
    """
    raw = value(spec.expected, scope)
    if isinstance(raw, str):
        raw = _decoded(raw)
    expected = [_expected(call) for call in raw] if isinstance(raw, list) else [None]
    if None in expected:
        return failed("the expected calls are no list of {name, arguments: object}")
    given = [_given(call) for call in scope["sample"].get("output_tools") or ()]
    wanted = [call for call in expected if call is not None]
    equal = _equality(spec.arguments)
    score = _f1(_matches(given, wanted, equal, spec.order), len(given), len(wanted))
    names = _f1(_matches(given, wanted, _same_name, spec.order), len(given), len(wanted))
    faults = [problem_with(call.name, call.arguments, scope.get("tools")) for call in given]
    parts: dict[str, Any] = {
        "name_f1": names,
        "args_valid": sum(fault is None for fault in faults) / len(given) if given else None,
        "no_call": float(not given) if not wanted else None,
    }
    if any(faults):
        parts["problems"] = [fault for fault in faults if fault]
    return Grade(score=score, passed=score == 1.0, parts=parts)


def _decoded(raw: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None


def _given(raw: Any) -> Call:
    """Arguments of an answer are a JSON text, decoded exactly once."""
    function = raw.get("function") if isinstance(raw, Mapping) else None
    function = function if isinstance(function, Mapping) else {}
    arguments = function.get("arguments")
    decoded = _decoded(arguments) if isinstance(arguments, str) else None
    return Call(str(function.get("name") or ""), decoded if isinstance(decoded, dict) else None)


def _expected(raw: Any) -> Call | None:
    """`{name, arguments}` or `{function: {name, arguments}}`; arguments as an object or as its JSON text."""
    if isinstance(raw, Mapping) and isinstance(raw.get("function"), Mapping):
        raw = raw["function"]
    if not isinstance(raw, Mapping) or not isinstance(raw.get("name"), str):
        return None
    arguments = raw.get("arguments", {})
    if isinstance(arguments, str):
        arguments = _decoded(arguments)
    return Call(raw["name"], dict(arguments)) if isinstance(arguments, Mapping) else None


Equality = Callable[[Call, Call], bool]


def _same_name(one: Call, other: Call) -> bool:
    return one.name == other.name


def _equality(rules: ToolArguments) -> Equality:
    equal = _close if rules.numbers == "close" else same
    ignored = frozenset(rules.ignore)

    def same_call(given: Call, expected: Call) -> bool:
        if given.name != expected.name or given.arguments is None or expected.arguments is None:
            return False
        left, right = (
            {key: entry for key, entry in call.items() if key not in ignored}
            for call in (given.arguments, expected.arguments)
        )
        return equal(left, right)

    return same_call


def _close(one: Any, other: Any) -> bool:
    """As `same`, with numbers equal to six digits."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_close(entry, other[key]) for key, entry in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_close, one, other))
    numbers = (int, float)
    if isinstance(one, numbers) and isinstance(other, numbers) and not isinstance(one, bool | str):
        return not isinstance(other, bool) and math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-12)
    return same(one, other)


def _matches(given: Sequence[Call], wanted: Sequence[Call], equal: Equality, order: str) -> int:
    if order == "same":
        return _common(given, wanted, equal)
    free = list(wanted)
    for call in given:
        hit = next((i for i, other in enumerate(free) if equal(call, other)), None)
        if hit is not None:
            free.pop(hit)
    return len(wanted) - len(free)


def _common(given: Sequence[Call], wanted: Sequence[Call], equal: Equality) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(wanted) + 1)
    for call in given:
        before = row[:]
        for i, other in enumerate(wanted):
            row[i + 1] = before[i] + 1 if equal(call, other) else max(before[i + 1], row[i])
    return row[-1]


def _f1(hits: int, n_given: int, n_wanted: int) -> float:
    return 2 * hits / (n_given + n_wanted) if n_given + n_wanted else 1.0
