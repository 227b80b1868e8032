"""Looking at what lies in `runs/`: all runs as rows, one run whole. Needs no experiment file and composes nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.runs.directory import RunDirectory, run_directories
from ftspec.runs.seal import is_sealed
from ftspec.spec.digests import short
from ftspec.spec.errors import FtspecError, UsageError
from ftspec.storage import read_json

SCHEMA = 1


@dataclass(frozen=True)
class Score:
    """A suite's primary metric as sealed; `eval_digest` says what it may be compared with."""

    suite: str
    eval_digest: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class ListedRun:
    """One run directory as a row. `problem` is set where the folder cannot be read; the other runs are shown anyway."""

    experiment: str
    label: str
    train_digest: str
    folder: Path
    status: str
    valid_loss: float | None
    seconds: float | None
    usd: float | None
    scores: tuple[Score, ...]
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "experiment": self.experiment,
            "label": self.label,
            "train": self.train_digest,
            "folder": str(self.folder),
            "status": self.status,
            "valid_loss": self.valid_loss,
            "seconds": self.seconds,
            "usd": self.usd,
            "scores": [
                {
                    "suite": s.suite,
                    "eval": s.eval_digest,
                    "metric": s.metric,
                    "value": s.value,
                    "low": s.low,
                    "high": s.high,
                    "n": s.n,
                }
                for s in self.scores
            ],
            "problem": self.problem,
        }


def list_runs(runs: Path, experiment: str | None = None) -> list[ListedRun]:
    """Read every run directory, in name order; a broken one is a row that says so."""
    return [_listed(run) for run in run_directories(runs) if experiment is None or run.experiment == experiment]


def _listed(run: RunDirectory) -> ListedRun:
    try:
        facts = run.facts
        attempt = run.finished()
        results = attempt.results if attempt else {}
        return ListedRun(
            experiment=run.experiment,
            label=facts["label"],
            train_digest=facts["digests"]["train"],
            folder=run.path,
            status=run_status(run),
            valid_loss=results.get("valid_loss"),
            seconds=results.get("seconds"),
            usd=results.get("usd"),
            scores=tuple(scores_of(run.path / "evals")),
        )
    except (FtspecError, OSError, KeyError, TypeError) as error:
        return ListedRun(run.experiment, run.label, "", run.path, "unreadable", None, None, None, (), str(error))


def run_status(run: RunDirectory) -> str:
    """Return `trained`, `failed`, `interrupted` or `planned`."""
    attempts = run.attempts()
    if not attempts:
        return "planned"
    if any(attempt.succeeded for attempt in attempts):
        return "trained"
    return "failed" if attempts[-1].sealed else "interrupted"


def scores_of(folder: Path) -> Iterator[Score]:
    """Yield the primary metric of every sealed suite below a folder, with the arm's name where it holds several."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if not is_sealed(path):
            continue
        scores = read_json(path / "scores.json")
        for arm, result in scores["arms"].items():
            found = result["metrics"][scores["primary"]]
            name = scores["suite"] if len(scores["arms"]) == 1 else f"{scores['suite']}/{arm}"
            yield Score(
                name, scores["eval"], scores["primary"], found["value"], found["low"], found["high"], found["n"]
            )


@dataclass(frozen=True)
class ShownRun:
    """One run with everything that is on file about it."""

    listed: ListedRun
    facts: dict[str, Any]
    config: str
    attempts: tuple[dict[str, Any], ...]
    losses: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            **self.listed.to_json(),
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
    found = find_runs(runs, name)
    if not found:
        labels = [f"{run.experiment}/{run.label}" for run in run_directories(runs)]
        raise UsageError("unknown_run", f"no run is called {name!r}", fix=_nearest(name, labels))
    if len(found) > 1:
        named = ", ".join(f"{run.experiment}/{run.label} ({run.path.name[-12:]})" for run in found)
        raise UsageError("several_runs", f"{name!r} names {len(found)} runs", fix=f"say which: {named}")
    run = found[0]
    attempts = tuple(_attempt_json(attempt.path) for attempt in run.attempts())
    return ShownRun(_listed(run), run.facts, (run.path / "config.yaml").read_text("utf-8"), attempts, _losses(run))


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


def short_digest(run: ListedRun) -> str:
    """The characters by which people name a run."""
    return short(run.train_digest) if run.train_digest else "-"
