"""`ftspec run`: do the plan; the same command resumes it."""

import asyncio
import shlex
from typing import TYPE_CHECKING, Any

import click

from ftspec.cli.arguments import Target, echo_json, experiments_argument, json_option, of_each, parse_targets
from ftspec.cli.terminal import err_colour, is_live, out_colour

if TYPE_CHECKING:
    from ftspec.workflows.plan import Plan
    from ftspec.workflows.results import Results

_PARTS = ("data", "baselines", "train", "evals")


@click.command(help="Do what `plan` shows. Stop it any time: the same command goes on and never does a job twice.")
@experiments_argument
@click.option("--only", multiple=True, type=click.Choice(_PARTS), help="Do just this part (may be repeated).")
@click.option("--yes", is_flag=True, help="Agree to the cost of paid jobs.")
@click.option("--accept-unknown", is_flag=True, help="Go on where a price is unknown.")
@click.option("--locked", is_flag=True, help="For CI: refuse (exit 4) unless the lock describes exactly this plan.")
@click.option("--save", is_flag=True, help="Write the overrides into the experiment's YAML first.")
@json_option
def command(
    words: tuple[str, ...],
    only: tuple[str, ...],
    yes: bool,
    accept_unknown: bool,
    locked: bool,
    save: bool,
    as_json: bool,
) -> int:
    """Run the plans, one experiment after the other, and print each table of scores."""
    import ftspec.api as api
    from ftspec.report.problems import problem_lines, warnings_counted
    from ftspec.report.progress import display
    from ftspec.spec.errors import Exit
    from ftspec.workflows.fetch import plan_with_data
    from ftspec.workflows.locking import require_lock
    from ftspec.workflows.run import ALL_PARTS, RunOptions, check_budget

    targets = parse_targets(words)
    if save and targets[0].overrides:
        targets = tuple(of_each(targets, _saved))
    chosen = tuple(part for part in ALL_PARTS if part in only) or ALL_PARTS
    options = RunOptions(only=chosen, yes=yes, accept_unknown=accept_unknown)

    def plan_of(target: Target) -> "Plan":
        plan = asyncio.run(plan_with_data(target.project, target.name, target.overrides, _tell, paid=yes))
        if locked:
            require_lock(plan)
        return plan

    def checked(target: Target) -> None:
        check_budget(plans[target.name], options)

    # Nothing is started before the last experiment is known to be right.
    plans = dict(zip((target.name for target in targets), of_each(targets, plan_of), strict=True))
    for target in targets:
        if said := warnings_counted(plans[target.name].warnings):
            again = shlex.join([target.name, *target.overrides])
            click.echo(f"{target.name}: {said}, shown by `ftspec validate {again}`", err=True)
    of_each(targets, checked)

    def done(target: Target) -> "Results":
        # What an earlier experiment trained is reused by a later one.
        plan = plans[target.name] if target is targets[0] else plan_of(target)
        with display(is_live()) as show:
            results = api.run(plan, options=options, emit=show)
        if not as_json:
            _show(target, plan, results)
        for outcome in results.failed:
            for line in problem_lines(outcome.problems, colour=err_colour()):
                click.echo(f"{outcome.label}: {line}", err=True)
        for line in problem_lines(results.unsent, colour=err_colour()):
            click.echo(line, err=True)
        return results

    finished = of_each(targets, done)
    if as_json:
        shown = [_json(results) for results in finished]
        echo_json(shown[0] if len(shown) == 1 else {"schema": 1, "experiments": shown})
    return Exit.PARKED if any(results.failed or results.unsent for results in finished) else Exit.OK


def _json(results: "Results") -> dict[str, Any]:
    outcomes = {outcome.label: outcome.outcome for outcome in results.outcomes}
    return results.to_json() | {"outcomes": outcomes, "unsent": [problem.to_json() for problem in results.unsent]}


def _show(target: Target, plan: "Plan", results: "Results") -> None:
    from ftspec.report.results import result_lines

    if plan.nothing_to_do:
        several = f"all {len(plan.runs)} runs are" if len(plan.runs) > 1 else "its run is"
        click.echo(f"{plan.name}: nothing to do, {several} trained and scored")
    for line in result_lines(results, colour=out_colour()):
        click.echo(line)
    if results.saved:
        names = " ".join(path.relative_to(target.project.root).as_posix() for path in results.saved)
        click.echo(f"saved   commit {names}")
    if results.winner is not None:
        _report(plan, results)


def _report(plan: "Plan", results: "Results") -> None:
    """Write the HTML page. A run whose page cannot be written is no failed run: the command to write it is named."""
    from dataclasses import replace

    from ftspec.cli.report import write_report
    from ftspec.spec.errors import StorageError
    from ftspec.workflows.plan import draft_plan

    try:
        now = plan
        if not plan.nothing_to_do:  # what is on disk now; warnings have their places already
            now = replace(draft_plan(plan.project, plan.name, plan.composed.overrides), warnings=plan.warnings)
        click.echo(f"report  {write_report(now, results)}")
    except StorageError as error:
        click.echo(f"report  not written: {error.problems[0].message}; later: ftspec report {plan.name}", err=True)


def _tell(event: Any) -> None:
    click.echo(event.message, err=True)


def _saved(target: Target) -> Target:
    """Write the overrides into the YAML and return the target without them."""
    from ftspec.workflows.saving import save_overrides

    path = save_overrides(target.project, target.name, target.overrides)
    click.echo(f"saved   {' '.join(target.overrides)} in {path.relative_to(target.project.root).as_posix()}", err=True)
    return Target(target.project, target.name, ())
