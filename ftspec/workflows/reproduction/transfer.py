"""The same experiment on another provider: a run of its own, judged by scores, and never called a reproduction."""

import dataclasses
from collections.abc import Sequence

from ftspec.compose import Project, builtin_conf
from ftspec.compose.overrides import changed_by
from ftspec.runs.directory import Attempt, RunDirectory
from ftspec.spec.digests import short
from ftspec.spec.errors import MissingKeyError, ProviderError
from ftspec.spec.events import Emit
from ftspec.workflows.elsewhere import Elsewhere
from ftspec.workflows.plan import Plan, PlannedRun, make_plan
from ftspec.workflows.record import record_runs
from ftspec.workflows.reproduction.again import failed, opened, tell_unsent
from ftspec.workflows.reproduction.case import Case, ReproduceOptions
from ftspec.workflows.reproduction.equivalent import judge_suite
from ftspec.workflows.reproduction.verdicts import Verdict, together
from ftspec.workflows.run import RunOptions, check_budget, ship, shipping_of
from ftspec.workflows.score import score_run
from ftspec.workflows.train import ensure_trained


async def transfer(there: Elsewhere, plan: Plan, cases: Sequence[Case], options: ReproduceOptions, emit: Emit) -> None:
    """Train and score every case on another provider and compare its scores.

    Raises GateError, MissingKeyError, and SpecError where the experiment means nothing on that provider.
    """
    for case in cases:
        assert case.planned is not None
        overrides = changed_by(case.planned.point.overrides, (_chosen(there, options), *options.overrides))
        moved = make_plan(there, plan.name, overrides)
        check_budget(moved, RunOptions(yes=options.yes, accept_unknown=options.accept_unknown))
        run = moved.runs[0]
        directory = record_runs(moved)[run.train_digest]
        try:
            async with opened(there, moved, emit) as runner:
                trained = await ensure_trained(run, directory, runner.connection(run), there, emit)
                await score_run(run, directory, trained.attempt, runner)
        except MissingKeyError:
            raise
        except ProviderError as error:
            case.verdicts.append(dataclasses.replace(failed("equivalent", error), transfer=True))
            continue
        said = f"a transfer to {options.provider}: another training ({short(run.train_digest)}), not a reproduction"
        case.notes.append(said)
        shipping = shipping_of(Project(there.home), moved)
        await ship(shipping, moved.name, [directory])
        tell_unsent(shipping, [case])
        case.verdicts.append(_judged(case, run, directory, trained.attempt))
        case.fresh = trained.attempt


def _chosen(there: Elsewhere, options: ReproduceOptions) -> str:
    """Choose a provider block of that name, or else the profile."""
    name = options.provider
    own = any((folder / "provider" / f"{name}.yaml").is_file() for folder in (there.conf, builtin_conf()))
    return f"provider={name}" if own else f"provider.profile={name}"


def _judged(case: Case, moved: PlannedRun, directory: RunDirectory, attempt: Attempt) -> Verdict:
    assert case.planned is not None
    mine = {suite.name: suite for suite in case.planned.suites}
    found = []
    for suite in moved.suites:
        if not suite.suite.trained_arms:
            continue
        recorded = mine.get(suite.name)
        if recorded is None or recorded.eval_digest != suite.eval_digest:
            found.append(Verdict("equivalent", "differs", (f"{suite.name}: scored otherwise there",)))
            continue
        after = directory.evals(suite.name, suite.eval_digest, attempt)
        found.append(judge_suite(case, recorded, case.recorded_scores(recorded), suite, after, "there"))
    return dataclasses.replace(together("equivalent", found), transfer=True)
