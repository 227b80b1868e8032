"""A suite out of a run's own evidence: its spelt-out copy, and the items that were stored with it."""

from pathlib import Path

import yaml

from ftspec.evals.scores import Scores
from ftspec.evals.suites import ResolvedSuite, resolve
from ftspec.runs.directory import RunDirectory
from ftspec.spec.errors import DataError
from ftspec.spec.suite import Suite
from ftspec.storage import BlobStore


class _Stored:
    """A part of a run's data, as it was stored."""

    def __init__(self, role: str, path: Path) -> None:
        self.role, self.path = role, path


def stored_suite(run: RunDirectory, folder: Path, stored: Scores, store: Path) -> ResolvedSuite | None:
    """Resolve the suite of a folder of scores; None where its items are in the blob store no more."""
    name, blobs = stored.suite, BlobStore(store)
    suite = Suite.model_validate(yaml.safe_load((folder / "suite.yaml").read_text("utf-8"))[name])
    train = _Stored("train", run.path / "data" / "train.jsonl")
    if suite.data.path is None:
        items = _held_out(run, suite.data.part or "test", blobs)
        return resolve(name, suite, items=items, train=train) if items is not None else None
    if (path := _intact(blobs, stored.items_file)) is None:
        return None
    data = suite.data.model_copy(update={"path": path.relative_to(store).as_posix()})
    return resolve(name, suite.model_copy(update={"data": data}), train=train, root=store)


def _held_out(run: RunDirectory, part: str, blobs: BlobStore) -> _Stored | None:
    if part == "validation":
        valid = run.path / "data" / "valid.jsonl"
        return _Stored("valid", valid) if valid.is_file() else None
    path = _intact(blobs, (run.facts["data"].get("test") or {}).get("sha256"))
    return _Stored("test", path) if path is not None else None


def _intact(blobs: BlobStore, sha256: str | None) -> Path | None:
    """Where a blob lies, None where it is gone or was altered."""
    if sha256 is None:
        return None
    try:
        blobs.read(sha256)
    except DataError:
        return None
    return blobs.path(sha256)
