"""A training once more: a new attempt and a job of its own, then its scores in folders of their own."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ftspec.compose import Project
from ftspec.evals.cache import ResponseCache
from ftspec.providers.connect import connect
from ftspec.providers.failures import CallFailed
from ftspec.runs.directory import RunDirectory
from ftspec.runs.seal import seal_digest
from ftspec.spec.errors import Exit, MissingKeyError, ProviderError
from ftspec.spec.events import Emit
from ftspec.workflows.elsewhere import Elsewhere
from ftspec.workflows.plan import Plan
from ftspec.workflows.record import record_runs
from ftspec.workflows.reproduction.case import Case, ReproduceOptions, still_open
from ftspec.workflows.reproduction.verdicts import Level, Verdict
from ftspec.workflows.run import DEFAULT_CONCURRENCY, RunOptions, check_budget, ship, shipping_of
from ftspec.workflows.score import Runner, score_again, score_run
from ftspec.workflows.train import train_again

if TYPE_CHECKING:
    from ftspec.workflows.sharing import Shipping


async def train_anew(
    there: Elsewhere, plan: Plan, cases: Sequence[Case], options: ReproduceOptions, emit: Emit
) -> dict[str, Path]:
    """Train and score every open case anew; for level conclusion ask the baselines again: their folders by suite.

    What is sealed is pushed to the experiment's store, as by `run`. A case that could not be trained gets a verdict
    that says why. Raises GateError, MissingKeyError.
    """
    wanted = [case.planned for case in still_open(cases) if case.planned is not None]
    anew = dataclasses.replace(plan, runs=tuple(dataclasses.replace(run, attempt=None) for run in wanted))
    check_budget(anew, RunOptions(yes=options.yes, accept_unknown=options.accept_unknown))
    directories = record_runs(anew)
    shipping = shipping_of(Project(there.home), anew)
    async with opened(there, anew, emit) as runner:
        gate = asyncio.Semaphore(anew.composed.experiment.provider.concurrency or DEFAULT_CONCURRENCY)

        async def guarded(case: Case) -> None:
            async with gate:
                await _again(case, directories[case.train], options.level, runner)
            await ship(shipping, plan.name, [directories[case.train]])

        await asyncio.gather(*(guarded(case) for case in still_open(cases)))
        asked = await _baselines(anew, runner) if options.level == "conclusion" else {}
        await ship(shipping, plan.name, ())
    tell_unsent(shipping, cases)
    return asked


def tell_unsent(shipping: "Shipping | None", cases: Sequence[Case]) -> None:
    """Note why the store lacks something; the same command again would be another attempt, so it names another one."""
    for problem in shipping.problems.values() if shipping is not None else ():
        cases[0].notes.append(f"not pushed: {problem}; `ftspec runs push` does it")


@asynccontextmanager
async def opened(there: Elsewhere, plan: Plan, emit: Emit) -> AsyncIterator[Runner]:
    """Open the plan's provider; answers are never taken from the cache, since they are to be given again."""
    async with connect(plan.runs[0].point.experiment.provider, state=there.embedded) as connection:
        keys = {repr(run.point.experiment.provider) for run in plan.runs}
        yield Runner(there, dict.fromkeys(keys, connection), emit, ResponseCache(None))


async def _again(case: Case, directory: RunDirectory, level: Level, runner: Runner) -> None:
    assert case.planned is not None
    claimed = seal_digest(case.attempt.path) if case.attempt else next((row.attempt for row in case.known), None)
    connection = runner.connection(case.planned)
    try:
        fresh = await train_again(case.planned, directory, connection, runner.project, runner.emit, reproduces=claimed)
        await score_run(case.planned, directory, fresh, runner)
    except MissingKeyError:
        raise
    except ProviderError as error:
        case.verdicts.append(failed(level, error))
        return
    case.fresh, case.directory = fresh, directory


def failed(level: Level, error: ProviderError) -> Verdict:
    """Return what a provider's refusal means: gone for good, or nothing concluded yet."""
    what = (str(error.problems[0]),)
    if isinstance(error, CallFailed) and error.exit_code is not Exit.PARKED:
        return Verdict(level, "impossible", what)
    return Verdict(level, "inconclusive", what, parked=True)


async def _baselines(plan: Plan, runner: Runner) -> dict[str, Path]:
    """Ask the arms without training anew, in folders of their own."""
    again: dict[str, Path] = {}
    for baselines in plan.baselines:
        if baselines.suite.name not in again and baselines.suite.suite.baseline in baselines.arms:
            again[baselines.suite.name] = await score_again(plan, baselines, runner)
    return again
