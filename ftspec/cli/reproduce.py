"""`ftspec reproduce`: do a run again and judge."""

import asyncio

import click

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.completing import complete_runs
from ftspec.cli.terminal import is_live, out_colour

_LEVELS = ("config", "inputs", "bits", "scores", "equivalent", "conclusion")


@click.command(
    help="Do a run again and say whether the result is the same. TARGET: a run (as in `show`), or from git and"
    " its lock alone NAME, NAME[LABEL], NAME@REV, NAME[LABEL]@REV. Exit codes 10 to 14 are verdicts."
)
@click.argument("target", shell_complete=complete_runs)
@click.argument("overrides", nargs=-1, metavar="[OVERRIDES]...", type=click.UNPROCESSED)
@click.option("--level", type=click.Choice(_LEVELS), default=None, help="How far to go; default bits.")
@click.option("--provider", help="Train on another provider: a transfer, judged by scores; OVERRIDES complete it.")
@click.option("--yes", is_flag=True, help="Agree to the cost of paid jobs.")
@click.option("--accept-unknown", is_flag=True, help="Go on where a price is unknown.")
@json_option
def command(
    target: str,
    overrides: tuple[str, ...],
    level: str | None,
    provider: str | None,
    yes: bool,
    accept_unknown: bool,
    as_json: bool,
) -> int:
    """Print the verdicts; the exit code is that of the worst."""
    from ftspec.report.progress import display
    from ftspec.report.reproduce import reproduction_lines
    from ftspec.spec.errors import UsageError
    from ftspec.workflows.reproduce import reproduce
    from ftspec.workflows.reproduction.case import ReproduceOptions

    if overrides and provider is None:
        raise UsageError("overrides", "a reproduction changes nothing", fix="overrides belong to --provider")
    chosen = level or ("equivalent" if provider else "bits")
    options = ReproduceOptions(
        level=chosen,  # type: ignore[arg-type]
        provider=provider,
        overrides=overrides,
        yes=yes,
        accept_unknown=accept_unknown,
    )
    with display(is_live()) as show:
        found = asyncio.run(reproduce(current_project(), target, options, show))
    if as_json:
        echo_json(found.to_json())
    else:
        for line in reproduction_lines(found, colour=out_colour()):
            click.echo(line)
    return int(found.verdict.exit_code)
