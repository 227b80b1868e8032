"""Do a plan: data, baselines, trainings, scores; resumable by the same command, never the same work twice."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ftspec.compose import Project, verify_with_hydra
from ftspec.evals.cache import ResponseCache
from ftspec.providers.connect import Connection, connect
from ftspec.runs.directory import RunDirectory
from ftspec.spec.errors import FtspecError, GateError, Problem, SpecError, StorageError, UsageError
from ftspec.spec.events import Checked, Emit, Notice, Planned, RunFinished, silent
from ftspec.storage import require_writable
from ftspec.workflows.plan import Plan, PlannedRun
from ftspec.workflows.record import record_runs
from ftspec.workflows.reuse import check_reused
from ftspec.workflows.score import Runner, score_baselines, score_run
from ftspec.workflows.train import ensure_trained

if TYPE_CHECKING:
    from ftspec.workflows.sharing import Shipping

Part = Literal["data", "baselines", "train", "evals"]
ALL_PARTS: tuple[Part, ...] = ("data", "baselines", "train", "evals")
DEFAULT_CONCURRENCY = 4


@dataclass(frozen=True)
class RunOptions:
    """How to do a plan; nothing here changes what is trained."""

    only: tuple[Part, ...] | Collection[Part] = ALL_PARTS
    yes: bool = False
    accept_unknown: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a part that a run does not have."""
        unknown = [part for part in self.only if part not in ALL_PARTS]
        if unknown:
            fix = f"parts of a run: {', '.join(ALL_PARTS)}"
            raise UsageError("only", f"a run has no part {unknown[0]!r}", fix=fix)


@dataclass(frozen=True)
class RunOutcome:
    """How one run ended in this call."""

    label: str
    train_digest: str
    directory: RunDirectory
    outcome: Literal["trained", "scored", "reused", "failed", "planned"]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class RunReport:
    """How a call of `run` ended, run by run in the plan's order; `unsent`: why the store lacks something sealed."""

    outcomes: tuple[RunOutcome, ...]
    checked: tuple[int, int]
    seconds: float
    unsent: tuple[Problem, ...] = ()

    @property
    def failed(self) -> list[RunOutcome]:
        """The runs that did not end with a model and scores."""
        return [outcome for outcome in self.outcomes if outcome.outcome == "failed"]


def check_budget(plan: Plan, options: RunOptions) -> None:
    """Refuse a plan over `budget.max_usd`, of unknown price, or paid without a yes. Raises GateError."""
    if plan.counts["train"] == 0 or "train" not in options.only:
        return
    usd, limit = plan.usd_range[1] if plan.usd_range else None, plan.composed.experiment.budget.max_usd
    if usd is None and not options.accept_unknown:
        raise GateError(
            "unknown_price",
            "the price of this plan is unknown, which counts as over budget",
            path="budget.max_usd",
            fix="give --accept-unknown once you know what the provider charges",
        )
    if usd is not None and limit is not None and usd > limit:
        raise GateError(
            "over_budget",
            f"this plan may cost ${usd:.2f}, over ${limit:.2f}",
            path="budget.max_usd",
            fix="raise it, or do less",
        )
    if (usd is None or usd > 0) and not options.yes:
        price = "an unknown sum" if usd is None else f"up to ${usd:.2f}"
        raise GateError("not_confirmed", f"this plan costs {price}", fix="give --yes to spend it")


async def execute(plan: Plan, options: RunOptions = RunOptions(), emit: Emit = silent) -> RunReport:
    """Do what the plan says and return how each run ended. A run that fails does not stop the others.

    Raises StaleError (what would be reused was altered), GateError (budget), SpecError (a config that Hydra composes
    differently), StorageError, ProviderError (nothing could be reached) before any job is made.
    """
    started = time.monotonic()
    check_reused(plan)
    check_budget(plan, options)
    shipping = shipping_of(plan.project, plan)
    if plan.nothing_to_do:
        outcomes = tuple(_reused(run) for run in plan.runs)
        await ship(shipping, plan.name, [outcome.directory for outcome in outcomes])
        return _report(outcomes, (0, 0), started, shipping)
    _check_folder(plan.project.runs)
    counts = plan.counts
    emit(Planned(experiment=plan.name, runs=len(plan.runs), to_train=counts["train"], reused=counts["reuse"]))
    checked = _check_expansion(plan, emit)
    outcomes = await _execute(plan, frozenset(options.only), shipping, emit)
    return _report(outcomes, checked, started, shipping)


def _report(
    outcomes: tuple[RunOutcome, ...], checked: tuple[int, int], started: float, shipping: "Shipping | None"
) -> RunReport:
    unsent = tuple(shipping.problems.values()) if shipping else ()
    return RunReport(outcomes, checked, time.monotonic() - started, unsent)


def shipping_of(project: Project, plan: Plan) -> "Shipping | None":
    """What pushes a project's runs to the store of a plan's experiment, where it names one."""
    if (address := plan.composed.experiment.store) is None:
        return None
    from ftspec.workflows.sharing import Shipping

    return Shipping(project, address)


async def ship(shipping: "Shipping | None", experiment: str, runs: Iterable[RunDirectory]) -> None:
    """Push what is sealed of an experiment's baselines and of runs; what fails is told in `shipping.problems`."""
    if shipping is not None:
        await asyncio.to_thread(shipping.baselines, experiment)
        for run in runs:
            await asyncio.to_thread(shipping.run, run)


def _check_folder(runs: Path) -> None:
    """Find out before anything is done whether `runs/` can be written. Raises StorageError."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError.of(error, runs) from error
    require_writable(runs)


def _reused(run: PlannedRun) -> RunOutcome:
    assert run.directory is not None  # `reuse` means that a finished attempt was found in it
    return RunOutcome(run.label, run.train_digest, run.directory, "reused")


def _check_expansion(plan: Plan, emit: Emit) -> tuple[int, int]:
    """Compose the new points with Hydra itself; a difference stops everything before any job."""
    new = tuple(run.point for run in plan.runs if run.attempt is None)
    if not new:
        return 0, 0
    equal, total = verify_with_hydra(dataclasses.replace(plan.composed, points=new))
    if equal != total:
        raise SpecError(
            "expansion_differs", f"only {equal} of {total} configs equal what Hydra composes: please report it"
        )
    emit(Checked(equal=equal, total=total))
    return equal, total


@asynccontextmanager
async def _connections(plan: Plan) -> AsyncIterator[Mapping[str, Connection]]:
    """Open each distinct provider of the plan once, by its canonical key."""
    async with AsyncExitStack() as stack:
        opened: dict[str, Connection] = {}
        for run in plan.runs:
            key = repr(run.point.experiment.provider)
            if key not in opened:
                opened[key] = await stack.enter_async_context(
                    connect(run.point.experiment.provider, state=plan.project.embedded)
                )
        yield opened


async def _execute(
    plan: Plan, only: frozenset[Part], shipping: "Shipping | None", emit: Emit
) -> tuple[RunOutcome, ...]:
    if not only & {"baselines", "train", "evals"}:
        return _planned(plan, record_runs(plan))
    # A missing key or a wrong address is told before anything is written.
    async with _connections(plan) as connections:
        directories = record_runs(plan)
        runner = Runner(plan.project, connections, emit, ResponseCache(plan.project.store / "responses.sqlite"))
        if "baselines" in only:
            await score_baselines(plan, runner)
            await ship(shipping, plan.name, ())
        if not only & {"train", "evals"}:
            return _planned(plan, directories)
        limit = plan.composed.experiment.provider.concurrency or DEFAULT_CONCURRENCY
        gate = asyncio.Semaphore(limit)

        async def guarded(run: PlannedRun) -> RunOutcome:
            async with gate:
                done = await _do_run(run, directories[run.train_digest], runner, only)
            await ship(shipping, plan.name, [done.directory])
            return done

        return tuple(await asyncio.gather(*(guarded(run) for run in plan.runs)))


def _planned(plan: Plan, directories: Mapping[str, RunDirectory]) -> tuple[RunOutcome, ...]:
    return tuple(RunOutcome(run.label, run.train_digest, directories[run.train_digest], "planned") for run in plan.runs)


async def _do_run(run: PlannedRun, directory: RunDirectory, runner: Runner, only: frozenset[Part]) -> RunOutcome:
    started = time.monotonic()
    connection = runner.connection(run)
    try:
        attempt = directory.finished()
        outcome: Literal["trained", "scored", "reused"] = "reused"
        if attempt is None:
            if "train" not in only:
                problem = Problem("not_trained", "not trained yet", fix="run it without --only, or with --only train")
                return RunOutcome(run.label, run.train_digest, directory, "failed", (problem,))
            training = await ensure_trained(run, directory, connection, runner.project, runner.emit)
            attempt = training.attempt
            outcome = "reused" if training.reused else "trained"
        if "evals" in only and await score_run(run, directory, attempt, runner) and outcome == "reused":
            outcome = "scored"
        runner.emit(
            RunFinished(
                subject=run.label,
                outcome="trained" if outcome == "trained" else "reused",
                seconds=time.monotonic() - started,
            )
        )
    except FtspecError as error:
        for problem in error.problems:
            runner.emit(Notice(level="error", code=problem.code, message=str(problem), subject=run.label))
        runner.emit(RunFinished(subject=run.label, outcome="failed", message=str(error)))
        return RunOutcome(run.label, run.train_digest, directory, "failed", error.problems)
    return RunOutcome(run.label, run.train_digest, directory, outcome)
