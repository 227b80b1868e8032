"""Overrides written into an experiment's YAML, by edits that leave every other byte as it is, checked by composing.

An edit is kept only if the file without overrides gives exactly the points that it gave with them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ftspec.compose import Project, load
from ftspec.spec.errors import FtspecError, SpecError
from ftspec.storage import write_atomic


def save_overrides(project: Project, name: str, overrides: Sequence[str]) -> Path:
    """Write overrides into `experiments/NAME.yaml` and return its path.

    Raises SpecError `cannot_save` where that is not possible without rewriting the file, which then stays as it was.
    """
    path = project.experiments / f"{name}.yaml"
    before = path.read_bytes()
    wanted = [point.config for point in load(project, name, overrides).points]
    try:
        text = before.decode("utf-8")
        for override in overrides:
            text = edited(text, override)
    except (UnicodeDecodeError, yaml.YAMLError, _NoWayError) as error:
        raise _refused(path, project, overrides, str(error)) from error
    write_atomic(path, text)
    reason = "the file would then mean something else"
    try:
        if [point.config for point in load(project, name).points] == wanted:
            return path
    except FtspecError as error:
        reason = f"the file would then be wrong: {error.problems[0].message}"
    except BaseException:
        write_atomic(path, before)
        raise
    write_atomic(path, before)
    raise _refused(path, project, overrides, reason)


class _NoWayError(Exception):
    pass


def _refused(path: Path, project: Project, overrides: Sequence[str], why: str) -> SpecError:
    return SpecError(
        "cannot_save",
        f"the overrides cannot be saved without rewriting the file: {why}; it was left as it is",
        file=path.relative_to(project.root).as_posix(),
        fix="write them by hand: " + " ".join(overrides),
    )


def edited(text: str, override: str) -> str:
    """Return the YAML text with one override written into it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parsed = OverridesParser.create().parse_override(override)
    if parsed.is_delete():
        raise _NoWayError(f"{override} takes something away")
    key = str(parsed.key_or_group).replace("/", ".")
    if parsed.is_sweep_override():
        if not parsed.is_choice_sweep():
            raise _NoWayError(f"{override} is no list of choices")
        return _set(text, ("sweep", "grid", key), list(parsed.sweep_iterator()))
    group = _group_entry(text, key)
    if group is not None:
        start, end = group
        return text[:start] + _yaml(parsed.value()) + text[end:]
    return _set(_without_axis(text, key), tuple(key.split(".")), parsed.value())


def _yaml(value: Any) -> str:
    dumped: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return dumped.removesuffix("\n").removesuffix("\n...")


def _group_entry(text: str, group: str) -> tuple[int, int] | None:
    """Return where the option of a group stands in the defaults list."""
    root = yaml.compose(text, yaml.SafeLoader)
    defaults = _value(root, "defaults")
    for entry in defaults.value if isinstance(defaults, yaml.SequenceNode) else []:
        for key, value in entry.value if isinstance(entry, yaml.MappingNode) else []:
            if str(key.value).removeprefix("override ").strip() == group:
                return value.start_mark.index, value.end_mark.index
    return None


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    for name, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if name.value == key:
            return value  # type: ignore[no-any-return]
    return None


def _without_axis(text: str, key: str) -> str:
    """Take away the axis that a plain value replaces, where it has a line of its own."""
    grid = _value(_value(yaml.compose(text, yaml.SafeLoader), "sweep"), "grid")
    if not isinstance(grid, yaml.MappingNode) or grid.flow_style:
        return text
    for name, value in grid.value:
        if name.value == key and len(grid.value) > 1 and name.start_mark.line == _end(value).line:
            lines = text.splitlines(keepends=True)
            del lines[name.start_mark.line]
            return "".join(lines)
    return text


def _set(text: str, path: tuple[str, ...], value: Any) -> str:
    root = yaml.compose(text, yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise _NoWayError("the file holds no mapping")
    node: yaml.Node = root
    for depth, key in enumerate(path):
        if not isinstance(node, yaml.MappingNode):
            return _replace(text, node, _nested(path[depth:], value))
        found = _value(node, key)
        if found is None:
            return _insert(text, node, path[depth:], value)
        node = found
    return _replace(text, node, _yaml(value))


def _nested(path: tuple[str, ...], value: Any) -> str:
    for key in reversed(path):
        value = {key: value}
    return _yaml(value)


def _replace(text: str, node: yaml.Node, new: str) -> str:
    start, end = node.start_mark, node.end_mark
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        raise _NoWayError(f"a block stands at line {start.line + 1}")
    if start.line != end.line:
        raise _NoWayError(f"the value at line {start.line + 1} takes several lines")
    space = " " if start.index == end.index and not text[: start.index].endswith(" ") else ""
    return text[: start.index] + space + new + text[end.index :]


def _insert(text: str, node: yaml.MappingNode, path: tuple[str, ...], value: Any) -> str:
    inner = _yaml(value) if len(path) == 1 else _nested(path[1:], value)
    entry = f"{_yaml(path[0])}: {inner}"
    if node.flow_style:
        at = text.rindex("}", 0, node.end_mark.index)
        return text[:at] + (", " if node.value else "") + entry + text[at:]
    indent = " " * node.value[0][0].start_mark.column
    at = text.find("\n", _end(node.value[-1][1]).index)
    head, tail = (text, "") if at < 0 else (text[:at], text[at:])
    return f"{head}\n{indent}{entry}{tail}"


def _end(node: yaml.Node) -> yaml.Mark:
    """Where a node's last character stands: a block's own end mark lies at the next token."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        return node.end_mark
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)
