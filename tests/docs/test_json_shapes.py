"""docs/json.md names the top-level fields of every --json output, and the outputs have them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ftspec.cli.main import cli


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh project."""
    place = tmp_path_factory.mktemp("json")
    subprocess.run([sys.executable, "-m", "ftspec", "init", "demo"], cwd=place, check=True, capture_output=True)
    return place / "demo"


def test_every_command_with_json_has_a_row(repository: Path) -> None:
    context = click.Context(cli)
    text = (repository / "docs" / "json.md").read_text()
    missing = []
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        subs = command.commands.items() if isinstance(command, click.Group) else [("", command)]
        for sub, leaf in subs:
            full = f"ftspec {name} {sub}".strip()
            if any("--json" in parameter.opts for parameter in leaf.params) and f"| `{full} --json` |" not in text:
                missing.append(full)
    assert not missing


@pytest.mark.parametrize("verb", ["validate", "plan quickstart", "ls", "doctor", "lock", "verify", "init other"])
def test_top_level_fields_are_documented(verb: str, project: Path, repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ftspec", *verb.split(), "--json"],
        cwd=project,
        capture_output=True,
        text=True,
        env=os.environ | {"CI": "true"},
    )
    found = json.loads(done.stdout)
    name = verb.split()[0]
    row = re.search(
        rf"^\| `ftspec {name} --json` \| (.*) \|$", (repository / "docs" / "json.md").read_text(), re.MULTILINE
    )
    assert row is not None
    documented = set(re.findall(r"`([a-z_]+)", row[1]))
    assert set(found) == documented


@pytest.mark.parametrize("shape", ["Changes", "Run", "Data", "Totals", "Rows", "Source", "Sample", "Suite"])
def test_every_field_of_a_plan_is_documented(shape: str, repository: Path) -> None:
    from ftspec.workflows.review import changes

    text = (repository / "docs" / "json.md").read_text()
    named = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]*)`", text))))
    assert set(getattr(changes, shape).__struct_fields__) <= named
