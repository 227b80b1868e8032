"""docs/spec.md, made of the models: every key with what it takes, its default, its meaning and an example."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from ftspec.spec.experiment import Experiment
from ftspec.spec.keys import HERE, WORDS
from ftspec.spec.lint import LINTS
from ftspec.spec.sweep import Block

_HEAD = """\
# Every key of an experiment

Made by `ftspec schema --docs` from the models in `ftspec/spec/`; tests fail when it is stale, and compose each example.

- Unknown keys are errors with a suggestion. `null` means "not set": the default below holds.
- A value may be a reference, `${a.b}`; every resolver (`${oc.env:...}`) is refused. Templates are `{{ field }}`.
- `text` marks keys that take a text or `{file: path}`. Paths are relative to the project.
- An example stands where its section says, and as the value of the keys above it.
"""


def models() -> dict[str, type[BaseModel]]:
    """Return every model that an experiment is made of, by name, outermost first."""
    found: dict[str, type[BaseModel]] = {}

    def visit(model: type[BaseModel]) -> None:
        if model.__name__ in found:
            return
        found[model.__name__] = model
        inner: list[type[BaseModel]] = []
        for info in model.model_fields.values():
            inner += _models_in(info.annotation)
        for one in inner:
            visit(one)

    visit(Experiment)
    # A sweep is a block with two keys more; blocks come with it.
    visit(Block)
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    from typing import get_args

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def own_keys(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's keys by their name in YAML; a sweep's without those of its block."""
    inherited = Block.model_fields if model is not Block and issubclass(model, Block) else {}
    return {info.alias or name: info for name, info in model.model_fields.items() if name not in inherited}


def markdown() -> str:
    """Return docs/spec.md."""
    made = Experiment.model_json_schema()
    schemas = {**made["$defs"], "Experiment": made}
    sections = [_section(name, model, schemas[name]) for name, model in models().items()]
    return "\n".join([_HEAD, *sections, _lints()])


def _section(name: str, model: type[BaseModel], schema: dict[str, Any]) -> str:
    words = WORDS[name]
    said = " ".join((model.__doc__ or "").split())
    rows = [f"## {name}", "", f"Stands at: {words.at}.", "", said, ""]
    rows += ["| key | takes | default | meaning | example |", "|---|---|---|---|---|"]
    required = schema.get("required", ())
    for key in own_keys(model):
        meaning, example = words.keys[key]
        value = schema["properties"][key]
        default = "**required**" if key in required else _default(value)
        cells = [f"`{key}`", _takes(value), default, meaning, _code(example)]
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*rows, ""])


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    if value is None:
        return ""
    return _code(json.dumps(value, ensure_ascii=False)) if value not in ([], {}, "") and not _is_block(value) else ""


def _is_block(value: Any) -> bool:
    return isinstance(value, dict)


def _takes(schema: dict[str, Any]) -> str:
    """Return what a value may be, in words."""
    members = schema.get("anyOf") or schema.get("oneOf") or [schema]
    if any(str(one.get("$ref", "")).endswith("/FileRef") for one in members) and any(
        one.get("type") == "string" for one in members
    ):
        rest = [one for one in members if one.get("type") not in ("string", "null") and "FileRef" not in str(one)]
        return ", ".join(["text", *map(_one, rest)])
    return ", ".join(dict.fromkeys(_one(one) for one in members if one.get("type") != "null")) or "nothing yet"


def _one(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "oneOf" in schema or "anyOf" in schema:
        return _takes(schema)
    kind = schema.get("type")
    if kind == "array":
        return f"list of ({_takes(schema['items'])})" if schema.get("items") else "list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        named = list(schema.get("patternProperties", {}).values())
        inner = inner if isinstance(inner, dict) else named[0] if named else None
        return f"names to ({_takes(inner)})" if inner else "mapping"
    if kind in ("integer", "number"):
        return ("integer" if kind == "integer" else "number") + _bounds(schema)
    if kind == "string":
        return f"string like `{schema['pattern']}`" if "pattern" in schema else "string"
    return "true, false" if kind == "boolean" else "anything"


def _bounds(schema: dict[str, Any]) -> str:
    low = f" >= {schema['minimum']}" if "minimum" in schema else ""
    low = f" > {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else low
    high = f" <= {schema['maximum']}" if "maximum" in schema else ""
    high = f" < {schema['exclusiveMaximum']}" if "exclusiveMaximum" in schema else high
    return low + ("," if low and high else "") + high


def _lints() -> str:
    rows = ["## Lints", "", "Codes that `lint` may raise, lower or ignore; errors are no lints.", ""]
    rows += ["| code | says that |", "|---|---|", *(f"| `{code}` | {said} |" for code, said in LINTS.items())]
    return "\n".join([*rows, ""])


def example(model: str, key: str) -> dict[str, Any]:
    """Return the smallest experiment, without its own required keys, that holds the example of a key."""
    import yaml

    words = WORDS[model]
    given = yaml.safe_load(words.keys[key][1])
    placed = _placed(words.within, given)
    assert isinstance(placed, dict)
    return placed


def _placed(value: Any, given: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        made = {key: _placed(item, given) for key, item in value.items() if key != HERE}
        return {**made, **given} if HERE in value else made
    if isinstance(value, list):
        return [_placed(item, given) for item in value]
    return value
