"""`ftspec doctor`: what this machine has, and which dates of providers matter."""

import dataclasses
import os
from datetime import date
from pathlib import Path

import click

from ftspec.cli.arguments import echo_json, json_option
from ftspec.cli.terminal import out_colour

_COLOUR = {"ok": "green", "warning": "yellow", "failed": "red", "info": "dim"}


@click.command(help="Look at interpreter, packages, disk, base model, keys and providers' dates.")
@json_option
def command(as_json: bool) -> int:
    """Print the findings; exit 1 if something keeps ftspec from working."""
    from ftspec.compose.project import Project
    from ftspec.report.style import columns, paint
    from ftspec.spec.errors import Exit, UsageError
    from ftspec.workflows.examine import examine

    try:
        folder = Project.find(Path.cwd()).runs
    except UsageError:
        folder = Path.cwd() / "runs"
    findings = list(examine(folder, os.environ, date.today()))
    if as_json:
        echo_json({"schema": 1, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        rows = [
            [paint(f.status, _COLOUR[f.status], out_colour()), f.subject, f.detail + (f"; {f.fix}" if f.fix else "")]
            for f in findings
        ]
        click.echo("\n".join(columns(rows)))
    return Exit.FAILED if any(finding.status == "failed" for finding in findings) else Exit.OK
