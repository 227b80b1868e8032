"""`ftspec verify`: is every sealed file still what it was?"""

import click

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.completing import complete_runs
from ftspec.cli.terminal import is_live, out_colour


@click.command(help="Hash every sealed file again: all runs, or RUN (as in `show`, or an experiment).")
@click.argument("names", nargs=-1, metavar="[RUN]...", shell_complete=complete_runs)
@json_option
def command(names: tuple[str, ...], as_json: bool) -> int:
    """Print one line a run; exit 4 unless all are intact."""
    from ftspec.report.problems import visible
    from ftspec.report.progress import display
    from ftspec.report.style import columns, paint
    from ftspec.spec.errors import Exit
    from ftspec.workflows.verify import SCHEMA, verify_runs

    project = current_project()
    with display(is_live()) as show:
        found = verify_runs(project.runs, names, show)
    bad = [one for one in found if one.state != "intact"]
    if as_json:
        echo_json({"schema": SCHEMA, "intact": not bad, "runs": [one.to_json() for one in found]})
        return Exit.STALE if bad else Exit.OK
    rows = []
    for one in found:
        folder = one.folder.relative_to(project.runs) if one.folder.is_relative_to(project.runs) else one.folder
        state = paint(one.state, "green" if one.state == "intact" else "red", out_colour())
        rows.append([state, visible(str(folder))])
        rows += [["", f"  {visible(fault)}"] for fault in one.faults()]
    if rows:
        click.echo("\n".join(columns(rows)))
    click.echo(f"{len(found) - len(bad)} of {len(found)} intact")
    return Exit.STALE if bad else Exit.OK
