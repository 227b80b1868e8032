"""docs/review.md: its session is run as printed, its table of gates is the policy's, its policy is valid."""

import os
import re
from pathlib import Path

import pytest

from ftspec.spec.policy import Policy
from ftspec.workflows.review.changes import (
    Changes,
    Data,
    Field,
    FieldGroup,
    Gate,
    Known,
    Overlap,
    Rows,
    Run,
    Sample,
    Source,
    Suite,
    Totals,
    Turned,
)
from ftspec.workflows.review.gates import read_policy
from tests.conftest import call_shell

_GIT = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_QUIET = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "CI": "true", "COLUMNS": "300"}


def steps(page: str) -> list[tuple[str, str]]:
    """Every command of the page's console blocks after the first, with what it prints."""
    found: list[tuple[str, str]] = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL)[1:]:
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            else:
                command, printed = found[-1]
                found[-1] = command, f"{printed}{line}\n"
    return found


def plain(text: str) -> str:
    """Commits are named by what else the demo holds."""
    return re.sub(r"\b[0-9a-f]{12}\b", "0123456789ab", text)


@pytest.mark.slow
def test_the_session_is_what_happens(repository: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    page = (repository / "docs" / "review.md").read_text()
    here = tmp_path
    for command, printed in steps(page):
        done = call_shell(command, here, _GIT | _QUIET)
        assert not done.stderr, done.stderr
        if request.config.getoption("--rewrite"):
            page = page.replace(f"$ {command}\n{printed}", f"$ {command}\n{plain(done.stdout)}")
        else:
            assert plain(done.stdout) == printed, command
        here = tmp_path / "demo"
    if request.config.getoption("--rewrite"):
        (repository / "docs" / "review.md").write_text(page)


def test_every_gate_is_told(repository: Path) -> None:
    page = (repository / "docs" / "review.md").read_text()
    told = {name for row in re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert set(Policy.model_fields) <= told
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert read_policy(example.encode()).max_runs == 40


def test_every_field_of_a_plan_is_told(repository: Path) -> None:
    page = (repository / "docs" / "json.md").read_text()
    told = set(re.findall(r"[a-z_]+", page))
    for shape in (
        Changes,
        Run,
        FieldGroup,
        Field,
        Data,
        Totals,
        Source,
        Rows,
        Sample,
        Suite,
        Known,
        Overlap,
        Gate,
        Turned,
    ):
        assert set(shape.__struct_fields__) <= told, shape.__name__
