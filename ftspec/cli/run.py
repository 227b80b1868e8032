"""`ftspec run`: do the plan; the same command resumes it."""

import asyncio

import click

from ftspec.cli.arguments import Target, echo_json, experiment_argument, json_option, parse_target
from ftspec.cli.terminal import err_colour, is_live, out_colour

_PARTS = ("data", "baselines", "train", "evals")


@click.command(help="Do what `plan` shows. Stop it any time: the same command goes on and never does a job twice.")
@experiment_argument
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
    """Run the plan and print the table of scores."""
    from ftspec.report.problems import problem_lines
    from ftspec.report.progress import display
    from ftspec.report.results import result_lines
    from ftspec.spec.errors import Exit
    from ftspec.workflows.locking import require_lock, write_lock
    from ftspec.workflows.plan import make_plan
    from ftspec.workflows.results import collect
    from ftspec.workflows.run import ALL_PARTS, RunOptions, execute

    target = parse_target(words)
    if save and target.overrides:
        target = _saved(target)
    plan = make_plan(target.project, target.name, target.overrides)
    if locked:
        require_lock(plan)
    for line in problem_lines((p for p in plan.warnings if p.severity == "warning"), colour=err_colour()):
        click.echo(line, err=True)
    chosen = tuple(part for part in ALL_PARTS if part in only) or ALL_PARTS
    options = RunOptions(only=chosen, yes=yes, accept_unknown=accept_unknown)
    with display(is_live()) as show:
        report = asyncio.run(execute(plan, options, show))
    after = plan if plan.nothing_to_do else make_plan(target.project, target.name, target.overrides)
    results = collect(after)
    written = write_lock(after, results)
    if as_json:
        echo_json(results.to_json() | {"outcomes": {o.label: o.outcome for o in report.outcomes}})
    else:
        if plan.nothing_to_do:
            click.echo(f"{plan.name}: nothing to do, all {len(plan.runs)} runs are trained and scored")
        for line in result_lines(results, colour=out_colour()):
            click.echo(line)
        if written:
            names = " ".join(path.relative_to(target.project.root).as_posix() for path in written)
            click.echo(f"saved   commit {names}")
    for outcome in report.failed:
        for line in problem_lines(outcome.problems, colour=err_colour()):
            click.echo(f"{outcome.label}: {line}", err=True)
    return Exit.PARKED if report.failed else Exit.OK


def _saved(target: Target) -> Target:
    """Write the overrides into the YAML and return the target without them."""
    from ftspec.workflows.saving import save_overrides

    path = save_overrides(target.project, target.name, target.overrides)
    click.echo(f"saved   {' '.join(target.overrides)} in {path.relative_to(target.project.root).as_posix()}", err=True)
    return Target(target.project, target.name, ())
