"""A key never reaches a file of `runs/`: not from the environment, not from configuration, not from a dirty tree."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CANARY = "sk-proj-Canary0123456789abcdefXYZ"
ONE = """\
defaults: [config, override evals: [exact], _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ label }}"}]
  split: {validation: 4, test: 6}
hyperparameters: {n_epochs: 1}
"""


def holding(folder: Path, text: str) -> list[str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return [str(path.relative_to(folder)) for path in found if text.encode() in path.read_bytes()]


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_key_of_the_environment_or_of_a_dirty_tree_is_in_no_file(make_demo: Callable[..., Any]) -> None:
    demo = make_demo(24, ONE)
    git = ["git", "-C", str(demo.root), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    add(demo.root / "conf" / "evals" / "exact.yaml", "# a change\n")
    notes = demo.root / "notes.md"
    notes.write_text("nothing\n")
    subprocess.run([*git, "add", "notes.md"], check=True)
    notes.write_text(f"key: {CANARY}\n")
    names = ("OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "MY_PASSWORD", "FTSPEC_ANYTHING")
    done = demo.ftspec("run", "demo", **dict.fromkeys(names, CANARY))
    assert done.returncode == 0, done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert holding(demo.root / "runs", CANARY) == []
    assert holding(demo.root / "runs", "[removed]") != [], "the patch is kept, scrubbed"
    assert holding(demo.root / "experiments", CANARY) == []


@pytest.mark.parametrize("place", ["experiment", "suite", "prompt", "override"])
def test_a_key_in_configuration_is_refused_before_anything_is_kept(make_demo: Callable[..., Any], place: str) -> None:
    demo = make_demo(24, ONE)
    arguments = ["demo"]
    if place == "experiment":
        (demo.root / "experiments" / "demo.yaml").write_text(ONE + f"metadata: {{api: {CANARY}}}\n")
    elif place == "suite":
        add(demo.root / "conf" / "evals" / "exact.yaml", f"# {CANARY}\n")
    elif place == "prompt":
        (demo.root / "prompt.md").write_text(f"Say it.\nUse {CANARY}.\n")
        text = ONE.replace("messages: [", "messages: [{role: system, content: {file: prompt.md}}, ")
        (demo.root / "experiments" / "demo.yaml").write_text(text)
    else:
        arguments.append(f"description={CANARY}")
    done = demo.ftspec("run", *arguments, "--json")
    assert done.returncode == 65, done.stdout
    (problem,) = [found for found in json.loads(done.stdout)["error"] if found["code"] == "key_in_config"]
    where = {
        "experiment": ("experiments/demo.yaml", 8),
        "suite": ("conf/evals/exact.yaml", 4),
        "prompt": ("prompt.md", 2),
        "override": ("command line", 0),
    }
    assert (problem["file"], problem["line"]) == where[place]
    assert CANARY not in done.stdout + done.stderr
    assert holding(demo.root / "runs", CANARY) == []
