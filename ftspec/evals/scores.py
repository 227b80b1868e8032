"""`scores.json`: each arm's metrics with intervals and its errors, computed from grades alone.

Shape (schema 1; fields are added, never renamed or removed)::

    {"schema": 1, "suite": "routing", "eval": "sha256:...", "items": 100, "samples": 1, "primary": "queue.accuracy",
     "baseline": "few_shot", "max_error_rate": 0.02,
     "arms": {"tuned": {"model": "...", "n": 100, "errors": 0, "error_rate": 0.0, "invalid": false,
                        "metrics": {"queue.accuracy": {"value": 0.88, "low": 0.8, "high": 0.93, "n": 100,
                                                       "method": "wilson"}},
                        "confusion": {"queue": {"billing": {"billing": 18, "__none__": 1}}},
                        "fingerprints": {"fp_2829919a0e92": 100}}},
     "attempt": "<hex sha256 of the seal of the attempt whose model was scored, null for baselines>",
     "items_file": "<hex sha256 of the blob that the items came from; null for rows of the experiment's own data>"}

`n` counts answers, errors included; an error is an answer that could not be got or not be graded by the primary grader.
A metric's `n` counts items. Values and bounds lie in 0..1; null where nothing can be said.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ftspec.evals.grade import GradeRow
from ftspec.evals.metrics import Estimate, Metric, Values, confusion, estimate, metrics_of, values_of
from ftspec.evals.suites import ResolvedSuite
from ftspec.spec.errors import DataError

SCHEMA = 1


class ArmScores(msgspec.Struct, frozen=True, kw_only=True):
    """One arm's part of `scores.json`. `invalid`: too many errors for any number to count.

    `fingerprints` counts the answers under each of the host's system fingerprints.
    """

    model: str | None
    n: int
    errors: int
    error_rate: float
    invalid: bool
    metrics: dict[str, Estimate]
    confusion: dict[str, dict[str, dict[str, int]]] = {}
    fingerprints: dict[str, int] = {}


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """A whole `scores.json`."""

    schema: int
    suite: str
    eval: str
    items: int
    samples: int
    primary: str
    baseline: str | None
    max_error_rate: float
    arms: dict[str, ArmScores]
    attempt: str | None = None
    items_file: str | None = None

    def to_json(self) -> bytes:
        """Return the file's bytes: indented, one trailing newline."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def read_scores(path: Path) -> Scores:
    """Read a `scores.json`. Raises DataError where it is none, FileNotFoundError where it is missing."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Scores)
    except msgspec.DecodeError as error:
        raise DataError("broken_file", f"no scores: {error}", file=str(path)) from error


def metric_of(resolved: ResolvedSuite, name: str) -> Metric:
    """Return the metric `<grader>.<metric>` of a suite. Raises KeyError."""
    grader, _, metric = name.partition(".")
    return metrics_of(resolved.suite.graders[grader])[metric]


def arm_values(resolved: ResolvedSuite, rows: Sequence[GradeRow], arm: str, name: str | None = None) -> Values:
    """Return an arm's values of a metric (default: the primary one) by item id; answers with errors are left out."""
    name = name or resolved.primary
    grader = name.partition(".")[0]
    answers = ((r.id, r.score, r.parts) for r in rows if r.arm == arm and r.grader == grader and r.error is None)
    return values_of(name, metric_of(resolved, name), answers, resolved.clusters)


def passed_by_id(resolved: ResolvedSuite, rows: Sequence[GradeRow], arm: str) -> dict[str, bool]:
    """Return by item id whether the primary grader passed every answer to it; items with an error are left out."""
    grader = resolved.primary.partition(".")[0]
    found: dict[str, bool] = {}
    for row in rows:
        if row.arm == arm and row.grader == grader and row.passed is not None:
            found[row.id] = found.get(row.id, True) and row.passed
    return found


def errors_of(resolved: ResolvedSuite, rows: Sequence[GradeRow], arm: str) -> tuple[int, int]:
    """Return how many answers an arm was asked for, and how many of them are errors for the primary grader.

    An answer that is not there at all is an error too.
    """
    grader = resolved.primary.partition(".")[0]
    expected = len(resolved.items) * resolved.suite.samples
    good = sum(1 for row in rows if row.arm == arm and row.grader == grader and row.error is None)
    return expected, expected - good


def score(
    resolved: ResolvedSuite,
    rows: Sequence[GradeRow],
    *,
    eval_digest: str,
    arms: Sequence[str] | None = None,
    models: Mapping[str, str | None] | None = None,
    fingerprints: Mapping[str, dict[str, int]] | None = None,
) -> Scores:
    """Compute `scores.json` of `arms` (default: all that have grades), with the model and fingerprints of each one.

    Reported are the primary metric, those under `also`, and every item-level metric of every grader.
    """
    by_arm: dict[str, list[GradeRow]] = {}
    for row in rows:
        by_arm.setdefault(row.arm, []).append(row)
    chosen = [arm for arm in resolved.arms if arm in by_arm] if arms is None else list(arms)
    return Scores(
        schema=SCHEMA,
        suite=resolved.name,
        eval=eval_digest,
        items=len(resolved.items),
        samples=resolved.suite.samples,
        primary=resolved.primary,
        baseline=resolved.baseline,
        max_error_rate=resolved.suite.max_error_rate,
        arms={
            arm: _arm(
                resolved, by_arm.get(arm, []), arm, (models or {}).get(arm), dict((fingerprints or {}).get(arm, {}))
            )
            for arm in chosen
        },
        items_file=resolved.file.sha256 if resolved.file else None,
    )


def reported(resolved: ResolvedSuite) -> list[str]:
    """Return the metrics that `scores.json` lists, the primary one first."""
    cheap = [
        f"{grader}.{name}"
        for grader, spec in resolved.suite.graders.items()
        for name, metric in metrics_of(spec).items()
        if metric.level == "item"
    ]
    return list(dict.fromkeys([resolved.primary, *resolved.suite.metrics.also, *cheap]))


def _arm(
    resolved: ResolvedSuite, rows: Sequence[GradeRow], arm: str, model: str | None, fingerprints: dict[str, int]
) -> ArmScores:
    n, errors = errors_of(resolved, rows, arm)
    rate = errors / n if n else 0.0
    return ArmScores(
        model=model,
        fingerprints=fingerprints,
        n=n,
        errors=errors,
        error_rate=rate,
        invalid=rate > resolved.suite.max_error_rate,
        metrics={name: estimate(arm_values(resolved, rows, arm, name)) for name in reported(resolved)},
        confusion={
            grader: confusion((r.parts["reference"], r.parts["predicted"]) for r in rows if _graded(r, grader))
            for grader, spec in resolved.suite.graders.items()
            if spec.type == "label"
        },
    )


def _graded(row: GradeRow, grader: str) -> bool:
    return row.grader == grader and row.error is None
