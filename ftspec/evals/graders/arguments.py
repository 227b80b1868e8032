"""Tool-call arguments against the function declared in the request: one JSON Schema validator per schema, cached."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from ftspec.evals.graders.patterns import search

_canonical = msgspec.json.Encoder(order="sorted").encode


def problem_with(name: str, arguments: dict[str, Any] | None, tools: Sequence[Mapping[str, Any]] | None) -> str | None:
    """Return why a call is not one the request allows, or None where it is fine (or where no tools are known)."""
    if arguments is None:
        return f"{name}: the arguments are no JSON object"
    if tools is None:
        return None
    declared = next((f for tool in tools if (f := tool.get("function")) and f.get("name") == name), None)
    if declared is None:
        return f"{name}: no such function in the request"
    parameters = declared.get("parameters")
    if not parameters:
        return None
    return _first_error(name, _canonical(parameters), arguments)


def _first_error(name: str, schema: bytes, arguments: dict[str, Any]) -> str | None:
    try:
        error = next(_validator(schema).iter_errors(arguments), None)
    except TimeoutError:
        return f"{name}: a pattern of the schema ran for more than a second"
    except Exception as failure:
        # A schema with an unresolvable $ref or a wrong keyword raises one of many types; it judges nothing.
        return f"{name}: the schema cannot be used: {type(failure).__name__}"
    return None if error is None else f"{name}: {error.json_path}: {error.message[:200]}"


@lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    import jsonschema
    from referencing import Registry

    def pattern(validator: Any, given: str, instance: Any, schema: Any) -> Any:
        if isinstance(instance, str) and search(given, instance) is None:
            yield jsonschema.ValidationError(f"{instance!r} does not match {given!r}")

    extend: Any = jsonschema.validators.extend
    kind = extend(jsonschema.Draft202012Validator, {"pattern": pattern})
    # An empty registry: a remote $ref is never fetched.
    return kind(msgspec.json.decode(schema), registry=Registry())
