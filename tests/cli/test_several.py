"""Several experiments in one command: each with its own sweep, all mistakes at once, shared work done once."""

import json
import shutil
from pathlib import Path

import pytest

from ftspec.cli.main import main
from ftspec.workflows.start import start_project


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two experiments over one data set; `short` is one point of `quickstart`."""
    start_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    text = (tmp_path / "experiments" / "quickstart.yaml").read_text()
    short = (
        text.replace("[1, 3]", "[1]").replace("[auto, 0.02, 0.2]", "[auto]").replace("evals: [routing]", "evals: []")
    )
    (tmp_path / "experiments" / "short.yaml").write_text(short)
    return tmp_path


@pytest.mark.parametrize("words", [["quickstart,short"], ["quickstart", "short"], ["quickstart", "short", "short"]])
def test_each_has_its_own_sweep(demo: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *words, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(plan["experiment"], len(plan["runs"])) for plan in shown["experiments"]] == [
        ("quickstart", 6),
        ("short", 1),
    ]


def test_overrides_hold_for_each(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "quickstart,short", "seed=1,2"]) == 0
    assert capsys.readouterr().out == "quickstart: valid, 12 runs\nshort: valid, 2 runs\n"


def test_validate_without_a_name_checks_every_experiment(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate"]) == 0
    assert capsys.readouterr().out == "quickstart: valid, 6 runs\nshort: valid, 1 run\n"
    assert main(["run"]) == 64
    assert "say which experiment" in capsys.readouterr().err


def test_mistakes_of_all_at_once(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (demo / "experiments" / "short.yaml").open("a") as file:
        file.write("repeats: 0\n")
    assert main(["run", "quickstart", "short", "weights=asistant"]) == 65
    assert [line.split(": ")[1:3] for line in capsys.readouterr().err.splitlines()] == [
        ["experiments/short.yaml:20:1", "repeats"],
        ["command line", "weights"],
    ]
    assert not (demo / "runs" / "quickstart").exists()


def test_a_mistake_that_only_some_have_says_whose(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = demo / "experiments" / "short.yaml"
    path.write_text(path.read_text().replace("description:", "weights: {train_on: assistant}\ndescription:"))
    assert main(["plan", "quickstart,short", "weights=last_assistant_turn"]) == 65
    said = capsys.readouterr().err
    assert "command line: weights: the choice last_assistant_turn has no effect" in said
    assert "(in short)" in said


def test_valid_ones_are_shown_beside_the_mistakes(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(demo / "experiments" / "short.yaml", demo / "experiments" / "worse.yaml")
    with (demo / "experiments" / "worse.yaml").open("a") as file:
        file.write("foo: 1\n")
    assert main(["validate", "--all", "--json"]) == 65
    shown = json.loads(capsys.readouterr().out)
    assert [one["experiment"] for one in shown["valid"]] == ["quickstart", "short"]
    assert [one["path"] for one in shown["problems"] if one["severity"] == "error"] == ["foo"]


def test_verbs_for_one_experiment_say_so(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compose", "quickstart", "short"]) == 64
    assert "one experiment at a time" in capsys.readouterr().err


@pytest.mark.slow
def test_what_two_share_is_trained_once(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twin = (demo / "experiments" / "short.yaml").read_text()
    (demo / "experiments" / "twin.yaml").write_text(twin)
    assert main(["run", "short,twin", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [list(one["outcomes"].values()) for one in shown["experiments"]] == [["trained"], ["reused"]]


def test_every_unknown_name_is_told(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "quikstart", "short", "shrt"]) == 64
    said = capsys.readouterr().err.splitlines()
    assert [line.split(";")[0] for line in said] == [
        "error: no experiment 'quikstart'",
        "error: no experiment 'shrt'",
    ]


def test_what_is_said_of_shared_data_is_said_once(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = demo / "data" / "tickets.jsonl"
    first, rest = rows.read_text().split("\n", 1)
    rows.write_text("\n".join([first] * 3) + "\n" + rest)
    shutil.copy(demo / "experiments" / "short.yaml", demo / "experiments" / "other.yaml")
    assert main(["validate", "short", "other"]) == 0
    said = capsys.readouterr().err.splitlines()
    assert any("[dup_row]" in line for line in said)
    assert len(said) == len(set(said))
