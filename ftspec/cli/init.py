"""`ftspec init`: a project that a team can push."""

from pathlib import Path

import click

from ftspec.cli.arguments import echo_json, json_option


@click.command(
    help="Start a project in FOLDER: one experiment that runs as it is, its data, its evals, and a recipe for CI. In a "
    "project that is there already, --ci adds the recipe alone."
)
@click.argument("folder", type=click.Path(path_type=Path), default=Path("."))
@click.option(
    "--ci",
    type=click.Choice(["github", "forks", "gitlab", "none"]),
    help="Review in CI: GitHub for branches of one repository (the default), GitHub with forks, GitLab, or none.",
)
@json_option
def command(folder: Path, ci: str | None, as_json: bool) -> None:
    """Write the project, or a recipe into one, and say what to do next."""
    from ftspec.workflows.recipes import KINDS
    from ftspec.workflows.start import add_recipe, start_project

    kind = next((one for one in KINDS if one == (ci or "github")), None)
    there = (folder / "experiments").is_dir()
    started = add_recipe(folder, kind) if ci and kind and there else start_project(folder, kind)
    if as_json:
        echo_json({"schema": 1, "folder": str(folder), "files": list(started.files)})
        return
    for name in started.files:
        click.echo(f"wrote   {folder / name}")
    enter = "" if folder == Path(".") else f"cd {folder} && "
    if there:
        click.echo("next    commit and push: pull requests get a plan")
        return
    click.echo(f"next    {enter}ftspec run quickstart")
    click.echo("then    git init, and commit: plans and diffs compare with what is committed")
    click.echo("        ftspec new NAME --from FILE: an experiment on your own data")
