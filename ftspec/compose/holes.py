"""Composing goes on past what is not there: an entry of a defaults list that names nothing, a file that cannot be read.

What such an entry or file would have set is a hole: nothing is said of it that may only follow from its absence.
"""

from difflib import get_close_matches

from ftspec.compose.document import Node
from ftspec.compose.session import Session
from ftspec.compose.sources import Loaded
from ftspec.spec.errors import Problem

Path = tuple[str | int, ...]


def leave_out(session: Session, problem: Problem) -> list[Path] | None:
    """Leave the entry that a problem stands at out of its defaults list and return its holes; None where it is none.

    A name without a group is a whole configuration: what would be missing without it is not known.
    """
    loaded = next((file for file in session.snapshot.loaded.values() if file.shown == problem.file), None)
    root = loaded.document.root if loaded is not None and loaded.document is not None else None
    defaults = root.entry("defaults") if root is not None else None
    if loaded is None or defaults is None:
        return None
    for number, item in enumerate(defaults.value):
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
    return None


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


def of_refused(session: Session, refused: list[Loaded]) -> list[Path] | None:
    """Return the holes that refused files leave, None where anything may be missing."""
    holes: list[Path] = []
    for file in refused:
        group, _, name = file.path.removesuffix(".yaml").rpartition("/")
        if file.layer == "experiments" or not group:
            return None
        holes += _set_by(session, group, name)
    return holes
