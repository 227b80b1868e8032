"""`ftspec show`: one run."""

import click

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.completing import complete_runs
from ftspec.cli.terminal import out_colour


@click.command(
    help="Show one run: what it was, its data, its attempts and scores. RUN: its label where it lies or in any "
    "experiment that plans it, EXPERIMENT/LABEL or EXPERIMENT[LABEL], the beginning of its digest, its folder."
)
@click.argument("run", shell_complete=complete_runs)
@click.option("--config", "show_config", is_flag=True, help="Print its resolved config.yaml.")
@json_option
def command(run: str, show_config: bool, as_json: bool) -> int:
    """Print the run; exit 4 where it was altered."""
    from ftspec.report.runs import show_lines
    from ftspec.spec.errors import Exit
    from ftspec.workflows.look import show_run

    shown = show_run(current_project().runs, run)
    if as_json:
        echo_json(shown.to_json())
    elif show_config:
        click.echo(shown.config, nl=False)
    else:
        click.echo("\n".join(show_lines(shown, colour=out_colour())))
    return Exit.STALE if shown.altered else Exit.OK
