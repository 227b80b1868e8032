"""JSON Schemas that users write: one cached validator a schema, patterns with a time limit, nothing ever fetched.

`Contract` is `sources[].schema`, which every raw row must meet (JSON Schema draft 2020-12).
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from ftspec.spec.errors import Problem, SpecError

REGEX_SECONDS = 1.0
_MOST = 10  # problems shown of one row
_canonical = msgspec.json.Encoder(order="sorted").encode


class PatternTimeoutError(Exception):
    """A pattern of a schema ran for too long; `pattern` is as written."""

    def __init__(self, pattern: str) -> None:
        super().__init__(f"the pattern {pattern!r} ran for more than {REGEX_SECONDS:g} s")
        self.pattern = pattern


def validator_of(schema: Any) -> Any:
    """Return the validator of a schema (draft 2020-12), made once. Its `iter_errors` may raise PatternTimeoutError."""
    return _validator(_canonical(schema))


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    import jsonschema
    from referencing import Registry

    extend: Any = jsonschema.validators.extend
    kind = extend(jsonschema.Draft202012Validator, {"pattern": _pattern, "patternProperties": _pattern_properties})
    # An empty registry: a remote $ref is never fetched.
    return kind(msgspec.json.decode(schema), registry=Registry())


def _found(pattern: str, text: str) -> bool:
    import regex

    try:
        return regex.search(pattern, text, timeout=REGEX_SECONDS) is not None
    except TimeoutError:
        raise PatternTimeoutError(pattern) from None


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    import jsonschema

    if isinstance(instance, str) and not _found(pattern, instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for key, value in instance.items():
                if _found(pattern, key):
                    yield from validator.descend(value, inner, path=key, schema_path=pattern)


def check_schema(schema: Any, path: str) -> None:
    """Raise SpecError `schema` for what is no schema, for a pattern that does not compile and for a remote `$ref`."""
    import jsonschema
    import regex

    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        for key, value in _walk(schema):
            if key == "$ref" and isinstance(value, str) and not value.startswith("#"):
                raise ValueError(f"$ref {value!r} lies elsewhere; write `#/$defs/...`, nothing is fetched")
            for pattern in [value] if key == "pattern" else list(value) if key == "patternProperties" else []:
                regex.compile(pattern)
        error: Any = next(validator_of(schema).iter_errors({}), None)  # resolves what the top refers to
    except jsonschema.SchemaError as failure:
        where = failure.json_path.removeprefix("$").removeprefix(".")
        raise SpecError("schema", failure.message, path=f"{path}.{where}" if where else path) from None
    except regex.error as failure:
        raise SpecError("schema", f"the pattern {failure.pattern!r}: {failure}", path=path) from None
    except Exception as failure:
        # An unresolvable reference raises one of several types of the library.
        raise SpecError("schema", f"the schema cannot be used: {failure}", path=path) from None
    del error


def _walk(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in ("const", "enum", "default", "examples"):
                yield key, value
                yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


class Contract:
    """The schema of one source. Raises SpecError where it is none."""

    def __init__(self, schema: Any, path: str) -> None:
        check_schema(schema, path)
        self._validator = validator_of(schema)

    def problems(self, row: Any, file: str, line: int) -> list[Problem]:
        """Return what a raw row breaches, with its file and line."""
        found: list[Problem] = []
        try:
            for error in self._validator.iter_errors(row):
                where = error.json_path.removeprefix("$").removeprefix(".")
                found.append(Problem("schema", error.message[:300], where, file, line))
                if len(found) == _MOST:
                    break
        except PatternTimeoutError as error:
            fix = "make the pattern of `schema` simpler (nested repeats are slow)"
            found.append(Problem("regex_timeout", str(error), "", file, line, fix=fix))
        except Exception as error:
            # A reference that nothing resolves shows only where it is reached.
            found.append(Problem("schema", f"the schema cannot be used: {error}", "", file, line))
        return found
