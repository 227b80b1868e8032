"""`ftspec new`: an experiment from a data file, or from another tool's configuration."""

from pathlib import Path

import click

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.terminal import err_colour, out_colour


@click.command(
    help="Write experiments/NAME.yaml from a data file (chat or raw rows: .jsonl, .csv, .json), an OpenAI fine-tuning "
    "job's JSON, an axolotl configuration or a Hydra overlay with package headers."
)
@click.argument("name")
@click.option("--from", "source", required=True, type=click.Path(path_type=Path), metavar="FILE", help="What to read.")
@click.option("--input", "input_", metavar="COLUMN", help="Raw rows: the column that is asked.")
@click.option("--output", metavar="COLUMN", help="Raw rows: the column that answers.")
@click.option("--system", metavar="TEXT|FILE", help="Raw rows: instructions, or a file of the project that holds them.")
@click.option("--data", metavar="FILE", help="Configurations: a local copy of the training data.")
@json_option
def command(
    name: str,
    source: Path,
    input_: str | None,
    output: str | None,
    system: str | None,
    data: str | None,
    as_json: bool,
) -> int:
    """Write the experiment; say what was chosen, what has no equal, and what the data looks like."""
    from ftspec.report.new import created_json, created_lines, shown_problems
    from ftspec.report.problems import problem_lines
    from ftspec.spec.errors import Exit
    from ftspec.workflows.new import Options, new_experiment

    created = new_experiment(current_project(), name, source, Options(input_, output, system, data))
    if as_json:
        echo_json(created_json(created))
    else:
        for line in created_lines(created, colour=out_colour()):
            click.echo(line)
        for line in problem_lines(shown_problems(created), colour=err_colour()):
            click.echo(line, err=True)
    return Exit.OK if created.plan is not None else Exit.INVALID
