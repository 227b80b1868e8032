"""What one git revision, or the working tree, holds: names, modes and blob ids, and which of them may be composed."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path, PurePosixPath

from ftspec.spec.errors import Problem, UnsafeError

WORKTREE = "WORKTREE"
FOLDERS = ("conf", "experiments", ".ftspec")
REGULAR = ("100644", "100755")

_READ = re.compile(r".*\.(yaml|yml|lock\.json|results\.json|rows)")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Entry:
    """A file of a revision: its git mode and blob id. A file of the working tree gets its id when it is asked for."""

    mode: str
    oid: str


@dataclass
class Revision:
    """What a revision holds below the project's folder; paths are relative to the project and use `/`.

    `commit` is None for the working tree, `tree` the id of the whole tree there is, or empty. `hash` names blobs of the
    working tree. `machinery` maps files at the repository's top that drive CI to their blob ids.
    """

    shown: str
    commit: str | None
    tree: str
    files: Mapping[str, Entry]
    disk: Path | None = None
    hash: str = "sha1"
    machinery: Mapping[str, str] = field(default_factory=dict)
    _hashed: dict[str, str] = field(default_factory=dict)

    def oid(self, path: str) -> str | None:
        """Return the blob id of a file, None where there is none."""
        entry = self.files.get(path)
        if entry is None:
            return self._disk_oid(path) if self.disk is not None and (self.disk / path).is_file() else None
        return entry.oid or self._disk_oid(path)

    def _disk_oid(self, path: str) -> str:
        assert self.disk is not None
        if path not in self._hashed:
            self._hashed[path] = blob_id(self.disk / path, self.hash)
        return self._hashed[path]

    def matching(self, pattern: str) -> Iterator[str]:
        """Yield the files that a glob may mean; in the working tree those too that git ignores."""
        found = re.compile(translate(pattern))
        yield from (path for path in self.files if found.match(path))
        if self.disk is not None and is_inside(pattern):
            with suppress(ValueError, NotImplementedError):  # what is no glob for pathlib is none for a data source
                yield from (p.relative_to(self.disk).as_posix() for p in self.disk.glob(pattern) if p.is_file())

    def has(self, path: str) -> bool:
        """Tell whether there is such a file; in the working tree also one that git ignores."""
        return path in self.files or (self.disk is not None and is_inside(path) and (self.disk / path).is_file())


def blob_id(path: Path, algorithm: str) -> str:
    """Return the id git gives a file as it lies on disk; `algorithm` is `sha1` or `sha256`."""
    size = path.stat().st_size
    state = hashlib.new(algorithm, b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def is_inside(path: str) -> bool:
    """Tell whether a relative path stays in its folder."""
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and "\0" not in path and bool(pure.parts)


def check_names(revision: Revision) -> None:
    """Refuse links, submodules and names that could mean two files in the folders that are composed.

    Raises UnsafeError with all of them.
    """
    problems: list[Problem] = []
    folded: dict[str, str] = {}
    for path, entry in revision.files.items():
        if path.partition("/")[0] not in FOLDERS:
            continue
        shown = printable(path)
        if entry.mode not in REGULAR:
            kind = {"120000": "a symbolic link", "160000": "a submodule"}.get(entry.mode, f"of mode {entry.mode}")
            problems.append(Problem("link", f"{shown} is {kind}", file=shown, fix="commit the file itself"))
            continue
        if not _READ.fullmatch(path.rpartition("/")[2]):
            continue
        if not all(_SEGMENT.fullmatch(part) and part not in (".", "..") for part in path.split("/")):
            fix = "names here are letters, digits and ._-"
            problems.append(Problem("name", f"{shown} cannot be the name of a file here", file=shown, fix=fix))
        other = folded.setdefault(path.casefold(), path)
        if other != path:
            message = f"{shown} and {printable(other)} are one file on some systems"
            problems.append(Problem("name", message, file=shown, fix="rename one of them"))
    if problems:
        raise UnsafeError.many(problems)


def composing_files(revision: Revision) -> list[str]:
    """Return the configuration files of a revision, with the machine-written files beside the experiments."""
    return [
        path
        for path in revision.files
        if path.partition("/")[0] in FOLDERS and _READ.fullmatch(path.rpartition("/")[2])
    ]


def printable(text: str) -> str:
    """Write what is not printable, and bytes of names that are no UTF-8, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
