"""Other tools' names in a spec: told with their place, rewritten without touching anything else."""

from pathlib import Path

import pytest

from ftspec.compose import Project, load
from ftspec.workflows.aliases import aliases_of, rewrite

HEAD = "defaults: [config, _self_]\nmodel: tiny\ndataset: {sources: [{path: x.jsonl}]}\n"


def project(root: Path, body: str, block: str = "") -> Project:
    (root / "experiments").mkdir()
    (root / "conf" / "weights").mkdir(parents=True)
    (root / "experiments" / "x.yaml").write_text(HEAD + body)
    if block:
        (root / "conf" / "weights" / "mine.yaml").write_text(block)
    return Project(root)


@pytest.mark.parametrize(
    ("written", "own"),
    [
        ("weights:\n  mask_history: true  # why\n", "weights:\n  train_on: last_assistant_message  # why\n"),
        ("weights: {train_on_inputs: false, on_empty: drop}\n", "weights: {train_on: assistant, on_empty: drop}\n"),
        ("weights:\n  train_on: customized\n", "weights:\n  train_on: from_data\n  field: trainable\n"),
        ("weights: {train_on_what: customized}\n", "weights: {train_on: from_data, field: trainable}\n"),
        (
            "weights:\n  loss_mask:\n    assistant: true\n    tool: false\nseed: 3\n",
            "weights:\n  rules: [{name: role-assistant, match: {role: assistant}, weight: 1}, "
            "{name: role-tool, match: {role: tool}, weight: 0}]\nseed: 3\n",
        ),
    ],
)
def test_rewritten_alone_and_to_the_same_points(tmp_path: Path, written: str, own: str) -> None:
    given = project(tmp_path, written)
    before = [point.config for point in load(given, "x").points]
    (alias,) = aliases_of(given, load(given, "x"))
    problem = alias.problem()
    assert (problem.code, problem.severity, problem.file) == ("alias", "hint", "experiments/x.yaml")
    assert (problem.line, problem.column > 0) == (HEAD.count("\n") + (1 if "{" in written.split("\n")[0] else 2), True)
    assert [one.key for one in rewrite(given, "x")] == [alias.key]
    assert (tmp_path / "experiments" / "x.yaml").read_text() == HEAD + own
    assert [point.config for point in load(given, "x").points] == before
    assert rewrite(given, "x") == []


def test_a_block_of_the_project(tmp_path: Path) -> None:
    block = "# ours\nassistant_only_loss: true\n"
    given = project(tmp_path, "", block)
    path = tmp_path / "experiments" / "x.yaml"
    path.write_text(path.read_text().replace("[config, _self_]", "[config, override weights: mine, _self_]"))
    (alias,) = aliases_of(given, load(given, "x"))
    assert (alias.file, alias.line) == ("conf/weights/mine.yaml", 2)
    assert rewrite(given, "x")
    assert (tmp_path / "conf" / "weights" / "mine.yaml").read_text() == "# ours\ntrain_on: assistant\n"


def test_beside_its_own_name_it_is_left(tmp_path: Path) -> None:
    body = "weights:\n  train_on: assistant\n  mask_history: true\n"
    given = project(tmp_path, body)
    (alias,) = aliases_of(given, load(given, "x"))
    assert alias.problem().fix == "keep one of the two"
    assert rewrite(given, "x") == []
    assert (tmp_path / "experiments" / "x.yaml").read_text() == HEAD + body


def test_own_names_are_no_alias(tmp_path: Path) -> None:
    given = project(tmp_path, "weights: {train_on: last_assistant_turn}\ndescription: mask_history is not used\n")
    assert aliases_of(given, load(given, "x")) == []
