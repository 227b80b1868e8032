"""`store:` through real commands: `run` pushes what it seals, a fresh clone pulls and has nothing to do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ONE = """\
defaults: [config, override evals: [exact], _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ label }}"}]
  split: {validation: 4, test: 6}
hyperparameters: {n_epochs: 1}
store: ../shared/runs
"""


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def trained(build_demo: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that was pushed once its store could be reached."""
    demo = build_demo(tmp_path_factory.mktemp("store") / "project", 24, ONE)
    shared = demo.root.parent / "shared"
    shared.write_text("no folder: the store is away")
    away = demo.call("run", "demo", "--json")
    assert away.returncode == 75
    answer = json.loads(away.stdout)
    assert answer["runs"][0]["status"] == "trained"
    assert answer["unsent"][0]["code"] in {"storage", "file_exists"}
    shared.unlink()
    assert "nothing to do" in demo.call("run", "demo").stdout
    return demo


@pytest.fixture
def stored(trained: Any, tmp_path: Path) -> Any:
    """A copy of it with its store beside it, to work on."""
    shutil.copytree(trained.root.parent, tmp_path / "team", symlinks=True)
    return type(trained)(tmp_path / "team" / "project")


def test_run_pushes_and_a_clone_pulls(stored: Any) -> None:
    demo = stored
    shared = demo.root.parent / "shared"
    held = files(shared)
    assert len([name for name in held if name.endswith(".tar")]) == 3
    shutil.rmtree(shared)
    assert demo.call("run", "demo").returncode == 0
    assert not shared.exists(), "what is known to be there is not asked for again"
    assert demo.call("runs", "push").returncode == 0
    assert files(shared) == held

    clone = type(demo)(demo.root.parent / "clone")
    shutil.copytree(demo.root, clone.root, ignore=shutil.ignore_patterns("runs"))
    pulled = clone.json("runs", "pull")
    assert {one["how"] for one in pulled["folders"]} == {"new"}
    assert clone.json("verify")["intact"] is True
    assert "nothing to do" in clone.call("run", "demo", "--locked").stdout
    assert clone.jobs() == []
    assert clone.scores() == demo.scores()

    scored = (clone.root / "conf" / "evals" / "exact.yaml").read_text().replace("label", "string_check")
    (clone.root / "conf" / "evals" / "exact.yaml").write_text(scored)
    assert clone.call("run", "demo").returncode == 0
    assert clone.keys_posted() == 0, "the pulled weights answer without a training"
    back = demo.json("runs", "pull")
    assert [one["how"] for one in back["folders"]] == ["new", "new"]
    assert demo.json("verify")["intact"] is True


def test_a_reproduction_pushes_what_it_seals(stored: Any, tmp_path: Path) -> None:
    again = stored.json("reproduce", "default")
    assert again["verdict"]["verdict"] == "reproduced"
    held = [name for name in files(stored.root.parent / "shared") if name.endswith(".tar")]
    assert len(held) == 5
    assert any("/attempts.002." in name for name in held)
    shutil.rmtree(stored.root.parent / "shared")
    (stored.root.parent / "shared").write_text("no folder: the store is away")
    away = stored.json("reproduce", "default")
    assert away["verdict"]["verdict"] == "reproduced"
    (told,) = [note for note in away["subjects"][0]["notes"] if "not pushed" in note]
    assert "`ftspec runs push` does it" in told
