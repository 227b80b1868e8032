"""Which file and line set each value: files in merge order, then points of the sweep, then the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ftspec.compose.session import Session
from ftspec.compose.sources import Loaded
from ftspec.spec.errors import COMMAND_LINE as COMMAND_LINE

Path = tuple[str | int, ...]

BUILT_IN = "built in"


@dataclass(frozen=True)
class Place:
    """A place in a file; line and column count from 1, 0 means unknown."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Site:
    """One value of the resolved experiment and where it was set.

    `file` is relative to the project, `conf:...` for a built-in block, `command line`, or `built in` for a default of
    the schema that no file names.
    """

    path: str
    value: Any
    file: str
    line: int = 0
    column: int = 0

    @property
    def site(self) -> str:
        """`file:line:column`, as far as known."""
        return ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])


Table = dict[Path, Place]


def merged_files(session: Session, groups: Sequence[str]) -> list[tuple[Loaded, Path]]:
    """Return the files of a composition and where their content lands, in the order of merging."""
    found: list[tuple[Loaded, Path]] = []
    for config_path, package in session.merge_order(groups):
        if config_path.startswith("hydra/"):
            continue
        for layer in session.snapshot.layers:
            if session.snapshot.has(layer.name, f"{config_path}.yaml"):
                loaded = session.snapshot.load(layer.name, f"{config_path}.yaml")
                if loaded is not None:
                    found.append((loaded, tuple(package.split(".")) if package else ()))
                break
    return found


def file_table(session: Session, groups: Sequence[str]) -> Table:
    """Return the place of each key and list item; a later file wins, and lists are replaced whole, never merged."""
    table: Table = {}
    for loaded, package in merged_files(session, groups):
        if loaded.document is None:
            continue
        for path, node, is_list in loaded.document.marks():
            if path[0] == "defaults":
                continue
            at = (*package, *path)
            if is_list:
                for old in [known for known in table if known[: len(at)] == at]:
                    del table[old]
            table[at] = Place(loaded.shown, node.line, node.column)
    return table


def nearest(table: Table, path: Path) -> Place | None:
    """Return the place of a path, or of the nearest key above it."""
    while path and path not in table:
        path = path[:-1]
    return table.get(path)
