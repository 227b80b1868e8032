"""One YAML file as nodes that know their place: what errors and `compose --where` point at."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any


@dataclass(slots=True)
class Node:
    """A value with its place. `value` is a text, a list of nodes, or a list of (key node, node) pairs."""

    kind: str
    line: int
    column: int
    value: Any
    plain: bool = False
    flow: bool = False

    def entry(self, key: str) -> "Node | None":
        """Return the value of a key of a mapping."""
        if self.kind == "map":
            for name, node in self.value:
                if name.value == key:
                    found: Node = node
                    return found
        return None


@dataclass(slots=True)
class Document:
    """The nodes of one file; `root` is None for an empty one."""

    root: Node | None

    def top(self) -> list[Node]:
        """Return the key nodes at the top."""
        return [key for key, _ in self.root.value] if self.root is not None and self.root.kind == "map" else []

    def entries(self) -> Iterator[tuple[tuple[str | int, ...], Node, Node]]:
        """Yield (path, key node, value node) of each key, those below lists left out."""
        if self.root is not None:
            yield from _entries(self.root, ())

    def marks(self) -> Iterator[tuple[tuple[str | int, ...], Node, bool]]:
        """Yield (path, node whose place names it, value is a list) of each key and list item, outermost first."""
        if self.root is not None:
            yield from _marks(self.root, ())


@dataclass(frozen=True, slots=True)
class Mended:
    """A document without some of its keys; `holes` are their paths."""

    document: Document
    holes: tuple[tuple[str | int, ...], ...]


def without(root: Node, places: Collection[tuple[int, int]]) -> Mended:
    """Return a document without the keys and list items that stand at these lines and columns."""
    holes: list[tuple[str | int, ...]] = []

    def kept(node: Node, at: tuple[str | int, ...]) -> Node:
        if node.kind == "map":
            pairs = []
            for key, value in node.value:
                if (key.line, key.column) in places:
                    holes.append((*at, str(key.value)))
                else:
                    pairs.append((key, kept(value, (*at, key.value))))
            return replace(node, value=pairs)
        if node.kind == "list":
            items = [item for item in node.value if (item.line, item.column) not in places]
            if len(items) < len(node.value):
                holes.append(at)
            return replace(node, value=[kept(item, (*at, number)) for number, item in enumerate(items)])
        return node

    return Mended(Document(kept(root, ())), tuple(holes))


def _entries(node: Node, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Node, Node]]:
    if node.kind == "map":
        for key, value in node.value:
            yield (*at, key.value), key, value
            yield from _entries(value, (*at, key.value))


def _marks(node: Node, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Node, bool]]:
    if node.kind == "map":
        for key, value in node.value:
            yield (*at, key.value), key, value.kind == "list"
            yield from _marks(value, (*at, key.value))
    elif node.kind == "list":
        for number, value in enumerate(node.value):
            yield (*at, number), value, value.kind == "list"
            yield from _marks(value, (*at, number))
