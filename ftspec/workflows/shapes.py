"""The stable JSON shapes of plans, documented in docs/json.md; a field is added, never renamed or removed."""

from typing import Any

from ftspec.workflows.plan import Plan, PlannedRun


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain JSON."""
    counts = plan.counts
    experiment = plan.composed.experiment
    return {
        "schema": 1,
        "experiment": plan.name,
        "provider": experiment.provider.profile,
        "model": experiment.model,
        "to_train": counts["train"],
        "to_score": counts["score"],
        "reused": counts["reuse"],
        "usd": plan.usd,
        "usd_range": plan.usd_range,
        "max_usd": experiment.budget.max_usd,
        "seconds": round(plan.seconds, 1),
        "swept": {key: list(values) for key, values in plan.composed.swept.items()},
        "runs": [_run_json(run) for run in plan.runs],
        "baselines": [
            {"suite": b.suite.name, "eval": b.suite.eval_digest, "arms": list(b.arms), "done": b.done}
            for b in plan.baselines
        ],
        "suites": [
            {"name": suite.name, "eval": suite.eval_digest, "items": suite.n_items, "primary": suite.suite.primary}
            for suite in plan.suites
        ],
        "problems": [problem.to_json() for problem in plan.warnings],
    }


def _run_json(run: PlannedRun) -> dict[str, Any]:
    return {
        "label": run.label,
        "point": dict(run.point.coordinates),
        "overrides": list(run.point.overrides),
        "action": run.action,
        "to_score": list(run.to_score),
        "digests": {
            "train": run.train_digest,
            "data": run.data_digest,
            "evals": {suite.name: suite.eval_digest for suite in run.suites},
        },
        "epochs": run.n_epochs,
        "steps": run.n_steps,
        "usd": run.usd,
        "usd_range": run.usd_range,
        "data": {
            role: {
                "rows": part.rows,
                "tokens": part.tokens,
                "learned_tokens": part.learned_tokens,
                "sha256": part.sha256,
            }
            for role, part in run.prepared.parts.items()
        },
    }
