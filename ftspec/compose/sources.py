"""Configuration files as read once: layers in search order, their bytes, and what the scan found in them.

What is composed, hashed, scanned and quoted in errors is the same bytes, even while somebody edits a file.
"""

import errno
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ftspec.compose.composed import ConfigFile
from ftspec.compose.project import Project, builtin_conf
from ftspec.compose.scan import MAX_BYTES, Document, scan_further
from ftspec.spec.errors import Problem, StorageError

MAX_TEXT_BYTES = 1024 * 1024


class Tree(Protocol):
    """A folder to read from: on disk, or at one git revision. Paths are relative and use `/`."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Return a file's bytes (at most `limit` + 1 of them), or None where there is no such file."""

    def list(self, folder: str) -> list[str] | None:
        """Return sorted names, those of folders with a trailing `/`; None where there is no such folder."""


@dataclass(frozen=True)
class Disk:
    """A folder on this machine."""

    root: Path

    def read(self, path: str, limit: int) -> bytes | None:
        """Read a file. Raises StorageError when it may not be read."""
        try:
            with (self.root / path).open("rb") as file:
                return file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
            return None
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                return None
            raise StorageError("unreadable", f"cannot read: {error.strerror}", file=str(self.root / path)) from error

    def list(self, folder: str) -> list[str] | None:
        """List a folder."""
        try:
            found = list((self.root / folder).iterdir())
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return sorted(path.name + "/" if path.is_dir() else path.name for path in found)

    def inside(self, path: str) -> bool:
        """Tell whether a path, links followed, stays in this folder."""
        return (self.root / path).resolve().is_relative_to(self.root.resolve())


@dataclass(frozen=True)
class Layer:
    """One entry of Hydra's search path; `shown` is put before a file's path in messages and records."""

    name: str
    tree: Tree
    shown: str


@dataclass
class Loaded:
    """One configuration file: its bytes are composed, `document` knows the place of each value."""

    shown: str
    layer: str
    path: str
    text: str
    sha256: str
    document: Document | None
    problems: tuple[Problem, ...]
    left_out: set[tuple[int, int | None]] = field(default_factory=set)
    """Entries of its defaults list, or options of an entry, that name nothing: composing goes on without them."""
    holes: tuple[tuple[str | int, ...], ...] = ()
    """Keys that were taken out of a refused file so that the rest is looked at; `document` is then what is left."""

    def refuse(self, problem: Problem) -> None:
        """Add a problem that only composing found."""
        self.document = None
        self.problems = (*self.problems, problem)

    @property
    def refused(self) -> bool:
        """Whether composing this file would be unsafe or impossible."""
        return self.document is None


@dataclass
class Snapshot:
    """Everything that composing one experiment reads. Holds no open file; one thread at a time."""

    layers: tuple[Layer, ...]
    root: Tree
    loaded: dict[tuple[str, str], Loaded] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    listings: dict[tuple[str, str], list[str] | None] = field(default_factory=dict)
    on_load: Callable[[Loaded], None] | None = None

    @classmethod
    def of(cls, project: Project) -> "Snapshot":
        """Layers of a project on disk: its experiments, its `conf/`, the built-in `conf/` (unless that is the same)."""
        layers = [Layer("experiments", Disk(project.experiments), "experiments/")]
        layers.append(Layer("conf", Disk(project.conf), "conf/"))
        builtin = builtin_conf()
        if builtin != project.conf.resolve():
            layers.append(Layer("builtin", Disk(builtin), "conf:"))
        return cls(tuple(layers), Disk(project.root))

    def layer(self, name: str) -> Layer:
        """Return a layer by its name."""
        return next(layer for layer in self.layers if layer.name == name)

    def entries(self, layer: str, folder: str) -> list[str] | None:
        """List a folder of a layer, once."""
        key = (layer, folder)
        if key not in self.listings:
            self.listings[key] = self.layer(layer).tree.list(folder)
        return self.listings[key]

    def has(self, layer: str, path: str) -> bool:
        """Tell whether a layer holds a file."""
        folder, _, name = path.rpartition("/")
        return name in (self.entries(layer, folder) or ())

    def load(self, layer: str, path: str) -> Loaded | None:
        """Read and scan a YAML file of a layer, once. None where there is none."""
        key = (layer, path)
        if key not in self.loaded:
            where = self.layer(layer)
            content = where.tree.read(path, MAX_BYTES)
            if content is None:
                return None
            self.loaded[key] = self._scanned(where, path, content)
        return self.loaded[key]

    def _scanned(self, layer: Layer, path: str, content: bytes) -> Loaded:
        shown = layer.shown + path
        stem = path.removesuffix(".yaml")
        document, text, problems, left = scan_further(content, shown, stem, layer.name == "experiments")
        loaded = Loaded(shown, layer.name, path, text, hashlib.sha256(content).hexdigest(), document, tuple(problems))
        if left is not None:
            loaded.document, loaded.holes = left.document, left.holes
        return loaded

    def text(self, path: str) -> bytes | None:
        """Read a file named by `{file: path}`, once. None where there is none; at most 1 MiB and one byte."""
        if path not in self.texts:
            content = self.root.read(path, MAX_TEXT_BYTES)
            if content is None:
                return None
            self.texts[path] = content
        return self.texts[path]

    def files(self) -> tuple[ConfigFile, ...]:
        """Return all files read so far: configuration in search order of their folders, then texts."""
        order = {layer.name: number for number, layer in enumerate(self.layers)}
        configs = sorted(self.loaded.values(), key=lambda file: (order[file.layer], file.path))
        texts = [ConfigFile(path, hashlib.sha256(content).hexdigest()) for path, content in sorted(self.texts.items())]
        return (*(ConfigFile(file.shown, file.sha256) for file in configs), *texts)

    def options(self, group: str) -> list[str]:
        """Return the options of a configuration group in all layers."""
        found = set()
        for layer in self.layers[1:]:
            for name in self.entries(layer.name, group) or ():
                if name.endswith(".yaml"):
                    found.add(name.removesuffix(".yaml"))
        return sorted(found)

    def roots(self) -> list[str]:
        """Return what a defaults list can name without a group: base configurations and experiments."""
        entries = [name for layer in self.layers for name in self.entries(layer.name, "") or ()]
        return sorted({name.removesuffix(".yaml") for name in entries if name.endswith(".yaml")})

    def is_nested(self, group: str, option: str) -> bool:
        """Tell whether an option lies in a folder of its group (`group=folder/option`)."""
        return "/" in option and any(self.has(layer.name, f"{group}/{option}.yaml") for layer in self.layers[1:])

    def groups(self) -> list[str]:
        """Return the configuration groups: the folders of `conf/`."""
        found = {
            name.rstrip("/")
            for layer in self.layers[1:]
            for name in self.entries(layer.name, "") or ()
            if name.endswith("/")
        }
        return sorted(found)
