"""One git revision, or the working tree, read as data: no checkout, no filter, no hook, no attribute, no network.

Blobs come out of `git ls-tree` and one `git cat-file --batch`. `git archive` and worktrees obey files of the revision
itself (`.gitattributes`, filters, links), so they are not used (notes of gitattributes(5), git-archive(1)).
"""

import hashlib
import os
import re
import stat
import subprocess
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import translate
from pathlib import Path, PurePosixPath
from typing import IO

from ftspec.compose.scan import MAX_BYTES
from ftspec.spec.errors import DataError, Problem, UnsafeError, UsageError

WORKTREE = "WORKTREE"
FOLDERS = ("conf", "experiments", ".ftspec")
MACHINERY = (".github", ".gitlab-ci.yml", "action.yml")  # at the repository's top
MAX_DATA_BYTES = 256 * 1024 * 1024
MAX_LINE_BYTES = 1024 * 1024
MAX_CONFIGURATION_BYTES = 16 * 1024 * 1024  # YAML files of one revision together
MAX_FILES = 200_000
LFS = b"version https://git-lfs.github.com/spec/v1\n"

_READ = re.compile(r".*\.(yaml|yml|lock\.json|results\.json|rows)")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_REGULAR = ("100644", "100755")
_SAFE = ("-c", "protocol.allow=never", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_ENVIRONMENT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


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
            self._hashed[path] = _blob_id(self.disk / path, self.hash)
        return self._hashed[path]

    def matching(self, pattern: str) -> Iterator[str]:
        """Yield the files that a glob may mean; in the working tree those too that git ignores."""
        found = re.compile(translate(pattern))
        yield from (path for path in self.files if found.match(path))
        if self.disk is not None and _inside(pattern):
            with suppress(ValueError, NotImplementedError):  # what is no glob for pathlib is none for a data source
                yield from (p.relative_to(self.disk).as_posix() for p in self.disk.glob(pattern) if p.is_file())

    def has(self, path: str) -> bool:
        """Tell whether there is such a file; in the working tree also one that git ignores."""
        return path in self.files or (self.disk is not None and _inside(path) and (self.disk / path).is_file())


def _blob_id(path: Path, algorithm: str) -> str:
    size = path.stat().st_size
    state = hashlib.new(algorithm, b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and "\0" not in path and bool(pure.parts)


class Repository:
    """A git repository and the project inside it; `prefix` is the project's folder below the top, `` or `a/b/`."""

    def __init__(self, top: Path, prefix: str) -> None:
        self.top, self.prefix = top, prefix

    @classmethod
    def find(cls, root: Path) -> "Repository":
        """Return the repository that holds a project. Raises UsageError `no_repository` or `no_git`."""
        done = _git(root, "rev-parse", "--show-toplevel", "--show-prefix")
        if done.returncode:
            raise UsageError("no_repository", f"{root} lies in no git repository", fix="git init, or change to one")
        top, prefix = done.stdout.decode("utf-8", "surrogateescape").split("\n")[:2]
        return cls(Path(top), prefix)

    @property
    def project(self) -> Path:
        """The project's folder on disk."""
        return self.top / self.prefix

    def resolve(self, name: str) -> str:
        """Return the commit that a revision means. An option is never taken for one. Raises UsageError."""
        done = None
        if name and len(name) <= 256 and name.isprintable() and not name.startswith("-"):
            done = _git(self.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        found = done.stdout.decode("ascii", "replace").strip() if done is not None and not done.returncode else ""
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", found):
            fix = "name a branch, a tag or a commit; `git fetch` gets those of others"
            raise UsageError("unknown_revision", f"{printable(name)!r} names no commit here", fix=fix)
        return found

    def main_branch(self) -> str:
        """Return the first that exists of origin/HEAD, origin/main, origin/master, main, master. Raises UsageError."""
        for name in ("origin/HEAD", "origin/main", "origin/master", "main", "master"):
            try:
                self.resolve(name)
            except UsageError:
                continue
            return name
        fix = "say what to compare with: ftspec diff BASE"
        raise UsageError("no_main_branch", "found no main branch (origin/HEAD, main or master)", fix=fix)

    def merge_base(self, one: str, other: str) -> str:
        """Return the commit where two lines of work parted. Raises UsageError, with the remedy in a shallow clone."""
        done = _git(self.top, "merge-base", one, other)
        found = done.stdout.decode("ascii", "replace").split()
        if found:
            return found[0]
        shallow = _git(self.top, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
        if shallow:
            fix = "fetch the whole history: `git fetch --unshallow`, or `fetch-depth: 0` in actions/checkout"
            raise UsageError("shallow", "this clone is shallow: where the two revisions parted is not in it", fix=fix)
        fix = "compare them as they are: --exact"
        raise UsageError("no_merge_base", "the two revisions have no common ancestor", fix=fix)

    def at(self, name: str) -> Revision:
        """List a revision, or `WORKTREE`. Raises UsageError for an unknown one, UnsafeError for what may not be."""
        revision = self._worktree() if name == WORKTREE else self._commit(name)
        check_names(revision)
        return revision

    def _commit(self, name: str) -> Revision:
        commit = self.resolve(name)
        tree = _git(self.top, "rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}").stdout.decode().strip()
        files = dict(self._listed(commit, *([self.prefix, *MACHINERY] if self.prefix else [])))
        if len(files) > MAX_FILES:
            raise UnsafeError("limit", f"{commit[:12]} holds more than {MAX_FILES:,} files below the project's folder")
        inside = {path.removeprefix(self.prefix): e for path, e in files.items() if path.startswith(self.prefix)}
        machinery = {path: entry.oid for path, entry in files.items() if not path.startswith(self.prefix)}
        return Revision(commit[:12], commit, tree, inside, machinery=machinery)

    def _listed(self, commit: str, *paths: str) -> Iterator[tuple[str, Entry]]:
        done = _git(self.top, "ls-tree", "-rz", "--full-tree", commit, "--", *paths)
        if done.returncode:
            raise DataError("git", f"git ls-tree failed: {printable(done.stderr.decode('utf-8', 'replace'))}")
        for record in done.stdout.split(b"\0"):
            if record:
                head, _, path = record.partition(b"\t")
                mode, _, oid = head.decode("ascii").split(" ")
                yield path.decode("utf-8", "surrogateescape"), Entry(mode, oid)

    def only(self, commit: str, path: str) -> Revision:
        """Return a commit as if it held one file of the project, or none where it has no such file."""
        entries = [entry for _, entry in self._listed(commit, f"{self.prefix}{path}")]
        return Revision(commit[:12], commit, "", {path: entries[0]} if entries else {})

    def _worktree(self) -> Revision:
        done = _git(self.project, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = {name.decode("utf-8", "surrogateescape") for name in done.stdout.split(b"\0") if name}
        for folder in FOLDERS:  # what git ignores there composes all the same
            names |= {path.relative_to(self.project).as_posix() for path in _walk(self.project / folder)}
        files = {}
        for name in sorted(names):
            mode = _mode(self.project / name)
            if mode:
                files[name] = Entry(mode, "")
        kind = _git(self.top, "rev-parse", "--show-object-format").stdout.decode("ascii", "replace").strip() or "sha1"
        machinery = {}
        if self.prefix:
            asked = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *MACHINERY)
            found = (name.decode("utf-8", "surrogateescape") for name in _git(self.top, *asked).stdout.split(b"\0"))
            machinery = {
                name: _blob_id(self.top / name, kind) for name in found if name and (self.top / name).is_file()
            }
        return Revision("working tree", None, "", files, self.project, kind, machinery)

    def held(self) -> set[str]:
        """Return the project's files that git tracks as they are, or will with the next `git add`; LFS keeps others."""
        listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = set(_git(self.project, *listed).stdout.split(b"\0"))
        names -= set(_git(self.project, *listed, ":(attr:filter=lfs)").stdout.split(b"\0"))
        return {name.decode("utf-8", "surrogateescape") for name in names if name}

    @contextmanager
    def blobs(self) -> Iterator["Blobs"]:
        """Open the one process that hands out blobs of every revision."""
        process = subprocess.Popen(
            ["git", *_SAFE, "cat-file", "--batch"],
            cwd=self.top,
            env=os.environ | _ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Blobs(self, process)
        finally:
            process.kill()
            process.communicate()


class Blobs:
    """Reads blobs of one repository; their sizes are asked for first, so that nothing too large is ever read."""

    def __init__(self, repository: Repository, process: "subprocess.Popen[bytes]") -> None:
        self._repository, self._process = repository, process
        self._sizes: dict[str, int] = {}
        self._small: dict[str, bytes] = {}

    def measure(self, oids: Iterable[str]) -> None:
        """Learn the sizes of blobs in one call. Raises DataError where one is missing (a partial clone)."""
        wanted = sorted({oid for oid in oids if oid and oid not in self._sizes})
        if not wanted:
            return
        done = _git(self._repository.top, "cat-file", "--batch-check", stdin="".join(f"{o}\n" for o in wanted).encode())
        for oid, line in zip(wanted, done.stdout.decode("ascii", "replace").splitlines(), strict=False):
            found = line.split(" ")
            if len(found) == 3 and found[1] == "blob":
                self._sizes[oid] = int(found[2])
        if any(oid not in self._sizes for oid in wanted):
            fix = "this is a partial clone: fetch it whole, `git fetch --refetch --no-filter`"
            raise DataError("no_blob", "files of this revision are not in the clone, and nothing is fetched", fix=fix)

    def size(self, revision: Revision, path: str) -> int:
        """Return the size of a file in bytes."""
        entry = revision.files.get(path)
        if entry is None or not entry.oid:
            assert revision.disk is not None
            return (revision.disk / path).stat().st_size
        self.measure([entry.oid])
        return self._sizes[entry.oid]

    def read(self, revision: Revision, path: str, limit: int = MAX_BYTES) -> bytes:
        """Return a small file. Raises UnsafeError before reading one larger than `limit`."""
        if self.size(revision, path) > limit:
            raise too_large(path, limit)
        entry = revision.files.get(path)
        if entry is None or not entry.oid:
            assert revision.disk is not None
            return (revision.disk / path).read_bytes()
        if entry.oid not in self._small:
            self._small[entry.oid] = b"".join(self._stream(entry.oid))
        return self._small[entry.oid]

    def copy(self, revision: Revision, path: str, target: IO[bytes], limit: int, line: int | None) -> None:
        """Copy a data file block by block. Raises UnsafeError for one that is too large or has a line that is."""
        if self.size(revision, path) > limit:
            raise too_large(path, limit)
        entry = revision.files.get(path)
        blocks = self._stream(entry.oid) if entry is not None and entry.oid else _blocks(revision, path)
        check = _Lines(path, limit, line) if line is not None else None
        for block in blocks:
            if check is not None:
                check.see(block)
            target.write(block)

    def _stream(self, oid: str) -> Iterator[bytes]:
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answered is not None
        asked.write(f"{oid}\n".encode())
        asked.flush()
        head = answered.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise DataError("no_blob", f"git cannot read the object {oid}")
        left = int(head[2])
        while left:
            block = answered.read(min(left, 1 << 20))
            if not block:
                raise DataError("no_blob", f"git stopped inside the object {oid}")
            left -= len(block)
            yield block
        answered.read(1)


class _Lines:
    """Bounds the lines of a data file while it is copied, and what comes out of a gzip file, which no size tells."""

    def __init__(self, path: str, most: int, line: int) -> None:
        self._path, self._most, self._line = path, most, line
        self._gzip = zlib.decompressobj(wbits=31) if path.endswith(".gz") else None
        self._tail = self._total = 0

    def see(self, block: bytes) -> None:
        """Look at the next block. Raises UnsafeError; broken gzip is left to its reader."""
        if self._gzip is None:
            self._count(block)
            return
        while block:
            try:
                self._count(self._gzip.decompress(block, 1 << 20))
            except zlib.error:
                return
            block = self._gzip.unconsumed_tail
            if self._gzip.eof:
                block = self._gzip.unused_data
                self._gzip = zlib.decompressobj(wbits=31)

    def _count(self, block: bytes) -> None:
        first, *rest = block.split(b"\n")
        self._total += len(block)
        self._tail += len(first)
        longest = max([self._tail, *map(len, rest)])
        self._tail = len(rest[-1]) if rest else self._tail
        if longest > self._line:
            raise UnsafeError("limit", f"{printable(self._path)} holds a line of more than {self._line >> 10} KiB")
        if self._total > self._most:
            raise too_large(self._path, self._most)


def _blocks(revision: Revision, path: str) -> Iterator[bytes]:
    assert revision.disk is not None
    with (revision.disk / path).open("rb") as stream:
        while block := stream.read(1 << 20):
            yield block


def too_large(path: str, limit: int) -> UnsafeError:
    """Word that a file is over its limit."""
    return UnsafeError("limit", f"larger than {limit >> 10:,} KiB", file=printable(path))


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
        if entry.mode not in _REGULAR:
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


def check_size(revision: Revision, blobs: "Blobs") -> None:
    """Refuse more configuration than anybody writes, before it is read. Raises UnsafeError."""
    paths = [path for path in composing_files(revision) if path.endswith((".yaml", ".yml"))]
    if sum(blobs.size(revision, path) for path in paths) > MAX_CONFIGURATION_BYTES:
        message = f"{len(paths):,} configuration files hold more than {MAX_CONFIGURATION_BYTES >> 20} MiB"
        raise UnsafeError("limit", message)


def write_private(
    revision: Revision, paths: Iterable[str], blobs: Blobs, folder: Path, *, untrusted: bool = False
) -> dict[str, str]:
    """Write files of a revision into a folder of mode 0700 that composes as a project.

    Returns the sha256 of each file that is an LFS pointer: its rows are not in git, so nothing is written for it.
    Raises UnsafeError for a link, a path that leaves the folder, or a file over the limits.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pointers: dict[str, str] = {}
    for path in paths:
        if not _inside(path) or not _is_plain(revision, path, untrusted):
            shown = printable(path)
            raise UnsafeError("link", f"{shown} is no plain file", file=shown, fix="commit the file itself")
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = blobs.size(revision, path)
        if size < 1024 and (found := _pointer(blobs.read(revision, path))):
            pointers[path] = found
            continue
        with _open_new(target) as stream:
            if path.partition("/")[0] in FOLDERS and not path.endswith(".rows"):
                stream.write(blobs.read(revision, path, MAX_BYTES if path.endswith((".yaml", ".yml")) else 64 << 20))
            else:
                blobs.copy(
                    revision, path, stream, MAX_DATA_BYTES, MAX_LINE_BYTES if _is_lines(path, untrusted) else None
                )
    return pointers


def _is_plain(revision: Revision, path: str, untrusted: bool) -> bool:
    """Tell whether a path is a file itself. In the reader's own working tree a link is as good, unless `untrusted`."""
    if revision.disk is None:
        return revision.files[path].mode in _REGULAR
    real = revision.disk / path
    return not untrusted or real.resolve() == revision.disk.resolve() / path


def _is_lines(path: str, untrusted: bool) -> bool:
    return untrusted and not path.endswith((".rows", ".parquet", ".zst"))


def _open_new(target: Path) -> IO[bytes]:
    return os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600), "wb")


def _pointer(content: bytes) -> str | None:
    """Return the sha256 that an LFS pointer names (git-lfs specification), None for any other file."""
    if not content.startswith(LFS):
        return None
    found = re.search(rb"^oid sha256:([0-9a-f]{64})$", content, re.MULTILINE)
    return found[1].decode() if found else None


def _git(folder: Path, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(
            ["git", *_SAFE, *arguments],
            cwd=folder,
            env=os.environ | _ENVIRONMENT,
            input=stdin,
            capture_output=True,
            timeout=120,
        )
    except FileNotFoundError as error:
        raise UsageError("no_git", "git is not installed", fix="install git 2.30 or newer") from error


def _walk(folder: Path) -> Iterator[Path]:
    if not folder.is_dir() or folder.is_symlink():
        if folder.is_symlink():
            yield folder
        return
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)
        else:
            yield path


def _mode(path: Path) -> str:
    try:
        found = path.lstat().st_mode
    except OSError:
        return ""
    if stat.S_ISLNK(found):
        return "120000"
    if stat.S_ISREG(found):
        return "100755" if found & stat.S_IXUSR else "100644"
    return "160000" if stat.S_ISDIR(found) else "000000"


def printable(text: str) -> str:
    """Write what is not printable, and bytes of names that are no UTF-8, as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
