"""From level to level: each one is tried only where the ones before it held."""

from collections.abc import Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from ftspec.providers.profiles import load_profile
from ftspec.spec.events import Emit, Notice
from ftspec.workflows.elsewhere import Elsewhere
from ftspec.workflows.plan import Plan
from ftspec.workflows.reproduction.again import train_anew
from ftspec.workflows.reproduction.bits import bits_of
from ftspec.workflows.reproduction.case import Case, ReproduceOptions, still_open
from ftspec.workflows.reproduction.drift import note_drift
from ftspec.workflows.reproduction.equivalent import equivalent_of, provable_margin
from ftspec.workflows.reproduction.inputs import inputs_of
from ftspec.workflows.reproduction.scores import judge_scores
from ftspec.workflows.reproduction.transfer import transfer
from ftspec.workflows.reproduction.verdicts import Level, Verdict

_TRAINS: tuple[Level, ...] = ("bits", "equivalent", "conclusion")


async def climb(
    there: Elsewhere, plan: Plan, cases: Sequence[Case], options: ReproduceOptions, emit: Emit
) -> Mapping[str, Path]:
    """Take composed cases up to the level asked for; their verdicts are appended to them.

    Returns the folders of baselines that were asked again, by suite, for level conclusion. Raises GateError for a
    price without a yes.
    """
    if options.level == "config":
        return {}
    for case in still_open(cases):
        case.verdicts.append(inputs_of(case))
    if options.level == "scores":
        for case in still_open(cases):
            case.verdicts.append(_scores(there, case))
    if options.level not in _TRAINS:
        return {}
    for case in still_open(cases):
        if (verdict := _forbidden(case, options)) is not None:
            case.verdicts.append(verdict)
    if not still_open(cases):
        return {}
    if options.level == "equivalent":
        _tell_power(plan, emit)
    if options.provider is not None:
        await transfer(there, plan, still_open(cases), options, emit)
        return {}
    baselines = await train_anew(there, plan, cases, options, emit)
    for case in still_open(cases):
        note_drift(case)
        if options.level == "bits":
            case.verdicts.append(bits_of(case))
        elif options.level == "equivalent":
            case.verdicts.append(equivalent_of(case))
    return baselines


def _scores(there: Elsewhere, case: Case) -> Verdict:
    if case.directory is None or case.attempt is None:
        return Verdict("scores", "impossible", ("the stored answers lie in the run directory, which is not here",))
    return judge_scores(case.directory, case.attempt, case.planned, there.store)


def _forbidden(case: Case, options: ReproduceOptions) -> Verdict | None:
    """Say what cannot be done at all: bits of a host, jobs that it takes no more."""
    assert case.planned is not None
    level = options.level
    if level == "bits" and case.planned.identity.engine is None:
        return Verdict("bits", "impossible", ("a hosted provider shows no weights and repeats no training",))
    if options.provider is not None:
        return None
    experiment = case.planned.point.experiment
    for row in load_profile(experiment.provider.profile).lifecycle:
        closed = row.effect == "create_closed" and row.scope == "everyone" and row.date <= date.today()
        if closed and any(fnmatchcase(experiment.model, pattern) for pattern in row.models):
            what = f"{experiment.provider.profile} takes no new jobs of {experiment.model}"
            remedy = "stored answers can be graded again: --level scores; or train elsewhere: --provider"
            return Verdict(level, "impossible", (what, remedy), since=f"{row.date}")
    return None


def _tell_power(plan: Plan, emit: Emit) -> None:
    """Say what the items can prove before anything is spent."""
    for suite in plan.suites:
        margin = suite.suite.suite.compare.margin
        declared = "no margin is declared" if margin is None else f"declared: {margin * 100:g}"
        said = f"{suite.name}: {suite.n_items} items confirm a margin of about"
        said += f" {provable_margin(suite.n_items) * 100:.1f} points with 90 % probability ({declared})"
        emit(Notice(level="info", code="provable_margin", message=said))
