"""Function calls of a row: arguments that are one object, functions that exist, arguments they take, calls answered.

Rules of the chat format (platform.openai.com/docs/guides/function-calling): `arguments` is a JSON text of an object,
every call has an id of its own, and is answered by a tool message before the conversation goes on.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from ftspec.data.contract import PatternTimeoutError, validator_of
from ftspec.data.plain_schema import Check, plain_check
from ftspec.spec.errors import Problem

_MOST = 5  # breaches shown of one call


@dataclass
class _Open:
    """Calls without an answer so far, by id, and every id seen."""

    waiting: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)


def call_problems(messages: list[Any], tools: bytes | None, file: str, line: int) -> list[Problem]:
    """Return everything wrong with the calls of a row; `tools` are its definitions as JSON, None without."""
    found = [*_order(messages)]
    for n, message in enumerate(messages):
        for k, call in enumerate(message.tool_calls or ()):
            found += _call(call.function, f"messages[{n}].tool_calls[{k}].function", tools)
    return [Problem(code, text, path, file, line, fix=fix) for code, text, path, fix in found]


_Found = tuple[str, str, str, str]


def _order(messages: list[Any]) -> Iterator[_Found]:
    """Yield ids that repeat, calls that stay without an answer, and answers to nothing."""
    state = _Open()
    for n, message in enumerate(messages):
        if message.letter == "t":
            if state.waiting.pop(message.tool_call_id, None) is None:
                text = f"answers {message.tool_call_id!r}, which no call before it waits for"
                yield "tool_ids", text, f"messages[{n}].tool_call_id", "copy the id of the call"
        elif message.letter in "ua":
            if state.waiting:
                yield from _unanswered(state)
            for k, call in enumerate(message.tool_calls or ()):
                path = f"messages[{n}].tool_calls[{k}].id"
                if call.id in state.seen:
                    yield "tool_ids", f"the id {call.id!r} was used before", path, "give every call an id of its own"
                state.seen.add(call.id)
                state.waiting[call.id] = path
    if not messages[-1].tool_calls:
        yield from _unanswered(state)


def _unanswered(state: _Open) -> Iterator[_Found]:
    for name, path in state.waiting.items():
        fix = "add a tool message with this tool_call_id before the next message"
        yield "tool_ids", f"the call {name!r} is never answered", path, fix
    state.waiting.clear()


def _call(function: Any, path: str, tools: bytes | None) -> Iterator[_Found]:
    arguments: Any = None
    try:
        arguments = msgspec.json.decode(function.arguments)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        text = f"arguments are not JSON: {str(error).partition(' (byte')[0]}"
        yield "tool_args", text, f"{path}.arguments", "write the arguments as the JSON text of an object"
    else:
        if not isinstance(arguments, dict):
            twice = isinstance(arguments, str)
            text = "arguments are encoded twice" if twice else f"arguments are {_kind(arguments)}, not an object"
            fix = "encode the object once" if twice else "write the arguments as the JSON text of an object"
            yield "tool_args", text, f"{path}.arguments", fix
    if tools is None:
        return
    schemas = _schemas(tools)
    if function.name not in schemas:
        yield "tool_names", f"calls {function.name!r}, which tools does not define", f"{path}.name", _near(schemas)
    elif isinstance(arguments, dict) and not schemas[function.name].surely_met(arguments):
        yield from _breaches(schemas[function.name].schema, arguments, function.name, f"{path}.arguments")


def _breaches(schema: Any, arguments: dict[str, Any], name: str, path: str) -> Iterator[_Found]:
    fix = f"correct the arguments, or the parameters of {name}"
    try:
        for n, error in enumerate(validator_of(schema).iter_errors(arguments)):
            if n == _MOST:
                break
            where = error.json_path.removeprefix("$").removeprefix(".")
            yield "tool_args", f"{name}: {where + ': ' if where else ''}{error.message[:200]}", path, fix
    except PatternTimeoutError as error:
        yield "regex_timeout", f"{name}: {error}", path, "make the pattern of its parameters simpler"
    except Exception as error:
        # A schema with an unresolvable $ref or a wrong keyword raises one of many types.
        text = f"the parameters of {name} cannot be used: {type(error).__name__}: {error}"
        yield "tools", text[:300], "tools", "correct the JSON Schema"


class _Parameters(NamedTuple):
    """The schema of a function's arguments, None where it declares none, and its fast check if it is plain."""

    schema: Any
    plain: Check | None

    def surely_met(self, arguments: dict[str, Any]) -> bool:
        """Whether the arguments certainly meet the schema; False means that a validator must judge."""
        return self.schema is None or (self.plain is not None and self.plain(arguments))


@lru_cache(maxsize=256)
def _schemas(tools: bytes) -> dict[str, _Parameters]:
    """Return the parameters of every function defined."""
    schemas = {tool["function"]["name"]: tool["function"].get("parameters") for tool in msgspec.json.decode(tools)}
    return {name: _Parameters(schema, plain_check(schema)) for name, schema in schemas.items()}


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), type(value).__name__)


def _near(schemas: dict[str, _Parameters]) -> str:
    return f"defined: {', '.join(list(schemas)[:8])}"
