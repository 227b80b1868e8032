"""`ftspec diff`: what changed between two git revisions."""

import click

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.terminal import out_colour
from ftspec.spec.errors import Exit


@click.command(
    help="Show what changed from BASE (default: the main branch) to HEAD (default: the working tree): runs to train, "
    "cost, data, evals. Reads git objects only; runs nothing, writes nothing."
)
@click.argument("base", required=False)
@click.argument("head", required=False)
@click.option("--exact", is_flag=True, help="Compare the two as given, not from where they parted.")
@click.option("--untrusted", is_flag=True, help="Compose in a child without network, environment and much memory.")
@click.option("--show-text", is_flag=True, help="Show learned words of some changed rows, and changed texts.")
@click.option("--markdown", is_flag=True, help="Write the comment instead of the terminal's table.")
@click.option("--names", is_flag=True, help="Write the names of experiments with something to train or to score.")
@click.option("--exit-code", is_flag=True, help="Exit 2 when something changed.")
@click.option("--key", default="default", help="Tells several comments of one pull request apart.")
@json_option
def command(
    base: str | None,
    head: str | None,
    exact: bool,
    untrusted: bool,
    show_text: bool,
    markdown: bool,
    names: bool,
    exit_code: bool,
    key: str,
    as_json: bool,
) -> int:
    """Print the review; exit 3 when a gate fails, 65 when an experiment of HEAD does not compose."""
    from ftspec.workflows.diff import Options, diff
    from ftspec.workflows.review.changes import to_json

    options = Options(exact=exact, untrusted=untrusted, show_text=show_text, key=key)
    changes = diff(current_project(), base, head, options)
    plain = to_json(changes)
    if as_json:
        echo_json(plain)
    elif names:
        work = {run.experiment for run in changes.of_kind("new", "retrain", "re-score")}
        for name in sorted(work):
            click.echo(name)
    elif markdown:
        from ftspec.report.markdown.comment import comment

        click.echo(comment(changes), nl=False)
    else:
        from ftspec.report.changes import change_lines

        for line in change_lines(changes, colour=out_colour()):
            click.echo(line)
    if changes.broken:
        return Exit.INVALID
    if changes.failed_gates:
        return Exit.GATE
    return Exit.CHANGES if exit_code and not changes.quiet else Exit.OK
