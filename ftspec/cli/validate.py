"""`ftspec validate`: compose, check and lint; every mistake at once."""

import click

from ftspec.cli.arguments import current_project, echo_json, experiment_argument, json_option, parse_target
from ftspec.cli.terminal import err_colour


@click.command(help="Check experiment and data: every mistake at once, with its place. No network, no code of yours.")
@experiment_argument
@click.option("--all", "everything", is_flag=True, help="Every experiment of the project.")
@json_option
def command(words: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Print what is wrong, or that nothing is."""
    from ftspec.cli.arguments import Target
    from ftspec.report.problems import problem_lines
    from ftspec.spec.errors import FtspecError, Problem, SpecError
    from ftspec.workflows.locking import lock_warnings
    from ftspec.workflows.plan import make_plan

    if everything:
        project = current_project()
        targets = [Target(project, name, words) for name in project.experiment_names()]
    else:
        targets = [parse_target(words)]
    problems: list[Problem] = []
    counts = []
    for target in targets:
        try:
            plan = make_plan(target.project, target.name, target.overrides)
        except FtspecError as error:
            if len(targets) == 1:
                raise
            problems += error.problems
        else:
            problems += [*plan.warnings, *lock_warnings(plan)]
            counts.append((target.name, len(plan.runs)))
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        valid = [{"experiment": name, "runs": runs} for name, runs in counts]
        echo_json({"schema": 1, "valid": valid, "problems": [p.to_json() for p in problems]})
    else:
        for line in problem_lines((p for p in problems if p not in errors), colour=err_colour()):
            click.echo(line, err=True)
        for name, runs in counts:
            click.echo(f"{name}: valid, {runs} run{'s' if runs != 1 else ''}")
    if errors:
        raise SpecError.many(errors)
