"""`ftspec compose`: the resolved experiment before any run."""

import click

from ftspec.cli.arguments import echo_json, experiment_argument, json_option, parse_target
from ftspec.cli.completing import complete_labels
from ftspec.cli.terminal import out_colour


@click.command(help="Show the resolved experiment; --where says which file and line set each value.")
@experiment_argument
@click.option("--where", "show_where", is_flag=True, help="One value a line with its file:line:column.")
@click.option(
    "--run",
    "label",
    metavar="RUN",
    shell_complete=complete_labels,
    help="One point of the sweep instead of the base, by its label or another name of its run.",
)
@json_option
def command(words: tuple[str, ...], show_where: bool, label: str | None, as_json: bool) -> None:
    """Print YAML, JSON, or the table of sites."""
    import yaml

    import ftspec.api as api
    from ftspec.compose import where
    from ftspec.report.problems import visible
    from ftspec.report.style import columns, paint
    from ftspec.workflows.choose import point_of

    target = parse_target(words)
    composed = api.load(target.name, target.overrides, project=target.project.root)
    point = point_of(target.project, composed, label) if label else None
    config = point.config if point else composed.config
    if show_where:
        overrides = point.overrides if point else target.overrides
        sites = where(target.project, target.name, overrides)
        if as_json:
            echo_json(
                [{"path": s.path, "value": s.value, "file": s.file, "line": s.line, "column": s.column} for s in sites]
            )
            return
        rows = [[s.path, visible(str(s.value))[:60], paint(s.site, "dim", out_colour())] for s in sites]
        click.echo("\n".join(columns(rows)))
    elif as_json:
        echo_json(config)
    else:
        click.echo(yaml.safe_dump(config, sort_keys=False, allow_unicode=True, width=120), nl=False)
