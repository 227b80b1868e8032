"""Hydra's and OmegaConf's failures in the words of the spec, with a place. They stop at the first mistake."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ftspec.compose.given import Given, unknown_option
from ftspec.compose.scan import Node
from ftspec.compose.session import Session
from ftspec.compose.sites import COMMAND_LINE, merged_files
from ftspec.compose.sources import Loaded
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import GROUPS

_NOISE = (
    "Config search path",
    "Search path",
    "See http",
    "full_key:",
    "object_type=",
    "provider=",
    "Available options",
)
_TWICE = re.compile(r"Multiple values for (?P<group>\S+)\. To override a value use 'override (?P<entry>[^']*)'")
_MERGED = re.compile(r"Error merging override [+~]*(?P<key>[^=\s]+)=")
_QUOTED = re.compile(r"'([^']+)'")


def of_hydra(error: Exception, session: Session, given: Sequence[Given] = (), groups: Sequence[str] = ()) -> Problem:
    """Word and place a failure: on the command line, at an entry of a defaults list, or at the experiment's top.

    Hydra's search path, folders of this machine, is left out.
    """
    top = f"experiments/{session.name}.yaml"
    if isinstance(error, RecursionError):
        return _circle(session, top)
    if isinstance(error.__cause__, IndexError) and (merged := _MERGED.search(str(error))):
        key = merged["key"]
        place = (COMMAND_LINE,) if any(one.key == key for one in given) else (top, 1, 1)
        return Problem("unknown_key", "names an item that its list does not have", key).at(*place)
    missing = str(getattr(error, "missing_cfg_file", "") or "")
    if missing:
        return _missing(missing, session, top)
    said = _said(error).replace("invalid literal for int() with base 10:", "a list stands above, which has no key")
    if "Cannot merge" in said:
        clash = _clash(session, groups)
        if clash:
            return clash
    if twice := _TWICE.search(said):
        return _written_twice(twice["group"], twice["entry"], session, top)
    for one in given:
        if one.text in said or f"'{one.key}'" in said:
            return _of_override(said, one)
    fix = next(iter(re.findall(r"(?:To append|Did you mean)[^\n]*", said)), "")
    problem = Problem("compose", said.replace(fix, "").strip(), fix=fix[:1].lower() + fix[1:])
    words = set(_QUOTED.findall(said)) - {session.name}
    for file, nodes in _entries(session):
        for node in nodes:
            if _name(node) in words:
                if "No match in the defaults list" in said or "No earlier Group Default" in said:
                    known = session.snapshot.groups()
                    return replace(
                        unknown_group(_name(node), known), file=file.shown, line=node.line, column=node.column
                    )
                return problem.at(file.shown, node.line, node.column)
    return problem.at(top, 1, 1)


def unknown_group(name: str, known: Sequence[str]) -> Problem:
    """Word that a defaults list overrides a group that is not there."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}? " if near and near[0] != name else ""
    return Problem("unknown_option", f"no group {name!r} to override", fix=f"{hint}known: {', '.join(known)}")


def _missing(missing: str, session: Session, top: str) -> Problem:
    group, _, option = missing.rpartition("/")
    if group:
        problem = unknown_option(group, option, session.snapshot.options(group))
    else:
        known = session.snapshot.roots()
        problem = replace(
            unknown_option("conf", option, known), message=f"there is no configuration {option!r}", path=""
        )
    for file, nodes in _entries(session):
        names = [_name(node) for node in nodes]
        beside = file.path.rpartition("/")[0] == group  # in its own group an option names another without it
        if option in names and (not group or beside or group in names):
            node = nodes[names.index(option)]
            return problem.at(file.shown, node.line, node.column)
    return problem.at(top, 1, 1)


def _circle(session: Session, top: str) -> Problem:
    """Word that files name each other in their defaults lists, at the entry that closes the circle."""
    edges: dict[str, list[tuple[str, Loaded, Node]]] = {}
    for file, item in _items(session):
        edges.setdefault(file.path, []).extend((path, file, node) for path, node in _named(file, item))
    trail: list[str] = []

    def walk(path: str) -> Problem | None:
        trail.append(path)
        for below, file, node in edges.get(path, ()):
            if below in trail:
                said = " -> ".join(one.removesuffix(".yaml") for one in (*trail[trail.index(below) :], below))
                message = f"the defaults lists go in a circle: {said}"
                return Problem("defaults", message, "defaults").at(file.shown, node.line, node.column)
            if found := walk(below):
                return found
        trail.pop()
        return None

    found = walk(f"{session.name}.yaml")
    return found or Problem("defaults", "the defaults lists go in a circle", "defaults", top, 1, 1)


def _named(file: Loaded, item: Node) -> Iterator[tuple[str, Node]]:
    """Yield the files that an entry of a defaults list names; in a group, names are those of the group."""
    group = file.path.rpartition("/")[0]
    pairs = item.value if item.kind == "map" else [(None, item)]
    for key, value in pairs:
        into = _name(key).lstrip("/") if key is not None else ""
        for node in value.value if value.kind == "list" else [value]:
            parts = (group, into, _name(node))
            if parts[-1] != "_self_":
                yield "/".join(part for part in parts if part) + ".yaml", node


def _written_twice(group: str, entry: str, session: Session, top: str) -> Problem:
    """Word that a defaults list chooses for a group that another list has chosen for already."""
    message = f"a choice for {group} stands in a defaults list before this one"
    problem = Problem("compose", message, fix=f"write `override {entry}` to replace it")
    name, _, option = (part.strip() for part in entry.partition(":"))
    for file, item in _items(session):
        for key, value in item.value if item.kind == "map" else ():
            *words, last = str(key.value).split()
            if "override" not in words and last.lstrip("/") == name and _name(value) == option:
                return problem.at(file.shown, key.line, key.column)
    return problem.at(top, 1, 1)


def _of_override(said: str, one: Given) -> Problem:
    fix = ""
    if "Could not override" in said and isinstance(one.value, dict):
        fix = f"it would be merged into the old value: give ~{one.key} first, then +{one.text.lstrip('+')}"
    elif "No match in the defaults list" in said:
        fix = f"add it: +{one.text}"
    said = re.sub(r"\s*(To append|Did you mean).*", "", said, flags=re.DOTALL).rstrip(".")
    return Problem("compose", said, one.key, COMMAND_LINE, fix=fix)


def _said(error: Exception) -> str:
    cause = error.__cause__ if not str(error).strip() and error.__cause__ is not None else error
    kept = []
    for line in str(cause).splitlines():
        if line.strip().startswith(_NOISE):
            break
        if line.strip():
            kept.append(line.strip())
    return " ".join(kept)[:500] or type(error).__name__


def _entries(session: Session) -> Iterator[tuple[Loaded, list[Node]]]:
    """Yield the names in each entry of each defaults list that was read, the experiment's own file first."""
    for file, item in _items(session):
        nodes = [node for pair in item.value for node in pair] if item.kind == "map" else [item]
        yield file, [inner for node in nodes for inner in (node.value if node.kind == "list" else [node])]


def _items(session: Session) -> Iterator[tuple[Loaded, Node]]:
    """Yield each item of each defaults list that was read, the experiment's own file first."""
    for file in session.snapshot.loaded.values():
        root = file.document.root if file.document is not None else None
        defaults = root.entry("defaults") if root is not None else None
        for item in defaults.value if defaults is not None else ():
            yield file, item


def _name(node: Node) -> str:
    words = str(node.value).split()
    return words[-1] if words else ""


def _clash(session: Session, groups: Sequence[str]) -> Problem | None:
    """Find the key that is keys and values in one file and a list in a later one, or the other way round."""
    kinds: dict[tuple[str | int, ...], tuple[str, str]] = {}
    try:
        files = merged_files(session, groups)
    except session.errors:
        return None
    for loaded, package in files:
        if loaded.document is None:
            continue
        if package and loaded.document.root is not None:
            kinds[package] = ("map", f"{loaded.shown}:1")
        for path, node, value in loaded.document.entries():
            at, kind = (*package, *path), value.kind
            before = kinds.get(at)
            if before is not None and {before[0], kind} == {"map", "list"}:
                words = {"map": "keys and values", "list": "a list"}
                message = f"must be {words[before[0]]}, as in {before[1]}, not {words[kind]}"
                dotted = ".".join(map(str, at))
                fix = f"choose it in the defaults list: override {dotted}: [...]" if dotted in GROUPS else ""
                return Problem("invalid_value", message, dotted, loaded.shown, node.line, node.column, fix=fix)
            kinds[at] = (kind, f"{loaded.shown}:{node.line}")
    return None
