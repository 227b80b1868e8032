"""One run directory: `runs/<experiment>/<label>.<train12>/`, found by its digest, never by its label."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.runs.seal import is_sealed
from ftspec.spec.digests import short
from ftspec.spec.errors import DataError, StorageError
from ftspec.storage import BlobStore, FileLock, read_json, write_atomic
from ftspec.storage.files import sync_folder

SCHEMA = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
SEALED_WITH_ATTEMPT = ("config.yaml", "run.json", ".hydra/config.yaml", ".hydra/overrides.yaml")


@dataclass(frozen=True)
class Attempt:
    """One try at a training: `attempts/NNN`. Failed ones are sealed too; a reproduction is a new one."""

    path: Path

    @property
    def number(self) -> int:
        """Its number, from 1."""
        return int(self.path.name)

    @property
    def sealed(self) -> bool:
        """Whether it ended and was sealed."""
        return is_sealed(self.path)

    @property
    def results(self) -> dict[str, Any]:
        """What it ended with. Raises DataError while there is none."""
        try:
            results: dict[str, Any] = read_json(self.path / "results.json")
        except FileNotFoundError as error:
            raise DataError("unsealed", f"attempt {self.path.name} has no results yet", file=str(self.path)) from error
        return results

    @property
    def succeeded(self) -> bool:
        """Whether it is sealed with a trained model."""
        return self.sealed and self.results.get("outcome") == "succeeded"


@dataclass(frozen=True)
class RunDirectory:
    """A run's folder on disk; `path` is all it holds, the files are the truth."""

    path: Path

    @property
    def facts(self) -> dict[str, Any]:
        """The contents of run.json: point, digests, how it was composed.

        Raises DataError `broken_file`, or `newer_version` for a schema that only a newer ftspec reads.
        """
        path = self.path / "run.json"
        facts: dict[str, Any] = read_json(path)
        schema = facts.get("schema") if isinstance(facts, dict) else None
        if not isinstance(schema, int) or isinstance(schema, bool):
            raise DataError("broken_file", "it has no schema number", file=str(path))
        if schema > SCHEMA:
            message = f"written by a newer version (schema {schema}, this one reads up to {SCHEMA})"
            raise DataError("newer_version", message, file=str(path), fix="install that version of ftspec")
        return facts

    @property
    def experiment(self) -> str:
        """Name of the experiment that first planned the run."""
        return self.path.parent.name

    @property
    def label(self) -> str:
        """The sweep point as people read it."""
        return self.path.name.rpartition(".")[0]

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first."""
        folder = self.path / "attempts"
        if not folder.is_dir():
            return []
        return [Attempt(p) for p in sorted(folder.iterdir()) if p.name.isdigit() and p.is_dir()]

    def finished(self) -> Attempt | None:
        """The first attempt that is sealed with a model: plain `run` does nothing where there is one."""
        return next((attempt for attempt in self.attempts() if attempt.succeeded), None)

    def original(self) -> Attempt | None:
        """The first finished attempt that is no reproduction; where all are, the first of them."""
        done = [attempt for attempt in self.attempts() if attempt.succeeded]
        return next((attempt for attempt in done if not attempt.results.get("reproduces")), done[0] if done else None)

    def open_attempt(self, *, fresh: bool = False) -> Attempt:
        """Resume the newest unsealed attempt, or claim the next number by mkdir. `fresh` never resumes."""
        existing = self.attempts()
        if existing and not existing[-1].sealed and not fresh:
            return existing[-1]
        number = existing[-1].number + 1 if existing else 1
        while True:
            path = self.path / "attempts" / f"{number:03d}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                number += 1
            except OSError as error:
                raise StorageError.of(error, path) from error
            else:
                sync_folder(path.parent)
                return Attempt(path)

    def point_latest(self, attempt: Attempt) -> None:
        """Make `latest` name the attempt; where links fail the README says it, and nothing else depends on it."""
        temporary = self.path / f".latest.{os.getpid()}.{os.urandom(4).hex()}"
        with suppress(OSError):
            temporary.symlink_to(f"attempts/{attempt.path.name}")
            os.replace(temporary, self.path / "latest")

    def sealed_outside(self) -> list[str]:
        """The files above an attempt that its seal covers, relative to the attempt."""
        names = [name for name in SEALED_WITH_ATTEMPT if (self.path / name).is_file()]
        data = self.path / "data"
        names += [f"data/{p.name}" for p in sorted(data.iterdir())] if data.is_dir() else []
        return [f"../../{name}" for name in names]

    def evals(self, suite: str, eval_digest: str, attempt: Attempt) -> Path:
        """Folder of a suite's scores; later attempts get their own, so that no score is ever overwritten."""
        name = f"{suite}.{short(eval_digest)}"
        return self.path / "evals" / (name if attempt.number == 1 else f"{name}.{attempt.path.name}")

    def sealed_evals(self, attempt: Attempt) -> list[Path]:
        """The folders of all sealed scores of an attempt, in name order."""
        folder = self.path / "evals"
        number = None if attempt.number == 1 else attempt.path.name
        found = [path for path in sorted(folder.iterdir()) if is_sealed(path)] if folder.is_dir() else []
        return [p for p in found if (p.name.count(".") == 1 and number is None) or p.name.rpartition(".")[2] == number]


@dataclass(frozen=True)
class NewRun:
    """Everything a run directory holds before its first attempt."""

    experiment: str
    label: str
    facts: Mapping[str, Any]
    readme: str
    config: str
    hydra_config: str
    overrides: str
    data: Mapping[str, str]


def run_directories(runs: Path) -> Iterator[RunDirectory]:
    """All complete run directories below `runs/`, in name order; foreign and half-written folders are passed over."""
    if not runs.is_dir():
        return
    for experiment in sorted(runs.iterdir()):
        if experiment.name.startswith(".") or not experiment.is_dir():
            continue
        for path in sorted(experiment.iterdir()):
            if path.name != "baselines" and not path.name.startswith(".") and (path / "run.json").is_file():
                yield RunDirectory(path)


class Catalog:
    """The run directories below `runs/` by digest: folder names are listed once, run.json is read on a hit only.

    A listing is a snapshot; `find_run` looks afresh.
    """

    def __init__(self, runs: Path) -> None:
        self._paths: dict[str, list[Path]] = {}
        for experiment in sorted(runs.iterdir()) if runs.is_dir() else []:
            if experiment.name.startswith(".") or not experiment.is_dir():
                continue
            for name in sorted(os.listdir(experiment)):
                if not name.startswith(".") and name != "baselines":
                    self._paths.setdefault(name.rpartition(".")[2], []).append(experiment / name)

    def find(self, train: str) -> RunDirectory | None:
        """Find a run by its full `train` digest, in whichever experiment it was first planned.

        Raises DataError where a folder of that name was written by a newer version.
        """
        for path in self._paths.get(short(train), ()):
            try:
                if RunDirectory(path).facts["digests"]["train"] == train:
                    return RunDirectory(path)
            except DataError as error:
                if error.code == "newer_version":  # it may well be this training: never done twice unseen
                    raise
            except (OSError, KeyError, TypeError):
                continue
        return None

    def named(self, train12: str) -> RunDirectory | None:
        """Find a run by the twelve hex that its folder ends in."""
        return next((RunDirectory(p) for p in self._paths.get(train12, ()) if (p / "run.json").is_file()), None)


def find_run(runs: Path, train: str) -> RunDirectory | None:
    """Find one run by its `train` digest on the disk as it is now."""
    return Catalog(runs).find(train)


def create_run(runs: Path, blobs: BlobStore, new: NewRun) -> RunDirectory:
    """Write a run directory in one step: built under a temp name, renamed. Losing a race means using the winner's."""
    train = new.facts["digests"]["train"]
    if (existing := find_run(runs, train)) is not None:
        return existing
    target = runs / new.experiment / f"{new.label}.{short(train)}"
    building = target.with_name(f".{target.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        (building / ".hydra").mkdir(parents=True)
        write_atomic(building / "README.md", new.readme)
        write_atomic(building / "config.yaml", new.config)
        write_atomic(building / ".hydra" / "config.yaml", new.hydra_config)
        write_atomic(building / ".hydra" / "overrides.yaml", new.overrides)
        write_atomic(building / "run.json", json.dumps(new.facts, indent=2, ensure_ascii=False) + "\n")
        for name, sha256 in new.data.items():
            blobs.link(sha256, building / "data" / name)
        try:
            os.rename(building, target)
        except OSError:
            if (winner := find_run(runs, train)) is None:
                raise
            return winner
        sync_folder(target.parent)
    except OSError as error:
        raise StorageError.of(error, target) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return RunDirectory(target)


def named_blobs(facts: Mapping[str, Any], model: Mapping[str, Any] | None = None) -> set[str]:
    """Return the hex sha256 of every blob that a run.json, and an attempt's model.json, name.

    Raises DataError `broken_file` where these are not as `run` writes them: they may come from a stranger.
    """
    try:
        found = {part["sha256"] for part in (facts.get("data") or {}).values()} | only_stored(facts).keys()
        found |= set(((model or {}).get("artifacts") or {}).values())
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError("broken_file", f"it names blobs otherwise than `run` does: {error!r}") from error
    return {_hex(sha256) for sha256 in found}


def only_stored(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the hex sha256 of what a run.json names and only the blob store holds, with a name for each.

    These are configuration, items of suites, held-out rows and the patch. Raises DataError `broken_file`.
    """
    try:
        found = {file["sha256"]: str(file["path"]) for key in ("configs", "items") for file in facts.get(key) or ()}
        if test := (facts.get("data") or {}).get("test"):
            found[test["sha256"]] = "test.jsonl"
        if patch := (facts.get("git") or {}).get("patch"):
            found[patch] = "the uncommitted changes"
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError("broken_file", f"it names blobs otherwise than `run` does: {error!r}") from error
    return {_hex(sha256): name for sha256, name in found.items()}


def _hex(sha256: Any) -> str:
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise DataError("broken_file", f"{sha256!r} is no sha256 of a blob")
    return sha256


def scored_blobs(folder: Path) -> set[str]:
    """Return the hex sha256 of every blob that a folder of scores names: a suite's items that came from a file."""
    try:
        named = read_json(folder / "scores.json").get("items_file")
    except (OSError, DataError, AttributeError):
        return set()
    return {named} if isinstance(named, str) and _SHA256.fullmatch(named) else set()


def training_lock(store: Path, train: str) -> FileLock:
    """The lock that makes a training single-flight across processes; the file is never replaced or removed."""
    return FileLock(store / "locks" / f"{short(train)}.lock")
