"""Looking at what lies in `runs/`: all runs as rows, one run whole. Needs no experiment file and composes nothing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ftspec.compose.labels import names
from ftspec.runs.directory import RunDirectory, run_directories
from ftspec.runs.index import summaries
from ftspec.runs.seal import is_sealed
from ftspec.runs.summary import Summary, summarize
from ftspec.spec.errors import UsageError
from ftspec.storage import read_json

SCHEMA = 1


@dataclass(frozen=True)
class Wanted:
    """Which runs `ls` shows, and in what order.

    `where` holds `key=value` pairs of swept keys: whole (`hyperparameters.n_epochs=3`) or as labels have them
    (`epochs=3`). `sort` is `newest`, `name`, `loss` (lowest first), or a suite (highest score first).
    """

    experiment: str | None = None
    label: str | None = None
    status: str | None = None
    where: tuple[str, ...] = ()
    sort: str = "newest"
    limit: int | None = None


def list_runs(runs: Path, wanted: Wanted = Wanted()) -> list[Summary]:
    """Return the runs as rows; a broken one is a row that says so.

    Raises UsageError for a filter or an order that means nothing here, DataError where `runs` cannot be read.
    """
    tests = [_test(wanted), *map(_where, wanted.where)]
    found = [row for row in summaries(runs) if all(test(row) for test in tests)]
    return _in_order(found, wanted.sort)[: wanted.limit]


def _test(wanted: Wanted) -> Callable[[Summary], bool]:
    def passes(row: Summary) -> bool:
        return (
            wanted.experiment in (None, row.experiment)
            and wanted.status in (None, row.status)
            and (wanted.label is None or fnmatchcase(row.label, wanted.label))
        )

    return passes


def _where(pair: str) -> Callable[[Summary], bool]:
    """Read `key=value`; a value is compared as YAML reads it, so that 0.10 finds 0.1."""
    import yaml

    key, equals, text = pair.partition("=")
    if not equals or not key:
        raise UsageError("bad_filter", f"--where {pair}: not KEY=VALUE", fix="such as --where epochs=3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text

    def passes(row: Summary) -> bool:
        short = names(list(row.point))
        return any(
            found in (value, text) and (key in (known, short[known]) or known.endswith(f".{key}"))
            for known, found in row.point.items()
        )

    return passes


def _in_order(rows: list[Summary], sort: str) -> list[Summary]:
    if sort == "name":
        return rows
    if sort == "newest":
        return sorted(rows, key=lambda row: -(row.started or 0.0))
    if sort == "loss":
        return sorted(rows, key=lambda row: (row.valid_loss is None, row.valid_loss))
    suites = {score.suite for row in rows for score in row.scores}
    if sort not in suites and rows:
        known = ", ".join(["newest", "name", "loss", *sorted(suites)])
        raise UsageError("unknown_order", f"--sort {sort}: no run has a score of that suite", fix=f"one of: {known}")

    def value(row: Summary) -> float:
        found = [score.value for score in row.scores if score.suite == sort and score.value is not None]
        return found[-1] if found else float("-inf")

    return sorted(rows, key=value, reverse=True)


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
