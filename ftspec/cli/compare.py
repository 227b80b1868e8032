"""`ftspec compare`: two arms on the same items."""

import click

from ftspec.cli.arguments import current_project, echo_json, json_option
from ftspec.cli.completing import complete_sides
from ftspec.cli.terminal import out_colour


@click.command(
    help="Compare ARM with BASELINE item by item, from stored grades. Each is a run as in `show`, planned today or "
    "not, an arm without training (base, few_shot, majority), or '*' for the winner."
)
@click.argument("baseline", shell_complete=complete_sides)
@click.argument("arm", shell_complete=complete_sides)
@click.option("--experiment", "-e", multiple=True, help="Look here (may be repeated). Default: all experiments.")
@click.option("--flips", "show_flips", is_flag=True, help="Every item that only one of the two got right.")
@json_option
def command(baseline: str, arm: str, experiment: tuple[str, ...], show_flips: bool, as_json: bool) -> None:
    """Print the comparison."""
    from ftspec.report.comparison import comparison_lines
    from ftspec.workflows.comparison import compare_arms

    project = current_project()
    names = [project.name_of(name) for name in experiment] or project.experiment_names()
    found = compare_arms(project, names, baseline, arm)
    if as_json:
        echo_json(found.to_json())
        return
    for line in comparison_lines(found, show_flips=show_flips, colour=out_colour()):
        click.echo(line)
