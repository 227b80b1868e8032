"""`ftspec report`: one HTML page of an experiment."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftspec.cli.arguments import echo_json, experiment_argument, json_option, parse_target

if TYPE_CHECKING:
    from ftspec.workflows.plan import Plan
    from ftspec.workflows.results import Results


@click.command(
    help="Write one HTML page of an experiment: scores with intervals, loss curves, flips, data, lint, provenance. "
    "It needs no other file and no network, so it can be mailed or attached."
)
@experiment_argument
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Default: runs/EXPERIMENT/report.html.")
@json_option
def command(words: tuple[str, ...], output: Path | None, as_json: bool) -> None:
    """Write the page and print its path."""
    from ftspec.workflows.plan import make_plan

    target = parse_target(words)
    plan = make_plan(target.project, target.name, target.overrides)
    path = write_report(plan, output=output)
    if as_json:
        echo_json({"schema": 1, "experiment": target.name, "report": path})
    else:
        click.echo(f"wrote   {path}")


def write_report(plan: "Plan", results: "Results | None" = None, *, output: Path | None = None) -> str:
    """Write the page of what lies on disk and return its path, as seen from here."""
    from ftspec.report.html.experiment import experiment_page
    from ftspec.storage import write_atomic
    from ftspec.workflows.account import account_of

    # What overrides on the command line ran is no part of the experiment: its page stays as it is.
    name = "report.overrides.html" if plan.composed.ad_hoc else "report.html"
    path = output or plan.project.runs / plan.name / name
    write_atomic(path, experiment_page(account_of(plan, results)))
    return os.path.relpath(path)
