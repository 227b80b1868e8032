"""`ftspec ls`: all runs with their scores."""

import click

from ftspec.cli.arguments import complete_words, current_project, echo_json, json_option
from ftspec.cli.terminal import out_colour


@click.command(help="List all runs with status and scores, or those of one EXPERIMENT.")
@click.argument("experiment", required=False, shell_complete=complete_words)
@json_option
def command(experiment: str | None, as_json: bool) -> None:
    """Print the table."""
    from ftspec.report.runs import list_lines
    from ftspec.workflows.look import SCHEMA, list_runs

    project = current_project()
    runs = list_runs(project.runs, experiment)
    if as_json:
        echo_json({"schema": SCHEMA, "runs": [run.to_json() for run in runs]})
    elif runs:
        click.echo("\n".join(list_lines(runs, colour=out_colour())))
    else:
        where = f"of {experiment} " if experiment else ""
        click.echo(f"no runs {where}yet; next: ftspec run {experiment or 'EXPERIMENT'}")
