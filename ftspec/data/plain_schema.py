"""A fast yes for plain JSON Schemas: types, properties, required, enum, items. All else is jsonschema's to judge.

Checking the arguments of each call by jsonschema costs a quarter of a cold pass over rows with tools; most schemas of
functions are plain, and most arguments meet them.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

_canonical = msgspec.json.Encoder(order="sorted").encode
_SILENT = frozenset({"description", "title", "default", "examples", "$schema", "$comment", "deprecated"})
_KNOWN = frozenset({"type", "properties", "required", "additionalProperties", "items", "enum"})
_TYPES: dict[str, tuple[type[Any], ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}

Check = Callable[[Any], bool]


def surely_valid(schema: Any, value: Any) -> bool:
    """Whether the value certainly meets the schema; False means that a validator must judge."""
    check = _compiled(_canonical(schema))
    return check is not None and check(value)


@lru_cache(maxsize=256)
def _compiled(schema: bytes) -> Check | None:
    return _compile(msgspec.json.decode(schema))


def _compile(schema: Any) -> Check | None:
    if schema is True:
        return lambda value: True
    if not isinstance(schema, dict) or set(schema) - _KNOWN - _SILENT:
        return None
    checks: list[Check] = []
    if "type" in schema:
        kinds = _TYPES.get(schema["type"]) if isinstance(schema["type"], str) else None
        if kinds is None:
            return None
        checks.append(lambda value: type(value) in kinds)
    if "enum" in schema:
        allowed = schema["enum"]
        if not isinstance(allowed, list) or not all(isinstance(one, str) for one in allowed):
            return None
        checks.append(lambda value: isinstance(value, str) and value in allowed)
    for part in (_object(schema), _items(schema)):
        if part is None:
            return None
        checks.append(part)
    return lambda value: all(check(value) for check in checks)


def _items(schema: dict[str, Any]) -> Check | None:
    if "items" not in schema:
        return lambda value: True
    item = _compile(schema["items"])
    return None if item is None else lambda value: not isinstance(value, list) or all(map(item, value))


def _object(schema: dict[str, Any]) -> Check | None:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    more = schema.get("additionalProperties", True)
    if not isinstance(properties, dict) or not isinstance(required, list) or not isinstance(more, bool):
        return None
    inner = {name: _compile(one) for name, one in properties.items()}
    known = {name: check for name, check in inner.items() if check is not None}
    if len(known) < len(inner):
        return None

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        return (
            all(name in value for name in required)
            and (more or value.keys() <= known.keys())
            and all(known[name](entry) for name, entry in value.items() if name in known)
        )

    return check
