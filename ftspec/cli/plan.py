"""`ftspec plan`: what would be trained, reused and proved, and what it costs."""

import shlex
from typing import TYPE_CHECKING, Any

import click

from ftspec.cli.arguments import Target, echo_json, experiments_argument, json_option, of_each, parse_targets
from ftspec.cli.terminal import err_colour, out_colour

if TYPE_CHECKING:
    from ftspec.workflows.plan import Plan


@click.command(help="Show what `run` would do: runs, data, cost, time, and what the evals can prove. Starts nothing.")
@experiments_argument
@click.option("--runs", "show_runs", is_flag=True, help="One line a run.")
@json_option
def command(words: tuple[str, ...], show_runs: bool, as_json: bool) -> None:
    """Print the plan of each experiment."""
    import ftspec.api as api

    targets = parse_targets(words)
    plans = of_each(targets, lambda target: api.plan(target.name, target.overrides, project=target.project.root))
    if as_json:
        shown = [_json(plan) for plan in plans]
        echo_json(shown[0] if len(shown) == 1 else {"schema": 1, "experiments": shown})
        return
    for number, (target, plan) in enumerate(zip(targets, plans, strict=True)):
        if number:
            click.echo()
        _show(target, plan, show_runs)


def _json(plan: "Plan") -> dict[str, Any]:
    from ftspec.workflows.locking import lock_warnings
    from ftspec.workflows.shapes import plan_json

    shown = plan_json(plan)
    return shown | {"problems": [*shown["problems"], *(problem.to_json() for problem in lock_warnings(plan))]}


def _show(target: Target, plan: "Plan", show_runs: bool) -> None:
    from ftspec.report.plan import plan_lines, run_lines
    from ftspec.report.problems import problem_lines
    from ftspec.workflows.locking import lock_warnings

    told = [problem for problem in (*plan.warnings, *lock_warnings(plan)) if problem.severity == "warning"]
    for line in problem_lines(told, colour=err_colour()):
        click.echo(line, err=True)
    for line in plan_lines(plan, colour=out_colour()):
        click.echo(line)
    if show_runs:
        click.echo()
        for line in run_lines(plan, colour=out_colour()):
            click.echo(line)
    words_again = shlex.join([target.name, *target.overrides])
    next_line = f"ftspec ls {target.name}" if plan.nothing_to_do else f"ftspec run {words_again}"
    where = f"ftspec compose {words_again} --where"
    click.echo(f"next    {next_line}    |    where a value comes from: {where}")
