"""`verify` through real commands: intact, and each way of not being so."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.spec.events import Verifying
from ftspec.workflows.verify import verify_runs

ONE = """\
defaults: [config, override evals: [exact], _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ label }}"}]
  split: {validation: 4, test: 6}
hyperparameters: {n_epochs: 1}
"""


def rewrite(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_every_state_is_told(make_demo: Callable[..., Any]) -> None:
    demo = make_demo(24, ONE)
    assert demo.call("run", "demo", "--only", "data").returncode == 0
    planned = demo.call("verify")
    assert planned.returncode == 4
    assert "unsealed (planned, never trained)" in planned.stdout
    assert demo.call("run", "demo").returncode == 0
    assert demo.json("verify")["intact"] is True
    run = next((demo.root / "runs" / "demo").glob("default.*"))
    cases = {
        "attempts/001/model.json": "attempts/001/model.json: changed",
        "data/train.jsonl": "attempts/001/../../data/train.jsonl: changed",
        "evals": "scores.json: changed",
    }
    for name, told in cases.items():
        path = next((run / "evals").glob("*/scores.json")) if name == "evals" else run / name
        content = path.read_bytes()
        rewrite(path, content.replace(b"1", b"2", 1))
        found = demo.call("verify", "default", "--json")
        assert found.returncode == 4
        answer = json.loads(found.stdout)
        assert answer["runs"][0]["state"] == "changed"
        assert any(told in fault for fault in answer["runs"][0]["faults"])
        path.unlink()
        assert json.loads(demo.call("verify", "default", "--json").stdout)["runs"][0]["state"] == "missing"
        path.write_bytes(content)
    (run / "README.md").write_text("edited by a person\n")
    (run / "notes.txt").write_text("mine\n")
    assert demo.call("verify").returncode == 0
    added = run / "attempts" / "001" / "extra.json"
    added.write_text("{}")
    assert "extra.json: changed (not there when sealed)" in demo.call("verify").stdout
    added.unlink()
    (run / "attempts" / "002").mkdir()
    assert "attempts/002/: unsealed" in demo.call("verify").stdout
    (run / "attempts" / "002").rmdir()
    facts = json.loads((run / "run.json").read_text())
    rewrite(run / "run.json", json.dumps(facts | {"schema": 9}).encode())
    newer = demo.call("verify")
    assert newer.returncode == 4
    assert "newer version (schema 9" in newer.stdout
    (run / "run.json").unlink()
    for alone in (False, True):
        assert "run.json: missing" in demo.call("verify").stdout
        if not alone:
            shutil.rmtree(run.parent / "baselines")
    shutil.rmtree(demo.root / "runs")
    assert demo.call("verify").stdout == "0 of 0 intact\n"
    unknown = demo.call("verify", "nothing")
    assert unknown.returncode == 64


def test_long_ones_say_how_far_they_are(swept: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events carry what is done; a log gets a line now and then, a short command none."""
    told: list[Verifying] = []
    found = verify_runs(swept.root / "runs", emit=told.append)  # type: ignore[arg-type]
    assert [one.folder for one in told if one.folder] == [
        one.folder.relative_to(swept.root / "runs").as_posix() for one in found
    ]
    assert [one.done for one in told] == [0, 1, 2, 3]
    assert {one.total for one in told} == {3}
    assert told[-1].bytes > 2 * 10**6
    assert swept.call("verify").stderr == ""
    monkeypatch.setattr("ftspec.report.progress._PLAIN_SECONDS", 0.0)
    lines = swept.call("verify").stderr.splitlines()
    assert lines[0] == "verify 0/3  0 B  demo/baselines"
    assert lines[1].startswith("verify 1/3  ")
    assert len(lines) == 3
