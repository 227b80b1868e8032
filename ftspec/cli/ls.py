"""`ftspec ls`: all runs with their scores."""

import click

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.completing import complete_experiments
from ftspec.cli.terminal import out_colour

_STATUSES = ("trained", "failed", "running", "interrupted", "planned", "unreadable")


@click.command(help="List all runs with status and scores, newest first, or those of one EXPERIMENT.")
@click.argument("experiment", required=False, shell_complete=complete_experiments)
@click.option("--label", metavar="PATTERN", help="Only runs whose label matches, such as '*lr=0.2*'.")
@click.option(
    "--where", multiple=True, metavar="KEY=VALUE", help="Only runs at this point of a sweep (may be repeated)."
)
@click.option("--status", type=click.Choice(_STATUSES), help="Only runs that stand so.")
@click.option("--sort", default="newest", metavar="ORDER", help="newest, name, loss, or a suite: best score first.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@json_option
def command(
    experiment: str | None,
    label: str | None,
    where: tuple[str, ...],
    status: str | None,
    sort: str,
    limit: int | None,
    as_json: bool,
) -> None:
    """Print the table."""
    from ftspec.report.runs import list_lines
    from ftspec.runs.planned import read_planned
    from ftspec.workflows.listing import SCHEMA, Wanted, list_runs

    project = current_project()
    planned = read_planned(project.experiments)
    runs = list_runs(project.runs, Wanted(experiment, label, status, where, sort, limit), planned)
    if as_json:
        also = [list(map(str, planned.also(run.experiment, run.label, run.train))) for run in runs]
        rows = [run.to_json(project.runs) | {"also": names} for run, names in zip(runs, also, strict=True)]
        echo_json({"schema": SCHEMA, "runs": rows})
    elif runs:
        click.echo("\n".join(list_lines(runs, planned, experiment, colour=out_colour())))
    elif label or where or status:
        click.echo("no run is like that; without options `ftspec ls` lists all")
    else:
        of = f"of {experiment} " if experiment else ""
        click.echo(f"no runs {of}yet; next: ftspec run {experiment or 'EXPERIMENT'}")
