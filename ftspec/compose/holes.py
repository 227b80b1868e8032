"""Composing goes on past what is not there: an entry of a defaults list that names nothing, a file that cannot be read.

What such an entry or file would have set is a hole: nothing is said of it that may only follow from its absence.
"""

from difflib import get_close_matches

from ftspec.compose.document import Node, without
from ftspec.compose.session import Session
from ftspec.compose.sources import Loaded
from ftspec.spec.errors import Problem

Path = tuple[str | int, ...]


def leave_out(session: Session, problem: Problem) -> list[Path] | None:
    """Leave out the entry of a defaults list, or the key, that a problem stands at and return its holes; None for none.

    A name without a group is a whole configuration: what would be missing without it is not known.
    """
    loaded = next((file for file in session.snapshot.loaded.values() if file.shown == problem.file), None)
    root = loaded.document.root if loaded is not None and loaded.document is not None else None
    if loaded is None or root is None or (problem.line, problem.column) == (1, 1):  # the top stands for anywhere
        return None
    defaults = root.entry("defaults")
    for number, item in enumerate(defaults.value if defaults is not None else ()):
        if item.kind != "map" or not item.value:
            continue
        key, value = item.value[0]
        for option, node in enumerate(value.value if value.kind == "list" else [value]):
            if _stands_at(node, problem):
                loaded.left_out.add((number, option if value.kind == "list" else None))
                return _set_by(session, _group(key), str(node.value))
        if _stands_at(key, problem):
            loaded.left_out.add((number, None))
            return [hole for name in _alike(session, _group(key)) for hole in _set_by(session, name, "")]
    left = without(root, {(problem.line, problem.column)})
    if not left.holes or left.holes[0][0] == "defaults":
        return None
    loaded.document, loaded.holes = left.document, (*loaded.holes, *left.holes)
    return [(*_package(loaded), *hole) for hole in left.holes]


def _stands_at(node: Node, problem: Problem) -> bool:
    return (node.line, node.column) == (problem.line, problem.column)


def _group(key: Node) -> str:
    return str(key.value).split()[-1].strip("/")


def _alike(session: Session, name: str) -> list[str]:
    return get_close_matches(name, session.snapshot.groups(), n=1) or session.snapshot.groups()


def _set_by(session: Session, group: str, option: str) -> list[Path]:
    """Return what an option of a group sets: its group, of a suite only the suite."""
    if group == "evals" and option:
        return [("evals", option)]
    return [tuple(group.split("/"))]


def _package(file: Loaded) -> Path:
    """Return where the content of a file lands."""
    group = file.path.rpartition("/")[0]
    return () if file.layer == "experiments" or not group else tuple(group.split("/"))


def of_files(session: Session) -> list[Path] | None:
    """Return the holes that refused files leave, None where anything may be missing."""
    holes: list[Path] = []
    for file in session.snapshot.loaded.values():
        group, _, name = file.path.removesuffix(".yaml").rpartition("/")
        if file.refused and not _package(file):
            return None
        holes += _set_by(session, group, name) if file.refused else [(*_package(file), *hole) for hole in file.holes]
    return holes
