"""Level scores: stored answers graded again, without a call, by the plan's suite or from the run's evidence alone."""

from collections.abc import Iterable
from pathlib import Path

from ftspec.evals.grade import GradeRow, grade_responses, read_grades
from ftspec.evals.responses import read_responses
from ftspec.evals.scores import Scores, read_scores, score
from ftspec.evals.suites import ResolvedSuite
from ftspec.runs.directory import Attempt, RunDirectory
from ftspec.workflows.plan import PlannedRun
from ftspec.workflows.reproduction.verdicts import Verdict, together
from ftspec.workflows.stored import stored_suite

_SHOWN = 3


def judge_scores(run: RunDirectory, attempt: Attempt, planned: PlannedRun | None, store: Path) -> Verdict:
    """Grade a run's stored answers again and compare grades and scores with the sealed ones."""
    found = []
    for folder in run.sealed_evals(attempt):
        stored = read_scores(folder / "scores.json")
        known = next((s.suite for s in planned.suites if s.eval_digest == stored.eval), None) if planned else None
        suite = known or stored_suite(run, folder, stored, store)
        if suite is None:
            what = f"{stored.suite}: its items are neither in the sources nor in the blob store"
            found.append(Verdict("scores", "impossible", (what,)))
            continue
        found.append(_judge(suite, folder, stored))
    return together("scores", found)


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
