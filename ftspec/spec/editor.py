r"""JSON Schemas for editors: one for experiments, one for the files of each group.

They are an overlay of the models' own schema: a file says only what is its own, so nothing is required; null means "not
set"; a value may be a reference `${a.b}`. Draft-07, the draft that yaml-language-server supports.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ftspec.spec.aliases import STRATEGIES, STRATEGY_KEYS, SWITCHES
from ftspec.spec.experiment import Experiment
from ftspec.spec.keys import words_of
from ftspec.spec.lint import LINTS
from ftspec.spec.sweep import NOT_SWEPT

DRAFT = "http://json-schema.org/draft-07/schema#"
_REFERENCE = {"type": "string", "pattern": r"\$\{[^}]+\}"}
_NULL = {"type": "null"}
_AXIS_TEXT = {"type": ["string", "null"], "description": 'Hydra: "1,2", "range(1, 4)"; or "logrange(0.02, 0.2, 4)".'}
_REFRESH = "no such option when this schema was written; `ftspec schema --write` looks again"

Schema = dict[str, Any]
Options = Mapping[str, Sequence[str]]


def experiment_schema(options: Options) -> Schema:
    """Return the schema of `experiments/*.yaml`; `options` are the names that each group offers."""
    definitions = _definitions(options)
    root = definitions["Experiment"]
    return _document("An ftspec experiment", _with_defaults(root, _defaults(options)), definitions)


def group_schema(group: str, options: Options) -> Schema:
    """Return the schema of `conf/<group>/*.yaml`. Raises KeyError for a name that no key of an experiment has."""
    definitions = _definitions(options)
    places = definitions["Experiment"]["properties"][group]["anyOf"]
    place = next(branch for branch in places if branch != _NULL)
    root = definitions[_name(place)] if "$ref" in place else {"type": "object", **place}
    anything = {"type": "array", "description": "Further files that this one builds on."}
    return _document(f"A block of conf/{group}/", _with_defaults(root, anything), definitions)


def _document(title: str, root: Schema, definitions: dict[str, Schema]) -> Schema:
    """Put a schema together with the definitions that it reaches."""
    reached: dict[str, Schema] = {}
    open_ = [root]
    while open_:
        for name in _references(open_.pop()):
            if name not in reached:
                reached[name] = definitions[name]
                open_.append(definitions[name])
    return {"$schema": DRAFT, "title": title, **root, "definitions": dict(sorted(reached.items()))}


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield _name(node)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _name(node: Mapping[str, Any]) -> str:
    return str(node["$ref"]).split("/")[2]


def _with_defaults(root: Schema, defaults: Schema) -> Schema:
    return {**root, "properties": {"defaults": defaults, **root.get("properties", {})}}


def _definitions(options: Options) -> dict[str, Schema]:
    """Return the schemas of all models by name, and those of sweep axes."""
    made = Experiment.model_json_schema(ref_template="#/definitions/{model}")
    models = {**made.pop("$defs"), "Experiment": made}
    definitions = {name: _model(name, schema) for name, schema in models.items()}
    definitions["Weights"]["properties"] |= _aliases()
    train_on = definitions["Weights"]["properties"]["train_on"]
    train_on["anyOf"].append({"type": "string", "pattern": f"^({'|'.join(STRATEGIES)})$"})
    lint = next(one for one in definitions["Experiment"]["properties"]["lint"]["anyOf"] if one != _NULL)
    level = lint.pop("additionalProperties")
    lint |= {"properties": {code: {"description": said, **level} for code, said in LINTS.items()}}
    lint["additionalProperties"] = False
    axes, pairs = _axes(definitions, options)
    definitions |= {"Axes": axes, "Pairs": pairs, "AxisText": _AXIS_TEXT, **_choices(options)}
    for block in ("Sweep", "Block"):
        keys = definitions[block]["properties"]
        for key, schema in (
            ("grid", {"$ref": "#/definitions/Axes"}),
            ("zip", {"type": "array", "items": {"$ref": "#/definitions/Axes"}}),
            ("exclude", {"type": "array", "items": {"$ref": "#/definitions/Pairs"}}),
        ):
            keys[key] = {"description": keys[key]["description"], "anyOf": [schema, _NULL]}
    return definitions


def _model(name: str, schema: Schema) -> Schema:
    properties = {key: _property(name, key, value) for key, value in schema["properties"].items()}
    said = " ".join(str(schema.get("description", "")).split())
    return {"type": "object", "description": said, "properties": properties, "additionalProperties": False}


def _property(model: str, key: str, schema: Schema) -> Schema:
    made: Schema = {"description": _said(model, key)} if _said(model, key) else {}
    default = schema.get("default")
    if default is not None and not isinstance(default, (dict, list)):
        made["default"] = default
    return {**made, **_overlay(schema)}


def _said(model: str, key: str) -> str:
    # A sweep is a block with two keys more.
    return words_of(model, key) or (words_of("Block", key) if model == "Sweep" else "")


def _overlay(schema: Schema) -> Schema:
    """Return a value's schema with null and, where texts are not free anyway, references."""
    branches = [_branch(one) for one in schema.get("anyOf") or schema.get("oneOf") or [schema]]
    if any(branch == {} for branch in branches):
        return {}
    kept = [branch for branch in branches if branch != _NULL]
    if any(branch == {"type": "string"} for branch in kept):
        # A free text takes references anyway.
        return {"anyOf": [*kept, _NULL]} if len(kept) > 1 else {"type": ["string", "null"]}
    scalars = [branch for branch in kept if "enum" in branch or branch.get("type") in _SCALARS]
    return {"anyOf": [*kept, *([_REFERENCE] if scalars else []), _NULL]}


_SCALARS = ("string", "integer", "number", "boolean")
_KEPT = ("type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "pattern", "minLength", "maxLength")


def _branch(schema: Schema) -> Schema:
    """Return one member of a union, without titles, defaults and what must be there."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if "anyOf" in schema or "oneOf" in schema:
        return _overlay(schema)
    if "const" in schema:
        return {"enum": [schema["const"]]}
    if "enum" in schema:
        return {"enum": list(schema["enum"])}
    if schema.get("type") == "array":
        return {"type": "array", "items": _overlay(schema["items"]) if schema.get("items") else {}}
    if schema.get("type") == "object":
        return _mapping(schema)
    return {key: schema[key] for key in _KEPT if key in schema}


def _mapping(schema: Schema) -> Schema:
    inner = schema.get("additionalProperties")
    patterns = schema.get("patternProperties")
    if patterns:
        made = {pattern: _overlay(value) for pattern, value in patterns.items()}
        return {"type": "object", "patternProperties": made, "additionalProperties": False}
    return {"type": "object", **({"additionalProperties": _overlay(inner)} if isinstance(inner, dict) else {})}


def _aliases() -> dict[str, Schema]:
    """Return the keys of other tools that `weights` understands: accepted, never suggested."""
    said = "another tool's name; `ftspec validate` says what it becomes"
    names = (*SWITCHES, *STRATEGY_KEYS, "roles_to_train", "loss_mask")
    return {name: {"deprecationMessage": said} for name in names}


def _choices(options: Options) -> dict[str, Schema]:
    """Return a schema for the names of each group: one, or a list of them."""
    made = {}
    for group, names in options.items():
        one = {"enum": list(names), "errorMessage": f"conf/{group}/ has {_REFRESH}"}
        made[f"options of {group}"] = {"anyOf": [one, {"type": "array", "items": one}, _NULL]}
    return made


def _defaults(options: Options) -> Schema:
    """Return the schema of the defaults list: base, other experiments, and options of groups."""
    keys: dict[str, Schema] = {}
    for group in options:
        chosen = {"$ref": f"#/definitions/options of {group}"}
        keys[f"override {group}"] = {"description": f"What of conf/{group}/ takes the base's place.", "anyOf": [chosen]}
        keys[group] = {"description": f"An option of conf/{group}/.", "anyOf": [chosen]}
    entry = {"type": "object", "properties": keys, "additionalProperties": False, "maxProperties": 1}
    base = {"enum": ["config", "_self_"]}
    other = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_/-]*$"}
    return {
        "type": "array",
        "description": "What the experiment builds on, in order: config, options of groups, then _self_.",
        "items": {"anyOf": [entry, base, other]},
    }


def _axes(definitions: Mapping[str, Schema], options: Options) -> tuple[Schema, Schema]:
    """Return the schemas of `grid` (a list of values or a text for each dotted key) and of `exclude` (one value)."""
    values: dict[str, dict[str, list[Schema]]] = {"properties": {}, "patternProperties": {}}
    for path, pointer, is_pattern in _paths("Experiment", definitions, "", "", False):
        kind, key = ("patternProperties", f"^{path}$") if is_pattern else ("properties", path)
        found = values[kind].setdefault(key, [])
        found += [{"$ref": f"#/definitions/options of {path}"}] if path in options else []
        found.append({"$ref": pointer})
    axes: Schema = {"type": "object", "properties": {}, "patternProperties": {}, "additionalProperties": False}
    pairs: Schema = {"type": "object", "properties": {}, "patternProperties": {}, "additionalProperties": False}
    for kind, keys in values.items():
        for key, found in keys.items():
            one = found[0] if len(found) == 1 else {"anyOf": found}
            axes[kind][key] = {"anyOf": [{"type": "array", "items": one}, {"$ref": "#/definitions/AxisText"}]}
            pairs[kind][key] = one
    return axes, pairs


def _paths(
    model: str, definitions: Mapping[str, Schema], plain: str, pattern: str, is_pattern: bool
) -> Iterator[tuple[str, str, bool]]:
    """Yield each dotted key below a model: path (a pattern where it leads through a list or a name), pointer."""
    if model in ("FileRef", "EnvRef"):
        return
    for key, schema in definitions[model]["properties"].items():
        if (not plain and key in NOT_SWEPT) or "deprecationMessage" in schema:
            continue
        at, seen = f"{plain}{key}", f"{pattern}{re.escape(key)}"
        yield (seen if is_pattern else at), f"#/definitions/{model}/properties/{key}", is_pattern
        for branch in schema.get("anyOf", ()):
            if "$ref" in branch:
                yield from _paths(_name(branch), definitions, f"{at}.", f"{seen}\\.", is_pattern)
                continue
            inner, step = _inner(branch)
            for below in inner.get("anyOf", ()):
                if "$ref" in below:
                    yield from _paths(_name(below), definitions, f"{at}.", f"{seen}\\.{step}\\.", True)


def _inner(branch: Schema) -> tuple[Schema, str]:
    """Return what a list or a mapping holds, and the pattern of its numbers or names."""
    if isinstance(branch.get("items"), dict):
        return branch["items"], "[0-9]+"
    named = list(branch.get("patternProperties", {}).values())
    named += [branch["additionalProperties"]] if isinstance(branch.get("additionalProperties"), dict) else []
    return (named[0] if named else {}), "[^.]+"
