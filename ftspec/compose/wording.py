"""Pydantic's errors in the words of the spec: one problem for each mistake, with the path it is about."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from ftspec.compose.shape import ROOT, Shape, chosen, keys_of, shapes_at, steps, suggestion
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import GROUPS

Path = tuple[str | int, ...]
Placed = tuple[Path, Problem]

_OPTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./-]*")


def dotted(path: Sequence[str | int]) -> str:
    """Return a path as it is written in overrides; keys with dots of their own in brackets."""
    text = ""
    for part in path:
        if isinstance(part, str) and "." in part:
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text


def keys(path: str) -> tuple[str, ...]:
    """Return the keys of a path as `dotted` writes it, or with list items in brackets: `a.b[0]`."""
    return tuple(part for part in re.split(r"\.|\[([^\]]*)\]", path) if part)


def of_validation(error: ValidationError, config: Any, root: Shape = ROOT, base: Path = ()) -> list[Placed]:
    """Return one problem for each mistake; the errors of a union's branches become one about the branch meant."""
    found = [_located(one, config, root) for one in error.errors(include_url=False)]
    for one in found:
        one.base = base
    problems = []
    unions: dict[Path, list[_Located]] = {}
    for one in found:
        if one.union is None:
            problems.append(_worded(one))
        else:
            unions.setdefault(one.union, []).append(one)
    for at, members in unions.items():
        problems.extend(_union(at, members, config, root))
    return [((*base, *path), replace(problem, path=dotted((*base, *path)))) for path, problem in problems]


class _Located:
    """One of pydantic's errors, its location told apart into keys of the configuration and members of unions."""

    def __init__(self, kind: str, path: Path, key: str | None, value: Any, shape: Shape | None, raw: Any) -> None:
        self.kind, self.path, self.key, self.value, self.shape, self.raw = kind, path, key, value, shape, raw
        self.base: Path = ()
        self.union: Path | None = None
        self.tag: Any = None


def _located(error: Any, config: Any, root: Shape) -> _Located:
    """Walk the location beside the schema: where a union stands, the next part names its member."""
    path: list[str | int] = []
    shape: Shape | None = root
    node = config
    union: Path | None = None
    tag: Any = None
    parts = list(error["loc"])
    key = None
    while parts:
        if shape is not None and (shape.tagged or shape.discriminator):
            name = parts.pop(0)
            if union is None and not shape.discriminator:
                union, tag = tuple(path), name
            if not parts:
                break
        part = parts.pop(0)
        if part == "[key]":
            key = str(path[-1])
            break
        last = not parts
        if last and error["type"] in ("missing", "extra_forbidden"):
            key = str(part)
            break
        below = steps(shape, part, node) if shape is not None else []
        shape = below[0] if below else None
        node = _below(node, part)
        path.append(part)
    located = _Located(error["type"], tuple(path), key, error.get("input"), shape, error)
    located.union, located.tag = union, tag
    return located


def _below(node: Any, part: str | int) -> Any:
    if isinstance(node, Mapping):
        return node.get(part)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return None


def _union(at: Path, members: Sequence[_Located], config: Any, root: Shape) -> list[Placed]:
    """Keep the errors of the member that was meant: the one that a mapping or a list got furthest into."""
    value = config
    for part in at:
        value = _below(value, part)
    if isinstance(value, (dict, list)):
        deeper = [one for one in members if len(one.path) > len(at) or one.kind in ("missing", "extra_forbidden")]
        by_tag: dict[Any, list[_Located]] = {}
        for one in deeper:
            by_tag.setdefault(one.tag, []).append(one)
        if by_tag:
            return [_worded(one) for one in min(by_tag.values(), key=len)]
    shapes = shapes_at(at, root)
    one = members[0]
    one.path, one.key, one.shape = at, None, shapes[0] if shapes else None
    one.kind, one.value = "union", value
    return [_worded(one)]


def _worded(one: _Located) -> Placed:
    if one.kind == "missing":
        path = (*one.path, one.key or "")
        shapes = [below for shape in ([one.shape] if one.shape else [ROOT]) for below in steps(shape, one.key or "")]
        words = f"give {shapes[0].words}" if shapes and shapes[0].words else ""
        return path, Problem("missing_key", "is missing", dotted(path), fix=words)
    if one.kind == "extra_forbidden":
        path = (*one.path, one.key or "")
        return path, Problem("unknown_key", "is no known key", dotted(path), fix=_suggested(path, one))
    if one.kind in ("value_error", "assertion_error"):
        context = one.raw.get("ctx", {}).get("error")
        return one.path, Problem("invalid_value", str(context or one.raw["msg"]), dotted(one.path))
    if one.key is not None:
        message = f"the name {one.key!r} is not allowed"
        return one.path, Problem("invalid_value", message, dotted(one.path), fix="letters, digits and _")
    words = one.shape.words if one.shape else ""
    if one.kind in ("union_tag_invalid", "union_tag_not_found") and one.shape:
        return _tag(one)
    if one.kind in ("too_short", "too_long", "string_too_short", "string_too_long") and not words:
        return one.path, Problem("invalid_value", one.raw["msg"], dotted(one.path))
    if one.kind == "too_long" and isinstance(one.value, (dict, list)):
        message = f"holds {len(one.value)} entries, at most {one.raw['ctx']['max_length']}"
        return one.path, Problem("invalid_value", message, dotted(one.path))
    if one.kind == "too_short" and one.value in ({}, []):
        return one.path, Problem("invalid_value", f"must not be empty: {words}, one at least", dotted(one.path))
    message = f"must be {words} (got {shown(one.value)})" if words else one.raw["msg"]
    return one.path, Problem(
        "invalid_value", message, dotted(one.path), fix=_chosen(one) or _hint(one.value, one.shape)
    )


def _suggested(path: Path, one: _Located) -> str:
    """Suggest among the keys of the model that was meant, not of the whole union."""
    if one.shape is None:
        return suggestion(path)
    node_type = {one.shape.discriminator: one.raw.get("loc", ())[-2]} if one.shape.discriminator else None
    known = [name for model in chosen(one.shape, node_type) for name in keys_of(model)]
    return suggestion(path, known=known)


def _tag(one: _Located) -> Placed:
    assert one.shape is not None
    name = one.shape.discriminator
    choices = ", ".join(keys_of(model)[name].shape.words for model in one.shape.models)
    path = (*one.path, name)
    if one.kind == "union_tag_not_found":
        return path, Problem("missing_key", "is missing", dotted(path), fix=f"one of {choices}")
    given = one.value.get(name) if isinstance(one.value, dict) else one.value
    near = get_close_matches(str(given), choices.replace("`", "").split(", "), n=1)
    fix = f"did you mean {near[0]}?" if near else ""
    return path, Problem("invalid_value", f"must be one of {choices} (got {shown(given)})", dotted(path), fix=fix)


def shown(value: Any) -> str:
    """Return a value as YAML would show it, shortened."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _chosen(one: _Located) -> str:
    """Say how to choose an option whose name stands where its content is meant: `evals: [routing]`, `method: dpo`."""
    given = one.value if isinstance(one.value, list) else [one.value]
    if not given or not all(isinstance(name, str) and _OPTION.fullmatch(name) for name in given):
        return ""
    at = (*one.base, *one.path)
    if len(at) == 1 and at[0] in GROUPS:
        name = f"[{', '.join(given)}]" if isinstance(one.value, list) else one.value
        return f"choose it in the defaults list: override {at[0]}: {name}"
    for model in one.shape.models if one.shape is not None else ():
        kind = keys_of(model).get("type")
        if kind is not None and f"`{one.value}`" in kind.shape.words:
            return f"write {{type: {one.value}}}"
    return ""


def _hint(value: Any, shape: Shape | None) -> str:
    if shape is None:
        return ""
    if isinstance(value, str):
        near = get_close_matches(value, re.findall(r"`([^`]+)`", shape.words), n=1)
        if near:
            return f"did you mean {near[0]}?"
    if isinstance(value, str) and shape.number and re.fullmatch(r"\s*[-+]?[\d.]+([eE][-+]?\d+)?\s*", value):
        return "remove the quotes"
    if isinstance(value, bool) and shape.text:
        return "quote it"
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and shape.item:
        return f"put it into a list: [{value}]"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and shape.text and not shape.number:
        return "quote it"
    if isinstance(value, float) and value.is_integer() and shape.number:
        return f"write {int(value)}"
    return ""
