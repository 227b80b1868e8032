"""A fast yes for plain JSON Schemas: types, properties, required, enum, items, bounds. Else jsonschema judges.

Checking the arguments of each call by jsonschema costs a quarter of a cold pass over rows with tools; most schemas of
functions are plain, and most arguments meet them.
"""

import operator
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import msgspec

_canonical = msgspec.json.Encoder(order="sorted").encode
_SILENT = frozenset({"description", "title", "default", "examples", "$schema", "$comment", "deprecated"})
_SIZES = {"minLength": (str, False), "maxLength": (str, True), "minItems": (list, False), "maxItems": (list, True)}
_LIMITS: dict[str, Callable[[Any, Any], bool]] = {
    "minimum": operator.ge,
    "maximum": operator.le,
    "exclusiveMinimum": operator.gt,
    "exclusiveMaximum": operator.lt,
}
_OF_OBJECTS = frozenset({"properties", "required", "additionalProperties"})
_KNOWN = frozenset({"type", "items", "enum", *_OF_OBJECTS, *_SIZES, *_LIMITS})
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
    check = plain_check(schema)
    return check is not None and check(value)


def plain_check(schema: Any) -> Check | None:
    """Return the check of a plain schema, made once: True means certainly valid. None for any other schema."""
    return _compiled(_canonical(schema))


@lru_cache(maxsize=256)
def _compiled(schema: bytes) -> Check | None:
    return _compile(msgspec.json.decode(schema))


def _compile(schema: Any) -> Check | None:
    if schema is True:
        return lambda value: True
    if not isinstance(schema, dict) or schema.keys() - _KNOWN - _SILENT:
        return None
    checks: list[Check] = []
    for check in _checks(schema):
        if check is None:
            return None
        checks.append(check)
    return checks[0] if len(checks) == 1 else lambda value: all(check(value) for check in checks)


def _checks(schema: dict[str, Any]) -> Iterator[Check | None]:
    """Yield one check a keyword, None for a keyword used in a way that is not plain."""
    if "type" in schema:
        yield _type(schema["type"])
    if "enum" in schema:
        yield _enum(schema["enum"])
    for word in _SIZES.keys() & schema.keys():
        yield _size(*_SIZES[word], schema[word])
    for word in _LIMITS.keys() & schema.keys():
        yield _limit(_LIMITS[word], schema[word])
    if _OF_OBJECTS & schema.keys():
        yield _object(schema)
    if "items" in schema:
        yield _items(schema["items"])


def _type(name: Any) -> Check | None:
    kinds = _TYPES.get(name) if isinstance(name, str) else None
    return None if kinds is None else lambda value: type(value) in kinds


def _enum(allowed: Any) -> Check | None:
    if not isinstance(allowed, list) or not all(isinstance(one, str) for one in allowed):
        return None
    return lambda value: isinstance(value, str) and value in allowed


def _size(kind: type[Any], most: bool, bound: Any) -> Check | None:
    """Check the length of a text (in code points) or a list; other values meet the bound."""
    if type(bound) is not int:
        return None
    if most:
        return lambda value: type(value) is not kind or len(value) <= bound
    return lambda value: type(value) is not kind or len(value) >= bound


def _limit(holds: Callable[[Any, Any], bool], bound: Any) -> Check | None:
    """Check a number; other values, true and false among them, meet the bound."""
    if type(bound) not in (int, float):
        return None
    return lambda value: (type(value) is not int and type(value) is not float) or holds(value, bound)


def _items(schema: Any) -> Check | None:
    item = _compile(schema)
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
        for name in required:
            if name not in value:
                return False
        for name, entry in value.items():
            meets = known.get(name)
            if not more if meets is None else not meets(entry):
                return False
        return True

    return check
