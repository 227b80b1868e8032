"""Which files an experiment can read, found without composing: an over-approximation that never misses one.

Two revisions in which these files have the same bytes compose to the same runs, so `diff` need not compose them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ftspec.compose.project import builtin_conf
from ftspec.compose.revision import FOLDERS, Revision
from ftspec.compose.scan import MAX_BYTES, Document, Node, scan
from ftspec.spec.errors import Problem

_REFERENCE = re.compile(r"\$\{[^}]*\}")
_MAX_PATH = 512

Scanned = tuple[Document | None, tuple[Problem, ...]]


@dataclass
class Scans:
    """Scans of configuration files, once per content and name, shared by both revisions."""

    known: dict[tuple[str, str], Scanned] = field(default_factory=dict)
    built_in: dict[str, Document | None] = field(default_factory=dict)

    def of(self, path: str, oid: str, read: Callable[[], bytes]) -> Scanned:
        """Return the document of a file and what the scan found; None where it is refused."""
        key = (path, oid)
        if key not in self.known:
            layer, _, inner = path.partition("/")
            document, _, problems = scan(read(), path, inner.removesuffix(".yaml"), layer == "experiments")
            self.known[key] = document, tuple(problems)
        return self.known[key]

    def builtin(self, inner: str) -> Document | None:
        """Return a built-in block, None where there is none."""
        if inner not in self.built_in:
            self.built_in[inner] = self._builtin(builtin_conf() / inner, inner)
        return self.built_in[inner]

    def _builtin(self, file: Path, inner: str) -> Document | None:
        if not file.is_file():
            return None
        return self.of(f"conf:/{inner}", "", lambda: file.read_bytes()[: MAX_BYTES + 1])[0]


@dataclass(frozen=True)
class Closure:
    """Files that decide what an experiment means. `blobs` maps path to blob id, None where a file could appear.

    `documents` are those of the revision and of the built-in blocks in the order in which later ones win less; each
    with the group whose content it holds (empty for experiments and base configurations).
    """

    blobs: dict[str, str | None]
    named: tuple[str, ...]
    documents: tuple[tuple[str, str, Document], ...]


@dataclass
class Closures:
    """Finds the closures of one revision's experiments."""

    revision: Revision
    scans: Scans
    read: Callable[[str], bytes]

    def __post_init__(self) -> None:
        self._groups: dict[str, list[str]] = {}
        for path in self.revision.files:
            parts = path.split("/")
            if parts[0] == "conf" and len(parts) > 2 and path.endswith(".yaml"):
                self._groups.setdefault("/".join(parts[1:-1]), []).append(path)
        builtin = builtin_conf()
        self._builtin_groups = {entry.name for entry in builtin.iterdir() if entry.is_dir()}
        self._patterns: dict[str, tuple[str, ...]] = {}

    def document(self, path: str) -> Document | None:
        """Return the scanned document of one of the revision's files."""
        oid = self.revision.oid(path)
        return self.scans.of(path, oid, lambda: self.read(path))[0] if oid else None

    def problems(self, path: str) -> tuple[Problem, ...]:
        """Return what the scan found in a file."""
        oid = self.revision.oid(path)
        return self.scans.of(path, oid, lambda: self.read(path))[1] if oid else ()

    def of(self, name: str) -> Closure:
        """Return the closure of an experiment."""
        walk = _Walk(self)
        walk.visit(f"experiments/{name}.yaml", "", "")
        for kind in ("lock.json", "rows"):
            walk.note(f"experiments/{name}.{kind}")
        return Closure(walk.blobs, tuple(sorted(walk.named)), tuple(walk.documents))

    def options(self, group: str) -> list[str]:
        """Return the revision's own files of a group."""
        return self._groups.get(group, [])

    def is_group(self, key: str) -> bool:
        """Tell whether a key names a folder of `conf/`, the project's or the built-in one."""
        return key in self._groups or key in self._builtin_groups

    def matches(self, text: str) -> tuple[str, ...]:
        """Return the files of the revision that a text may name: a path, a glob, a path with references."""
        if text not in self._patterns:
            self._patterns[text] = tuple(self._matches(text))
        return self._patterns[text]

    def _matches(self, text: str) -> Iterator[str]:
        for piece in {text, *(part.strip().strip("'\"()[]{}") for part in re.split(r"[,:\s]", text))}:
            if not piece or "{{" in piece:
                continue
            if self.revision.has(piece):
                yield piece
            elif any(mark in piece for mark in ("*", "?", "[", "${")):
                pattern = _REFERENCE.sub("*", piece)
                if set(pattern) - set("*?"):
                    yield from self.revision.matching(pattern)
                elif len(_REFERENCE.findall(piece)) > 1:  # a path put together out of references alone
                    yield from (path for path in self.revision.files if path.partition("/")[0] not in FOLDERS)


@dataclass
class _Walk:
    closures: Closures
    blobs: dict[str, str | None] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    documents: list[tuple[str, str, Document]] = field(default_factory=list)

    def note(self, path: str) -> str | None:
        """Record a file, or that there is none."""
        if path not in self.blobs:
            self.blobs[path] = self.closures.revision.oid(path)
        return self.blobs[path]

    def visit(self, path: str, builtin: str, group: str) -> None:
        """Walk one configuration file: the revision's own, else the built-in block of that name."""
        if path in self.blobs:
            return
        if self.note(path) is not None:
            document = self.closures.document(path)
        else:
            document = self.closures.scans.builtin(builtin) if builtin else None
            path = f"conf:{builtin}"
        if document is None or document.root is None:
            return
        self.documents.append((path, group, document))
        defaults = document.root.entry("defaults")
        for entry in reversed(defaults.value) if defaults is not None and defaults.kind == "list" else ():
            self._default(entry, group)
        self._values(document.root)

    def _default(self, entry: Node, group: str) -> None:
        if entry.kind == "text":
            name = entry.value.lstrip("/")
            if name != "_self_":
                if not group:
                    self.visit(f"experiments/{name}.yaml", "", "")
                inner = f"{group}/{name}.yaml" if group else f"{name}.yaml"
                self.visit(f"conf/{inner}", inner, group)
                if group:
                    self.visit(f"conf/{name}.yaml", f"{name}.yaml", name.rpartition("/")[0])
            return
        for key, option in entry.value if entry.kind == "map" else ():
            into = key.value.rpartition(" ")[2].strip("/")
            into = f"{group}/{into}" if group else into
            for one in option.value if option.kind == "list" else [option]:
                if one.kind == "text":
                    self.visit(f"conf/{into}/{one.value}.yaml", f"{into}/{one.value}.yaml", into)

    def _values(self, node: Node) -> None:
        if node.kind == "text":
            if 0 < len(node.value) <= _MAX_PATH:
                for path in self.closures.matches(node.value):
                    self.named.add(path)
                    self.note(path)
        elif node.kind == "list":
            for item in node.value:
                self._values(item)
        else:
            for key, value in node.value:
                if key.value == "defaults":
                    continue
                if self.closures.is_group(key.value) and value.kind != "map":
                    self._axis(key.value, value)
                self._values(value)

    def _axis(self, group: str, value: Node) -> None:
        """An axis over a group may choose any of its options: all of the project's, and built-in ones by name."""
        for path in self.closures.options(group):
            self.visit(path, "", group)
        text = (
            " ".join(item.value for item in value.value if item.kind == "text") if value.kind == "list" else value.value
        )
        for name in re.findall(r"[A-Za-z0-9_-]+", text):
            inner = f"{group}/{name}.yaml"
            if (builtin_conf() / inner).is_file():
                self.visit(f"conf/{inner}", inner, group)
