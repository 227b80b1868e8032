"""A run directory read into one row: its status, its losses and its sealed scores."""

from collections.abc import Iterator
from pathlib import Path

from ftspec.runs.directory import Attempt, RunDirectory, training_lock
from ftspec.runs.seal import SEAL, is_sealed
from ftspec.runs.summary import Score, Summary
from ftspec.spec.errors import FtspecError, StorageError
from ftspec.storage import is_locked, read_json, read_log


def summarize(run: RunDirectory) -> Summary:
    """Read one run directory; what cannot be read is a row that says so."""
    folder = f"{run.experiment}/{run.path.name}"
    try:
        facts = run.facts
        attempts = run.attempts()
        finished = next((attempt for attempt in attempts if attempt.succeeded), None)
        results = finished.results if finished else {}
        status = run_status(run, attempts, finished)
        return Summary(
            folder=folder,
            experiment=run.experiment,
            label=facts["label"],
            train=facts["digests"]["train"],
            status=status,
            started=_started(attempts[0]) if attempts else None,
            valid_loss=results.get("valid_loss"),
            seconds=results.get("seconds"),
            usd=results.get("usd"),
            point=facts.get("point") or {},
            scores=tuple(scores_of(run.path / "evals")),
            closed=status == "trained" and all(is_sealed(path) for path in _folders(run.path / "evals")),
        )
    except (FtspecError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        said = str(error) if isinstance(error, FtspecError) else f"{type(error).__name__}: {error}"
        return Summary(
            folder=folder, experiment=run.experiment, label=run.label, train="", status="unreadable", problem=said
        )


def run_status(run: RunDirectory, attempts: list[Attempt], finished: Attempt | None) -> str:
    """Return `trained`, `failed`, `running`, `interrupted` or `planned`."""
    if finished is not None:
        return "trained"
    if not attempts:
        return "planned"
    if attempts[-1].sealed:
        return "failed"
    return "running" if _running(run) else "interrupted"


def _running(run: RunDirectory) -> bool:
    """Whether some process holds the training's lock; where locks cannot be taken nobody can be writing either."""
    lock = training_lock(run.path.parent.parent / ".store", run.facts["digests"]["train"])
    try:
        return is_locked(lock.path)
    except StorageError:
        return False


def _started(attempt: Attempt) -> float | None:
    first = next(read_log(attempt.path / "requests.jsonl"), None)
    return float(first["at"]) if first is not None else None


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def scores_of(folder: Path) -> Iterator[Score]:
    """Yield the primary metric of every sealed suite, the newest seal last, with the arm's name where it has several.

    Raises DataError, KeyError or TypeError for a scores.json that is not one.
    """
    sealed = [path for path in _folders(folder) if is_sealed(path)]
    for path in sorted(sealed, key=lambda path: ((path / SEAL).stat().st_mtime_ns, path.name)):
        scores = read_json(path / "scores.json")
        number = path.name.split(".")[2:3]
        for arm, result in scores["arms"].items():
            found = result["metrics"][scores["primary"]]
            yield Score(
                suite=scores["suite"] if len(scores["arms"]) == 1 else f"{scores['suite']}/{arm}",
                eval=scores["eval"],
                metric=scores["primary"],
                value=found["value"],
                low=found["low"],
                high=found["high"],
                n=found["n"],
                attempt=int(number[0]) if number else 1,
            )
