"""The line that set a value, out of scanned files alone: nothing is composed for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from ftspec.compose.closure import Closure
from ftspec.compose.scan import Node

Path = tuple[str | int, ...]
_MOST_LINES = 500  # that may differ: what finds the lines in between takes their number squared


@dataclass(frozen=True)
class Places:
    """Looks values up in the files of one experiment; files in `changed` are preferred."""

    closure: Closure
    changed: frozenset[str]

    def of(self, path: Path) -> str:
        """Return `file:line` of a value or of the nearest key above it; the file it reads where that one changed."""
        found = list(self._found(path))
        best = max((depth for depth, *_ in found), default=0)
        deepest = [entry for entry in found if entry[0] == best] if best else []
        deepest.sort(key=lambda entry: entry[1] not in self.changed)
        for _, file, node, value in deepest:
            if value is not None:
                for name in self.closure.named:
                    if name in self.changed and _names(value, name):
                        return name
            return f"{file}:{node.line}"
        return ""

    def writes(self, path: Path) -> bool:
        """Tell whether a file names this very value, rather than a key above it."""
        return any(depth == len(path) for depth, *_ in self._found(path))

    def _found(self, path: Path) -> list[tuple[int, str, Node, Node | None]]:
        found: list[tuple[int, str, Node, Node | None]] = []
        for file, group, document in self.closure.documents:
            if document.root is None:
                continue
            inner = path
            if group and group != "evals":
                if path[: len(group.split("/"))] != tuple(group.split("/")):
                    continue
                inner = path[len(group.split("/")) :]
                skipped = len(path) - len(inner)
            elif group == "evals":
                if path[:1] != ("evals",):
                    continue
                inner, skipped = path[1:], 1
            else:
                skipped = 0
                axis = _axis(document.root, path)
                if axis is not None:
                    found.append((len(path), file, axis, None))
            depth, key, value = _deepest(document.root, inner)
            if key is not None:
                found.append((depth + skipped, file, key, value))
        return found


def _deepest(node: Node, path: Path) -> tuple[int, Node | None, Node | None]:
    key: Node | None = None
    value: Node | None = node
    depth = 0
    for part in path:
        if value is not None and value.kind == "map":
            pair = next(((k, v) for k, v in value.value if k.value == part), None)
            if pair is None:
                break
            key, value = pair
        elif value is not None and value.kind == "list" and isinstance(part, int) and part < len(value.value):
            key = value = value.value[part]
        else:
            break
        depth += 1
    return depth, key, value


def _axis(root: Node, path: Path) -> Node | None:
    """Return the key of the sweep axis that sets a value or something above it."""
    sweep = root.entry("sweep")
    grid = sweep.entry("grid") if sweep is not None else None
    dotted = ".".join(map(str, path))
    for key, _ in grid.value if grid is not None and grid.kind == "map" else ():
        if f"{dotted}.".startswith(f"{key.value}."):
            found: Node = key
            return found
    return None


def _names(value: Node, name: str) -> bool:
    if value.kind == "text":
        return bool(value.value == name)
    if value.kind == "list":
        return any(_names(item, name) for item in value.value)
    return any(_names(item, name) for _, item in value.value)


def changed_files(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> frozenset[str]:
    """Return the files of two closures whose bytes differ."""
    return frozenset(path for path in {*old, *new} if old.get(path) != new.get(path))


def touched(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Iterator[str]:
    """Yield `file:line` of what differs in some files of two revisions, a file alone where lines say nothing."""
    for path in sorted({*old, *new}):
        if path not in new:
            yield f"{path} (removed)"
        elif path not in old:
            yield f"{path} (new)"
        elif path.endswith((".yaml", ".md", ".txt")):
            lines = (
                old[path].decode("utf-8", "replace").splitlines(),
                new[path].decode("utf-8", "replace").splitlines(),
            )
            yield ", ".join(_lines(path, *lines))
        else:
            yield path


def _lines(path: str, old: list[str], new: list[str]) -> Iterator[str]:
    """Yield the changed lines of a file, as they are numbered in the new one."""
    first, last = 0, 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    one, other = old[first : len(old) - last], new[first : len(new) - last]
    if len(one) + len(other) > _MOST_LINES:
        spans = [(0, len(other))]
    else:
        codes = SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
        spans = [(start, end) for kind, _, _, start, end in codes if kind != "equal"]
    for start, end in spans:
        begin, stop = first + start + 1, first + end
        yield f"{path}:{begin}" + (f"-{stop}" if stop > begin else "")
