"""`ftspec init`: a project that a team can push."""

from pathlib import Path

import click

from ftspec.cli.arguments import echo_json, json_option


@click.command(help="Start a project in FOLDER: one experiment that runs as it is, its data and its evals.")
@click.argument("folder", type=click.Path(path_type=Path), default=Path("."))
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Write the project and say what to do next."""
    from ftspec.workflows.start import start_project

    started = start_project(folder)
    if as_json:
        echo_json({"schema": 1, "folder": str(folder), "files": list(started.files)})
        return
    for name in started.files:
        click.echo(f"wrote   {folder / name}")
    enter = "" if folder == Path(".") else f"cd {folder} && "
    click.echo(f"next    {enter}ftspec run quickstart")
