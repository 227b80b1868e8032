"""Looking at one run of `runs/`: everything on file about it. Needs no experiment file and composes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.runs.directory import RunDirectory, run_directories
from ftspec.runs.reading import summarize
from ftspec.runs.seal import is_sealed
from ftspec.runs.summary import Summary
from ftspec.spec.errors import UsageError
from ftspec.storage import read_json

SCHEMA = 1


@dataclass(frozen=True)
class ShownRun:
    """One run with everything that is on file about it."""

    listed: Summary
    runs: Path
    facts: dict[str, Any]
    config: str
    attempts: tuple[dict[str, Any], ...]
    losses: tuple[float, ...]

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
        }


def find_runs(runs: Path, name: str) -> list[RunDirectory]:
    """Find what a person names: a folder, `experiment/label`, a label, or the first characters of a train digest."""
    path = Path(name)
    if (path / "run.json").is_file():
        return [RunDirectory(path)]
    wanted = name.removeprefix("sha256:").rstrip("/")
    return [run for run in run_directories(runs) if _is_named(run, wanted)]


def _is_named(run: RunDirectory, wanted: str) -> bool:
    digest = run.path.name.rpartition(".")[2]
    if wanted in (run.label, run.path.name, f"{run.experiment}/{run.label}", f"{run.experiment}/{run.path.name}"):
        return True
    return len(wanted) >= 4 and (digest.startswith(wanted) or wanted.startswith(digest))


def show_run(runs: Path, name: str) -> ShownRun:
    """Return one run. Raises UsageError where nothing, or more than one run, is meant."""
    found = find_runs(runs, name) or [run for run in run_directories(runs) if run.experiment == name]
    if not found:
        labels = [f"{run.experiment}/{run.label}" for run in run_directories(runs)]
        raise UsageError("unknown_run", f"no run is called {name!r}", fix=_nearest(name, labels))
    if len(found) > 1:
        named = ", ".join(f"{run.experiment}/{run.label} ({run.path.name[-12:]})" for run in found)
        raise UsageError("several_runs", f"{name!r} names {len(found)} runs", fix=f"say which: {named}")
    run = found[0]
    attempts = tuple(_attempt_json(attempt.path) for attempt in run.attempts())
    facts, config = run.facts, (run.path / "config.yaml").read_text("utf-8")
    return ShownRun(summarize(run), run.path.parent.parent, facts, config, attempts, _losses(run))


def _nearest(name: str, labels: Iterable[str]) -> str:
    import difflib

    known = list(labels)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
    if near:
        return "did you mean " + " or ".join(near) + "?"
    return "`ftspec ls` lists them" if known else "there are no runs yet: `ftspec run`"


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
