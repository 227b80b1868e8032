"""A git repository, read as data: no checkout, no filter, no hook, no attribute, no network.

Listings come out of `git ls-tree`, blobs out of one `git cat-file --batch`. `git archive` and worktrees obey files of
the revision itself (`.gitattributes`, filters, links), so they are not used (gitattributes(5), git-archive(1)).
"""

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftspec.compose.blobs import Blobs
from ftspec.compose.git import ENVIRONMENT, SAFE, git
from ftspec.compose.revision import FOLDERS, WORKTREE, Entry, Revision, blob_id, check_names, printable
from ftspec.spec.errors import DataError, UnsafeError, UsageError

MACHINERY = (".github", ".gitlab-ci.yml", "action.yml")  # at the repository's top
MAX_FILES = 200_000


class Repository:
    """A git repository and the project inside it; `prefix` is the project's folder below the top, `` or `a/b/`."""

    def __init__(self, top: Path, prefix: str) -> None:
        self.top, self.prefix = top, prefix

    @classmethod
    def find(cls, root: Path) -> "Repository":
        """Return the repository that holds a project. Raises UsageError `no_repository` or `no_git`."""
        done = git(root, "rev-parse", "--show-toplevel", "--show-prefix")
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
            done = git(self.top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
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
        done = git(self.top, "merge-base", one, other)
        found = done.stdout.decode("ascii", "replace").split()
        if found:
            return found[0]
        shallow = git(self.top, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
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
        tree = git(self.top, "rev-parse", "--verify", "--quiet", f"{commit}^{{tree}}").stdout.decode().strip()
        files = dict(self._listed(commit, *([self.prefix, *MACHINERY] if self.prefix else [])))
        if len(files) > MAX_FILES:
            raise UnsafeError("limit", f"{commit[:12]} holds more than {MAX_FILES:,} files below the project's folder")
        inside = {path.removeprefix(self.prefix): e for path, e in files.items() if path.startswith(self.prefix)}
        machinery = {path: entry.oid for path, entry in files.items() if not path.startswith(self.prefix)}
        return Revision(commit[:12], commit, tree, inside, machinery=machinery)

    def _listed(self, commit: str, *paths: str) -> Iterator[tuple[str, Entry]]:
        done = git(self.top, "ls-tree", "-rz", "--full-tree", commit, "--", *paths)
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
        done = git(self.project, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = {name.decode("utf-8", "surrogateescape") for name in done.stdout.split(b"\0") if name}
        for folder in FOLDERS:  # what git ignores there composes all the same
            names |= {path.relative_to(self.project).as_posix() for path in _walk(self.project / folder)}
        files = {}
        for name in sorted(names):
            mode = _mode(self.project / name)
            if mode:
                files[name] = Entry(mode, "")
        kind = git(self.top, "rev-parse", "--show-object-format").stdout.decode("ascii", "replace").strip() or "sha1"
        machinery = {}
        if self.prefix:
            asked = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *MACHINERY)
            found = (name.decode("utf-8", "surrogateescape") for name in git(self.top, *asked).stdout.split(b"\0"))
            machinery = {name: blob_id(self.top / name, kind) for name in found if name and (self.top / name).is_file()}
        return Revision("working tree", None, "", files, self.project, kind, machinery)

    def held(self) -> set[str]:
        """Return the project's files that git tracks as they are, or will with the next `git add`; LFS keeps others."""
        listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = set(git(self.project, *listed).stdout.split(b"\0"))
        names -= set(git(self.project, *listed, ":(attr:filter=lfs)").stdout.split(b"\0"))
        return {name.decode("utf-8", "surrogateescape") for name in names if name}

    @contextmanager
    def blobs(self) -> Iterator[Blobs]:
        """Open the one process that hands out blobs of every revision."""
        process = subprocess.Popen(
            ["git", *SAFE, "cat-file", "--batch"],
            cwd=self.top,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Blobs(self.top, process)
        finally:
            process.kill()
            process.communicate()


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
