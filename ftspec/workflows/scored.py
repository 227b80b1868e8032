"""Sealed scores of a plan, with the grades and answers behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftspec.evals.compare import Measured, measured
from ftspec.evals.grade import GradeRow, read_grades
from ftspec.evals.responses import read_responses
from ftspec.evals.scores import Scores, read_scores
from ftspec.runs.seal import is_sealed
from ftspec.workflows.plan import Plan, PlannedRun, PlannedSuite
from ftspec.workflows.reuse import refuse_changed


@dataclass(frozen=True)
class ScoredSuite:
    """One suite's sealed scores."""

    suite: PlannedSuite
    folder: Path
    scores: Scores
    grades: Sequence[GradeRow]

    @property
    def tuned(self) -> str | None:
        """The arm that stands for a run: the first of its trained arms."""
        return next(iter(self.scores.arms), None)

    def measured(self, arm: str, name: str) -> Measured:
        """One arm, ready to be compared."""
        return measured(self.suite.suite, self.grades, arm, eval_digest=self.suite.eval_digest, name=name)

    def answers(self, arm: str) -> Mapping[str, str]:
        """What an arm said, by item id: the text, or its tool calls as JSON; of several samples the first."""
        found: dict[str, str] = {}
        for response in read_responses(self.folder / "responses.jsonl"):
            if response.arm == arm and response.id not in found:
                found[response.id] = _said(response.text, response.tool_calls, response.error)
        return found


def _said(text: str | None, tool_calls: object, error: str | None) -> str:
    if error is not None:
        return f"error: {error}"
    if text is not None or not tool_calls:
        return text or ""
    import json

    return json.dumps(tool_calls, ensure_ascii=False)


def scored_baselines(plan: Plan) -> dict[tuple[str, str, str], ScoredSuite]:
    """Read the scores of all arms without training that are sealed, by the key of their suite."""
    found = ((b.suite.key, _read(b.suite, b.folder, plan.project.root)) for b in plan.baselines)
    return {key: scored for key, scored in found if scored is not None}


def scored_run(run: PlannedRun) -> dict[str, ScoredSuite]:
    """Read a run's sealed scores by suite."""
    if run.directory is None or run.attempt is None:
        return {}
    found = {}
    for suite in run.suites:
        folder = run.directory.evals(suite.name, suite.eval_digest, run.attempt)
        scored = _read(suite, folder, run.directory.path.parents[2])
        if scored is not None:
            found[suite.name] = scored
    return found


def _read(suite: PlannedSuite, folder: Path, root: Path) -> ScoredSuite | None:
    if not is_sealed(folder):
        return None
    refuse_changed([folder], root)
    return ScoredSuite(suite, folder, read_scores(folder / "scores.json"), read_grades(folder / "grades.jsonl"))
