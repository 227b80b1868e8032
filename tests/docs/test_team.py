"""docs/team.md: every command in its order, in a real repository with a remote; the lines it shows are printed."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ftspec.spec.policy import Policy
from tests.conftest import call_shell


def page(repository: Path) -> str:
    return (repository / "docs" / "team.md").read_text()


def commands(block: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines that it is said to print."""
    found: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif line != "...":
            found[-1][1].append(line)
    return found


def smaller(project: Path) -> None:
    """The sample project in a size that trains in two seconds."""
    rows = (project / "data/tickets.jsonl").read_text().splitlines(keepends=True)
    (project / "data/tickets.jsonl").write_text("".join(rows[:120]))
    path = project / "experiments/quickstart.yaml"
    text = path.read_text()
    assert "[1, 3]" in text  # which the page changes
    path.write_text(text.replace("[auto, 0.02, 0.2]", "[0.2]").replace("test: 100", "test: 40"))


@pytest.mark.slow
def test_the_commands_of_the_page_work_in_their_order(repository: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```console\n(.*?)```", page(repository), re.DOTALL)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", "origin.git"], cwd=tmp_path, check=True)
    person = {f"GIT_{who}_{what}": "dana@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = person | {"CI": "true", "GIT_CONFIG_GLOBAL": os.devnull}
    here = tmp_path
    for block in blocks:
        for command, printed in commands(block):
            done = call_shell(command, here, environment)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            for line in printed:
                assert line in done.stdout.splitlines(), f"{command}\n{done.stdout}"
            if command.startswith("cd "):
                here = (here / command[3:]).resolve()
            if command.startswith("ftspec init"):
                smaller(tmp_path / "bank")
            if command.startswith("git init"):
                subprocess.run(["git", "remote", "add", "origin", "../origin.git"], cwd=here, check=True)
            if command.startswith('git commit -m "Scores"'):
                subprocess.run(["git", "push", "-q", "origin", "main"], cwd=here, check=True)
    assert "0 to train, 2 reused" in call_shell("ftspec plan", here, environment).stdout


def test_the_policy_of_the_page_is_one_and_names_every_gate(repository: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", page(repository), re.DOTALL)
    value = yaml.safe_load(text)
    Policy.model_validate(value)
    assert set(Policy.model_fields) == set(value)
