"""A project as it was: its files put together in a temporary folder from a run's own evidence, or from a git revision.

Runs, blobs and the embedded server's state stay those of the project that asks.
"""

import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from ftspec.compose import Project
from ftspec.compose.blobs import MAX_DATA_BYTES
from ftspec.compose.repository import Repository
from ftspec.compose.revision import Revision
from ftspec.runs.directory import RunDirectory, scored_blobs
from ftspec.runs.environment import git_state
from ftspec.spec.digests import short
from ftspec.spec.errors import DataError, FtspecError, UsageError
from ftspec.storage import BlobStore, sha256_file

BUILT_IN = "conf:"
_REGULAR = ("100644", "100755")


@dataclass(frozen=True)
class Elsewhere(Project):
    """A project whose files lie in a temporary folder, and whose runs are those of `home`. `git` is what it was."""

    home: Path = field(default=Path())
    git: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> Path:
        """The run directories of the project that asks."""
        return self.home / "runs"


def git_facts(project: Project) -> dict[str, Any]:
    """Return commit and state of the files that a project composes from."""
    return dict(project.git) if isinstance(project, Elsewhere) else git_state(project.root)


class GoneError(Exception):
    """Something that a reproduction needs is not there any more. `since` is a day, or empty where nobody knows."""

    def __init__(self, what: str, since: str = "") -> None:
        super().__init__(what)
        self.what, self.since = what, since


@contextmanager
def of_run(project: Project, run: RunDirectory) -> Iterator[Elsewhere]:
    """Put together what a run was composed of: configuration and items from the blob store, data from project or git.

    Raises GoneError naming a file that is nowhere with its bytes.
    """
    facts = run.facts
    blobs = BlobStore(project.store)
    with tempfile.TemporaryDirectory(prefix="ftspec-reproduce-") as folder:
        root = Path(folder)
        (root / "experiments").mkdir()
        (root / "conf").mkdir()
        for file in facts["configs"]:
            if not file["path"].startswith(BUILT_IN):
                _write(root, file["path"], _blob(blobs, file["path"], file["sha256"]))
        searched = _Searched(project, (facts.get("git") or {}).get("commit"))
        for source in facts["sources"]:
            searched.copy(source["path"], source["sha256"], root)
        kept = {file["path"]: file["sha256"] for file in facts.get("items") or ()}
        for path in _suite_files(run):
            if (root / path).exists():
                continue
            if path in kept and blobs.has(kept[path]):
                _write(root, path, _blob(blobs, path, kept[path]))
            else:  # runs of the first weeks kept no items
                searched.copy(path, kept.get(path), root)
        yield Elsewhere(root, home=project.root, git=facts.get("git") or {"commit": None})


@contextmanager
def of_revision(project: Project, revision: str | None, outside: Mapping[str, str]) -> Iterator[Elsewhere]:
    """Put together a git revision (None: the files as they are). `outside` maps data paths of the lock to sha256.

    Data that git does not hold is taken from the project where its bytes are the locked ones. Raises GoneError for
    one that is not, UsageError for an unknown revision or without a repository.
    """
    if revision is None:
        yield Elsewhere(project.root, home=project.root, git=git_state(project.root))
        return
    with tempfile.TemporaryDirectory(prefix="ftspec-reproduce-") as folder:
        root = Path(folder)
        repository = Repository.find(project.root)
        found = repository.at(revision)
        _export(repository, found, root)
        searched = _Searched(project, None)
        for path, sha256 in outside.items():
            if not (root / path).is_file():
                searched.copy(path, sha256, root)
        yield Elsewhere(root, home=project.root, git={"commit": found.commit, "dirty": False})


def file_at(project: Project, revision: str | None, path: str) -> bytes | None:
    """Return a small file of a revision, or of the project as it is; None where there is none."""
    if revision is None:
        try:
            return (project.root / path).read_bytes()
        except FileNotFoundError:
            return None
    repository = Repository.find(project.root)
    found = repository.at(revision)
    if path not in found.files:
        return None
    with repository.blobs() as blobs:
        return blobs.read(found, path, MAX_DATA_BYTES)


def _export(repository: Repository, revision: Revision, root: Path) -> None:
    """Write the regular files of a revision; links, submodules and what lies under runs/ stay out."""
    with repository.blobs() as blobs:
        blobs.measure(entry.oid for entry in revision.files.values() if entry.mode in _REGULAR)
        for path, entry in revision.files.items():
            if entry.mode not in _REGULAR or path.startswith("runs/") or blobs.size(revision, path) > MAX_DATA_BYTES:
                continue
            target = _target(root, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                blobs.copy(revision, path, stream, MAX_DATA_BYTES, None)
    for name in ("experiments", "conf"):
        (root / name).mkdir(exist_ok=True)


def _target(root: Path, path: str) -> Path:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise DataError("path_outside", f"{path!r} leads out of the project")
    return root / path


def _write(root: Path, path: str, content: bytes) -> None:
    target = _target(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _blob(blobs: BlobStore, path: str, sha256: str) -> bytes:
    try:
        return blobs.read(sha256)
    except DataError as error:
        raise GoneError(f"{path}: {error.problems[0].message}") from error


def bring_items(there: Elsewhere, project: Project, config: Mapping[str, Any], kept: Mapping[str, str]) -> None:
    """Copy the item files that a configuration's suites name and that git does not hold: the project's, or `kept` ones.

    Their bytes are checked by the eval digest. Raises GoneError for one that is nowhere.
    """
    searched, blobs = _Searched(project, None), BlobStore(project.store)
    for path in _item_files(config):
        if (there.root / path).exists():
            continue
        if path in kept and not (project.root / path).is_file() and blobs.has(kept[path]):
            _write(there.root, path, _blob(blobs, path, kept[path]))
        else:
            searched.copy(path, None, there.root)


def kept_items(run: RunDirectory, evals: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield path in the project and hex sha256 of item files that a run kept for its suites of these `eval` digests."""
    for digest in evals:
        for folder in run.path.glob(f"evals/*.{short(digest)}"):
            for sha256 in scored_blobs(folder):
                suite = yaml.safe_load((folder / "suite.yaml").read_text("utf-8"))
                yield next(iter(suite.values()))["data"]["path"], sha256


def _suite_files(run: RunDirectory) -> Iterable[str]:
    return _item_files(yaml.safe_load((run.path / "config.yaml").read_text("utf-8")) or {})


def _item_files(config: Mapping[str, Any]) -> Iterable[str]:
    """The item files that suites name."""
    for suite in (config.get("evals") or {}).values():
        if path := ((suite or {}).get("data") or {}).get("path"):
            yield path


class _Searched:
    """Looks for data: in the project, then in the commit that the run was made from."""

    def __init__(self, project: Project, commit: str | None) -> None:
        self.project, self.commit = project, commit

    def copy(self, path: str, sha256: str | None, root: Path) -> None:
        """Copy a data file into `root`. Raises GoneError where it is nowhere with these bytes."""
        target = _target(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        here = self.project.root / path
        found = sha256_file(here) if here.is_file() else None
        if found is not None and sha256 in (None, found):
            shutil.copyfile(here, target)
            return
        if self._from_git(path, sha256, target):
            return
        if found is None:
            raise GoneError(f"{path} is gone" + (f" (sha256 {sha256[:12]})" if sha256 else ""), self._since(path))
        assert sha256 is not None
        raise GoneError(
            f"{path} has other bytes: sha256 {found[:12]}, not {sha256[:12]}, and git does not hold the old ones",
            self._since(path),
        )

    def _from_git(self, path: str, sha256: str | None, target: Path) -> bool:
        if self.commit is None:
            return False
        try:
            repository = Repository.find(self.project.root)
            revision = repository.at(self.commit)
            if path not in revision.files:
                return False
            with repository.blobs() as blobs, target.open("wb") as stream:
                blobs.copy(revision, path, stream, MAX_DATA_BYTES, None)
        except (UsageError, FtspecError):
            return False
        return sha256 in (None, sha256_file(target))

    def _since(self, path: str) -> str:
        """The day a file was last written, which is the latest day on which it can have been the old one."""
        try:
            changed = (self.project.root / path).stat().st_mtime
        except OSError:
            return ""
        return datetime.fromtimestamp(changed, UTC).date().isoformat()
