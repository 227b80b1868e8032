"""`ftspec validate`: compose, check and lint; every mistake at once."""

from typing import TYPE_CHECKING

import click

from ftspec.cli.arguments import (
    Target,
    current_project,
    echo_json,
    experiments_argument,
    gathered,
    json_option,
    parse_targets,
)
from ftspec.cli.terminal import err_colour

if TYPE_CHECKING:
    from ftspec.workflows.plan import Plan


@click.command(help="Check experiment and data: every mistake at once, with its place. No network, no code of yours.")
@experiments_argument
@click.option("--all", "everything", is_flag=True, help="Every experiment of the project.")
@json_option
def command(words: tuple[str, ...], everything: bool, as_json: bool) -> int:
    """Print what is wrong, or that nothing is."""
    import ftspec.api as api
    from ftspec.report.problems import problem_lines
    from ftspec.spec.errors import Exit
    from ftspec.workflows.locking import lock_warnings

    def plan_of(target: Target) -> "Plan":
        return api.plan(target.name, target.overrides, project=target.project.root)

    targets = parse_targets((*current_project().experiment_names(), *words) if everything else words)
    plans, wrong = gathered(targets, plan_of)
    if wrong is not None and not plans:
        raise wrong
    told = [problem for plan in plans for problem in (*plan.warnings, *lock_warnings(plan))]
    counts = [(plan.name, len(plan.runs)) for plan in plans]
    if as_json:
        problems = [*told, *(wrong.problems if wrong is not None else ())]
        valid = [{"experiment": name, "runs": runs} for name, runs in counts]
        echo_json({"schema": 1, "valid": valid, "problems": [problem.to_json() for problem in problems]})
        return wrong.exit_code if wrong is not None else Exit.OK
    for line in problem_lines(told, colour=err_colour()):
        click.echo(line, err=True)
    for name, runs in counts:
        click.echo(f"{name}: valid, {runs} run{'s' if runs != 1 else ''}")
    if wrong is not None:
        raise wrong
    return Exit.OK
