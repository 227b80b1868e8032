"""Items of a suite that lie in a file of their own: kept with the run, so that its answers outlive the file."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.compose import Project
from ftspec.spec.errors import DataError
from ftspec.storage import BlobStore
from ftspec.workflows.plan import make_plan
from ftspec.workflows.record import record_runs

ONE = """\
defaults: [config, override evals: [exact], _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ label }}"}]
  split: {validation: 4, test: 6}
hyperparameters: {n_epochs: 1}
"""
SUITE = """\
NAME:
  data: {path: items/NAME.jsonl, id: id}
  request: {messages: [{role: user, content: "{{ item.text }}"}]}
  graders: {animal: {type: label, reference: "{{ item.reference }}"}}
  compare: {margin: 0.5}
"""


def items(name: str) -> bytes:
    rows = ({"id": str(n), "text": f"{name} {n}", "reference": "cat"} for n in range(12))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def add_suite(root: Path, name: str) -> None:
    (root / "items").mkdir(exist_ok=True)
    (root / "items" / f"{name}.jsonl").write_bytes(items(name))
    (root / "conf" / "evals" / f"{name}.yaml").write_text(SUITE.replace("NAME", name))


@pytest.fixture(scope="module")
def scored(build_demo: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run that was planned with one such suite and scored by a second one later, whose files are gone since."""
    demo = build_demo(tmp_path_factory.mktemp("items") / "project", 24, ONE)
    add_suite(demo.root, "exact")
    assert demo.call("run", "demo").returncode == 0
    add_suite(demo.root, "later")
    experiment = demo.root / "experiments" / "demo.yaml"
    experiment.write_text(experiment.read_text().replace("[exact]", "[exact, later]"))
    assert demo.call("run", "demo").returncode == 0
    assert len(demo.jobs()) == 1
    shutil.rmtree(demo.root / "items")
    return demo


@pytest.fixture
def bare(scored: Any, tmp_path: Path) -> Any:
    """A copy of it to work on."""
    return type(scored)(Path(shutil.copytree(scored.root, tmp_path / "project", symlinks=True)))


def test_stored_answers_are_graded_again_without_the_files(bare: Any, git: Any) -> None:
    found = bare.json("reproduce", "default", "--level", "scores")
    (subject,) = found["subjects"]
    assert [v["verdict"] for v in subject["verdicts"]] == ["reproduced"] * 3
    said = " ".join(subject["verdicts"][-1]["what"])
    assert "exact: 12 stored answers, graded the same" in said
    assert "later: 12 stored answers, graded the same" in said
    (bare.root / ".gitignore").write_text("/runs/\n/items/\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "items were never committed"]):
        git(bare.root, *words)
    by_lock = bare.json("reproduce", "demo@HEAD", "--level", "scores")
    assert by_lock["verdict"]["verdict"] == "reproduced"
    (bare.root / "data" / "rows.jsonl").unlink()
    graded = bare.call("reproduce", "default", "--level", "scores", "--json")
    (subject,) = json.loads(graded.stdout)["subjects"]
    assert [v["verdict"] for v in subject["verdicts"]] == ["impossible", "reproduced"]
    assert len(subject["verdicts"][-1]["what"]) == 2


def test_a_new_training_is_scored_on_the_kept_items(bare: Any) -> None:
    found = bare.json("reproduce", "default", "--level", "equivalent")
    assert [v["verdict"] for v in found["subjects"][0]["verdicts"]] == ["reproduced"] * 3
    folders = {path.parent.name.split(".", 1)[0] for path in bare.root.glob("runs/demo/default.*/evals/*.002/SEALED")}
    assert folders == {"exact"}, "the suites of the run's own configuration"
    assert bare.call("verify").returncode == 0


def test_gc_keeps_them_verify_looks_and_they_travel(bare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [hashlib.sha256(items(name)).hexdigest() for name in ("exact", "later")]
    monkeypatch.setattr("ftspec.runs.garbage.GRACE_SECONDS", -60.0)
    assert not [one for one in bare.json("runs", "gc")["garbage"] if one["kind"] == "blob"]
    packed = tmp_path / "runs.tar"
    assert bare.call("runs", "pack", "-o", str(packed)).returncode == 0
    assert bare.call("runs", "push", "--to", str(tmp_path / "store")).returncode == 0
    for words in (["runs", "unpack", str(packed)], ["runs", "pull", "--from", str(tmp_path / "store")]):
        other = type(bare)(tmp_path / words[1])
        shutil.copytree(bare.root, other.root, ignore=shutil.ignore_patterns("runs"))
        assert other.call(*words).returncode == 0
        blobs = BlobStore(other.root / "runs" / ".store")
        assert all(blobs.has(sha256) for sha256 in kept), words
        found = other.json("reproduce", "default", "--level", "scores")
        assert found["verdict"]["verdict"] == "reproduced"
    lost = BlobStore(bare.root / "runs" / ".store").path(kept[1])
    lost.unlink()
    told = bare.call("verify")
    assert (told.returncode, "(the suite's items): missing" in told.stdout) == (4, True)


def test_a_file_that_changes_before_it_is_kept_is_told(demo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    add_suite(demo.root, "exact")
    plan = make_plan(Project(demo.root), "demo")
    path = demo.root / "items" / "exact.jsonl"
    path.write_text(path.read_text().replace("cat", "dog"))
    with pytest.raises(DataError, match="the items of suite exact changed since"):
        record_runs(plan)
