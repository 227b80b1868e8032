"""`ftspec show`: one run."""

import click
from click.shell_completion import CompletionItem

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.terminal import out_colour


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    try:
        from ftspec.runs.directory import run_directories

        names = [f"{run.experiment}/{run.label}" for run in run_directories(current_project().runs)]
    except Exception:  # runs while someone types: never in the way
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.command(help="Show one run: what it was, its data, its attempts and scores. RUN: a label, a digest, a folder.")
@click.argument("run", shell_complete=_complete)
@click.option("--config", "show_config", is_flag=True, help="Print its resolved config.yaml.")
@json_option
def command(run: str, show_config: bool, as_json: bool) -> None:
    """Print the run."""
    from ftspec.report.runs import show_lines
    from ftspec.workflows.look import show_run

    shown = show_run(current_project().runs, run)
    if as_json:
        echo_json(shown.to_json())
    elif show_config:
        click.echo(shown.config, nl=False)
    else:
        click.echo("\n".join(show_lines(shown, colour=out_colour())))
