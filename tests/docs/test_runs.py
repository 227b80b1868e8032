"""Every command of docs/runs.md, run as it stands there; `...` in its output stands for anything."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = """\
defaults: [config, override evals: [routing], _self_]
model: tiny
dataset:
  sources: [{path: data/tickets.jsonl, count: 30}]
  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ queue }}"}]
  split: {validation: 4, test: 6}
hyperparameters: {n_epochs: 1}
"""


def blocks(text: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each console block: the folder it is run in, its commands and what each prints."""
    found = []
    for folder, body in re.findall(r"^```console(?: in=(\w+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        parts = re.split(r"^\$ (.*)\n", body, flags=re.MULTILINE)[1:]
        found.append((folder or "demo", list(zip(parts[::2], parts[1::2], strict=True))))
    return found


def like(said: str, printed: str) -> bool:
    pattern = re.escape(said.rstrip("\n")).replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, "\n".join(line.rstrip() for line in printed.splitlines()), re.DOTALL) is not None


@pytest.mark.slow
def test_every_command_prints_what_the_page_says(repository: Path, tmp_path: Path) -> None:
    environment = os.environ | {"CI": "true", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def ftspec(*arguments: str, cwd: Path) -> None:
        subprocess.run(
            [sys.executable, "-m", "ftspec", *arguments], cwd=cwd, check=True, capture_output=True, env=environment
        )

    ftspec("init", "demo", cwd=tmp_path)
    (tmp_path / "demo" / "experiments" / "quickstart.yaml").write_text(SMALL)
    for name in ("other", "clone"):
        shutil.copytree(tmp_path / "demo", tmp_path / name)
    ftspec("run", "quickstart", cwd=tmp_path / "demo")
    found = blocks((repository / "docs" / "runs.md").read_text())
    assert sum(len(commands) for _, commands in found) >= 10
    for folder, commands in found:
        for command, said in commands:
            done = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path / folder, capture_output=True, text=True, env=environment
            )
            assert done.returncode == 0, (command, done.stderr)
            assert like(said, done.stdout), f"{command}\n{done.stdout}"
