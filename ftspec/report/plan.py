"""A plan for people: five lines that say what will happen, and one line a run on request."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator

from ftspec.compose.labels import value_name
from ftspec.evals.statistics.detectable import items_needed, smallest_difference
from ftspec.report.proof import chosen, proof_lines
from ftspec.report.style import columns, duration, paint, usd, usd_range
from ftspec.workflows.plan import Plan, PlannedRun

# The share of items on which two arms differ; 20 % is the table of docs/statistics.md when nothing is known yet.
ASSUMED_DISCORDANT = 0.2


def plan_lines(plan: Plan, *, colour: bool) -> Iterator[str]:
    """Yield the summary: head, data with the proof table of a weight policy, sweep, proof."""
    first = plan.runs[0]
    yield _head(plan, first, colour)
    yield f"{paint('data', 'dim', colour)}    {_data(plan, first)}"
    if chosen(first.prepared.proof):
        yield from (f"        {line}" for line in proof_lines(first.prepared.proof, colour=colour))
    if plan.composed.swept:
        yield f"{paint('sweep', 'dim', colour)}   {_sweep(plan)}"
    folds = plan.composed.experiment.dataset.split.folds
    if folds is not None:
        said = f"{folds} times as many trainings: each row is answered once by a model that did not see it"
        yield f"{paint('folds', 'dim', colour)}   {said}; together they judge the recipe, not one model"
    for line in _proof(plan):
        yield f"{paint('proof', 'dim', colour)}   {line}"


def _head(plan: Plan, first: PlannedRun, colour: bool) -> str:
    experiment = plan.composed.experiment
    counts = plan.counts
    todo = f"{counts['train']} to train, {counts['reuse']} reused"
    shared = sum(run.shares and run.attempt is None for run in plan.runs)
    todo += f", {shared} of the same training" if shared else ""
    again = sum(run.action == "score" and run.attempt is not None for run in plan.runs)
    todo += f", {again} to score again" if again else ""
    free = "free, offline" if first.identity.family == "embedded" else "hosted"
    limit = experiment.budget.max_usd
    cost = usd_range(plan.usd, plan.usd_range) + (f" of {usd(limit)}" if limit is not None else "")
    time = f"about {duration(plan.seconds)}" if plan.seconds >= 1 else "nothing to wait for"
    name = paint(plan.name, "bold", colour)
    return "   ".join([name, f"{experiment.provider.profile}/{experiment.model}", free, todo, cost, time])


def _data(plan: Plan, first: PlannedRun) -> str:
    distinct = {id(run.prepared): run.prepared for run in plan.runs}
    parts = first.prepared.parts
    names = {"train": "train", "valid": "validation", "test": "test"}
    rows = ", ".join(f"{parts[role].rows:,} {name}" for role, name in names.items() if role in parts)
    train = parts["train"]
    policy = plan.composed.experiment.weights.train_on
    learned = f"learned {train.learned_tokens:,} of {train.tokens:,} tokens ({policy})"
    severities = Counter(problem.severity for problem in plan.warnings)
    lint = f"lint 0 errors, {severities['warning']} warnings, {severities['hint'] + severities['info']} hints"
    more = [f"{len(distinct)} data sets"] if len(distinct) > 1 else []
    return "   ".join([rows, learned, lint, f"overlap {first.prepared.overlap}", *more])


def _sweep(plan: Plan) -> str:
    """Return the axes, with how many combinations there are where it is not all of them (`zip`, `union`, `exclude`).

    A value that is no plain one stands as it does in the labels of the runs.
    """
    axes = []
    for key, values in plan.composed.swept.items():
        shown = [value_name(value) if isinstance(value, list | dict) else str(value) for value in values]
        axes.append(f"{key.rpartition('.')[2]} [{', '.join(shown)}]")
    every = math.prod(len(values) for values in plan.composed.swept.values())
    if every == len(plan.runs):
        return " x ".join(axes)
    whole = all(len(run.point.coordinates) == len(axes) for run in plan.runs)
    return f"{', '.join(axes)}: {len(plan.runs)}{f' of {every}' if whole else ''} combinations"


def _proof(plan: Plan) -> Iterator[str]:
    chosen = _chosen(plan)
    sizes: dict[str, set[int]] = {}
    for suite in plan.suites:
        sizes.setdefault(suite.name, set()).add(suite.n_items)
    needed = items_needed(0.05, discordant=ASSUMED_DISCORDANT)
    for name, items in sizes.items():
        ends = sorted({min(items), max(items)})
        gains = [smallest_difference(n, discordant=ASSUMED_DISCORDANT) for n in ends]
        points = dict.fromkeys(f"{gain * 100:.0f}" for gain in gains)
        text = f"{name}: {_span(ends)} items can show a gain of {_span(points)} points"
        text += f"; for 5 points you need {needed}" if max(gains) > 0.05 else ""
        yield text + chosen
    if not plan.suites:
        yield "no eval suite: nothing will be proved; add one with `evals: [NAME]`" + chosen


def _chosen(plan: Plan) -> str:
    """Say how the winner is chosen, and where that rule cannot do it."""
    if len(plan.runs) < 2 or plan.composed.experiment.dataset.split.folds is not None:
        return ""
    select = plan.composed.experiment.sweep.select.by if plan.composed.experiment.sweep else "valid_loss"
    if select == "valid_loss":
        watched = {part.sha256 if (part := run.prepared.parts.get("valid")) else None for run in plan.runs}
        if None in watched:
            return "   no winner: valid_loss needs a validation part (dataset.split.validation)"
        if len(watched) > 1:
            return "   winner chosen by: valid_loss, though of different rows; sweep.select.by names a suite"
    return f"   winner chosen by: {select}"


def _span(ends: Iterable[object]) -> str:
    return " to ".join(map(str, ends))


def run_lines(plan: Plan, *, colour: bool) -> Iterator[str]:
    """Yield one line a run: what would be done with it, its size and its cost."""
    head = ["run", "action", "steps", "tokens", "cost", "digest"]
    rows = [[paint(cell, "dim", colour) for cell in head]]
    for run in plan.runs:
        tokens = run.prepared.parts["train"].tokens * run.n_epochs
        steps = "auto" if run.n_steps is None else f"{run.n_steps:,}"
        cost = usd_range(run.usd, run.usd_range) if run.action == "train" else usd(0)
        rows.append([run.label, run.action, steps, f"{tokens:,}", cost, run.train_digest[7:19]])
    yield from columns(rows, right=frozenset({2, 3, 4}))
