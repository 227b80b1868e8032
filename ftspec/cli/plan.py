"""`ftspec plan`: what would be trained, reused and proved, and what it costs."""

import click

from ftspec.cli.arguments import echo_json, experiment_argument, json_option, parse_target
from ftspec.cli.terminal import err_colour, out_colour


@click.command(help="Show what `run` would do: runs, data, cost, time, and what the evals can prove. Starts nothing.")
@experiment_argument
@click.option("--runs", "show_runs", is_flag=True, help="One line a run.")
@json_option
def command(words: tuple[str, ...], show_runs: bool, as_json: bool) -> None:
    """Print the plan."""
    from ftspec.report.plan import plan_lines, run_lines
    from ftspec.report.problems import problem_lines
    from ftspec.workflows.locking import lock_warnings
    from ftspec.workflows.plan import make_plan
    from ftspec.workflows.shapes import plan_json

    target = parse_target(words)
    plan = make_plan(target.project, target.name, target.overrides)
    stale = lock_warnings(plan)
    if as_json:
        shown = plan_json(plan)
        echo_json(shown | {"problems": [*shown["problems"], *(problem.to_json() for problem in stale)]})
        return
    told = [problem for problem in (*plan.warnings, *stale) if problem.severity == "warning"]
    for line in problem_lines(told, colour=err_colour()):
        click.echo(line, err=True)
    for line in plan_lines(plan, colour=out_colour()):
        click.echo(line)
    if show_runs:
        click.echo()
        for line in run_lines(plan, colour=out_colour()):
            click.echo(line)
    words_again = " ".join([target.name, *target.overrides])
    next_line = f"ftspec ls {target.name}" if plan.nothing_to_do else f"ftspec run {words_again}"
    where = f"ftspec compose {words_again} --where"
    click.echo(f"next    {next_line}    |    where a value comes from: {where}")
