"""Looking at one run of `runs/`: everything on file about it. Needs no experiment file and composes nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.runs.directory import RunDirectory
from ftspec.runs.integrity import quick_faults
from ftspec.runs.names import read_names
from ftspec.runs.parcels import sealed_folders
from ftspec.runs.reading import summarize
from ftspec.runs.seal import is_sealed
from ftspec.runs.summary import Summary
from ftspec.storage import read_json

SCHEMA = 1


@dataclass(frozen=True)
class ShownRun:
    """One run with everything that is on file about it.

    `also` is what experiments that plan it under another name call it, `altered` what is not as it was sealed, as far
    as that is seen at once.
    """

    listed: Summary
    runs: Path
    facts: dict[str, Any]
    config: str
    attempts: tuple[dict[str, Any], ...]
    losses: tuple[float, ...]
    also: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            **self.listed.to_json(self.runs),
            "point": self.facts.get("point"),
            "digests": self.facts.get("digests"),
            "base": self.facts.get("base"),
            "data": self.facts.get("data"),
            "sources": self.facts.get("sources"),
            "git": self.facts.get("git"),
            "attempts": list(self.attempts),
            "also": list(self.also),
            "altered": list(self.altered),
        }


def show_run(runs: Path, name: str) -> ShownRun:
    """Return one run by any of its names. Raises UsageError where nothing, or more than one run, is meant."""
    named = read_names(runs).one(name)
    run = named.here()
    attempts = tuple(_attempt_json(attempt.path) for attempt in run.attempts())
    facts, config = run.facts, (run.path / "config.yaml").read_text("utf-8")
    also, altered = tuple(map(str, named.also)), tuple(_altered(run))
    return ShownRun(summarize(run), run.path.parent.parent, facts, config, attempts, _losses(run), also, altered)


def _altered(run: RunDirectory) -> Iterator[str]:
    for folder in sealed_folders(run.path.parent.parent, run.path):
        place = folder.relative_to(run.path).as_posix()
        yield from (f"{place}/{fault.file}" for fault in quick_faults(folder))


def _attempt_json(path: Path) -> dict[str, Any]:
    results = read_json(path / "results.json") if (path / "results.json").is_file() else {}
    return {"number": int(path.name), "sealed": is_sealed(path), **results}


def _losses(run: RunDirectory) -> tuple[float, ...]:
    from ftspec.storage import read_log

    attempt = run.finished()
    if attempt is None:
        return ()
    rows = read_log(attempt.path / "metrics.jsonl")
    return tuple(float(row["value"]) for row in rows if row.get("name") == "train_loss")
