"""Level scores: stored answers graded again, without a call, by the plan's suite or from the run's evidence alone."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from ftspec.evals.grade import GradeRow, grade_responses, read_grades
from ftspec.evals.responses import read_responses
from ftspec.evals.scores import Scores, read_scores, score
from ftspec.evals.suites import ResolvedSuite, resolve
from ftspec.runs.directory import Attempt, RunDirectory
from ftspec.runs.seal import is_sealed
from ftspec.spec.errors import DataError
from ftspec.spec.suite import Suite
from ftspec.storage import BlobStore
from ftspec.workflows.plan import PlannedRun
from ftspec.workflows.reproduction.verdicts import Verdict, together

_SHOWN = 3


class _Stored:
    """A part of a run's data, as it was stored."""

    def __init__(self, role: str, path: Path) -> None:
        self.role, self.path = role, path


def judge_scores(run: RunDirectory, attempt: Attempt, planned: PlannedRun | None, store: Path) -> Verdict:
    """Grade a run's stored answers again and compare grades and scores with the sealed ones."""
    found = []
    for folder in _folders(run, attempt):
        stored = read_scores(folder / "scores.json")
        known = next((s.suite for s in planned.suites if s.eval_digest == stored.eval), None) if planned else None
        suite = known or _from_run(run, folder, stored, store)
        if suite is None:
            what = f"{stored.suite}: its items are neither in the sources nor in the blob store"
            found.append(Verdict("scores", "impossible", (what,)))
            continue
        found.append(_judge(suite, folder, stored))
    return together("scores", found)


def _folders(run: RunDirectory, attempt: Attempt) -> list[Path]:
    evals = run.path / "evals"
    if not evals.is_dir():
        return []
    number = None if attempt.number == 1 else attempt.path.name
    found = [p for p in sorted(evals.iterdir()) if is_sealed(p)]
    return [p for p in found if (p.name.count(".") == 1 and number is None) or p.name.rpartition(".")[2] == number]


def _judge(suite: ResolvedSuite, folder: Path, stored: Scores) -> Verdict:
    responses = read_responses(folder / "responses.jsonl")
    grades = grade_responses(suite, responses)
    told = different_grades(suite.name, read_grades(folder / "grades.jsonl"), grades)
    models = {arm: scored.model for arm, scored in stored.arms.items()}
    again = score(suite, grades, eval_digest=stored.eval, arms=list(stored.arms), models=models)
    for arm, before in stored.arms.items():
        for name, value in before.metrics.items():
            now = again.arms[arm].metrics.get(name)
            if now is None or now.value != value.value or now.n != value.n:
                told.append(f"{suite.name}: {arm} {name} {now.value if now else None}, not {value.value}")
    if told:
        return Verdict("scores", "differs", tuple(told))
    return Verdict("scores", "reproduced", (f"{suite.name}: {len(responses)} stored answers, graded the same",))


def different_grades(name: str, before: Iterable[GradeRow], after: Iterable[GradeRow]) -> list[str]:
    """Return sentences about grades that are other ones, naming grader and items."""
    old = {(g.grader, g.arm, g.id, g.sample): (g.score, g.passed, g.label, g.error) for g in before}
    new = {(g.grader, g.arm, g.id, g.sample): (g.score, g.passed, g.label, g.error) for g in after}
    told = []
    for grader in sorted({key[0] for key in old.keys() | new.keys()}):
        keys = [key for key in old.keys() | new.keys() if key[0] == grader and old.get(key) != new.get(key)]
        if keys:
            shown = ", ".join(sorted(f"{arm}/{item}" for _, arm, item, _ in keys)[:_SHOWN])
            told.append(f"{name}: grader {grader} judges {len(keys)} answers otherwise ({shown})")
    return told


def _from_run(run: RunDirectory, folder: Path, stored: Scores, store: Path) -> ResolvedSuite | None:
    """Resolve a suite from its own spelt-out copy and the items that were stored with it; None where they are gone."""
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
