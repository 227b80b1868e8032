"""`ftspec pick`: the winner of an experiment by its declared rule."""

import click

from ftspec.cli.arguments import echo_json, experiment_argument, json_option, parse_target
from ftspec.cli.terminal import out_colour


@click.command(help="Name the winner by the rule of `sweep.select`: its model, its folder, and how sure the choice is.")
@experiment_argument
@json_option
def command(words: tuple[str, ...], as_json: bool) -> None:
    """Print the winner; exit 1 while nothing is trained."""
    from ftspec.report.results import winner_lines
    from ftspec.spec.errors import FtspecError
    from ftspec.workflows.plan import make_plan
    from ftspec.workflows.results import SCHEMA, collect

    target = parse_target(words)
    results = collect(make_plan(target.project, target.name, target.overrides))
    if results.winner is None:
        fix = f"ftspec run {target.name}"
        raise FtspecError("no_winner", f"no run of {target.name} that the rule could choose is trained", fix=fix)
    if as_json:
        pick = results.pick.to_json() if results.pick else None
        echo_json({"schema": SCHEMA, "experiment": target.name, "winner": results.winner.to_json(), "pick": pick})
        return
    for line in winner_lines(results, results.winner, colour=out_colour()):
        click.echo(line)
