"""Run directories as earlier versions wrote them are read by this one.

`recorded/schema-N` is a project that the program of its day ran (`ftspec run demo`); of its runs only the 2.8 MB of
tuned weights were left out. A folder here is never changed: a new schema gets a new folder.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import call_inside

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture(params=sorted(path.name for path in RECORDED.iterdir()))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a recorded project."""
    folder = tmp_path / "project"
    shutil.copytree(RECORDED / request.param, folder, symlinks=True)
    return folder


def ftspec(folder: Path, *arguments: str) -> tuple[int, Any]:
    done = call_inside(folder, *arguments, "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_an_old_run_is_listed_shown_verified_and_reused(old: Path) -> None:
    code, listed = ftspec(old, "ls")
    assert code == 0
    (row,) = listed["runs"]
    assert (row["status"], row["problem"]) == ("trained", "")
    assert row["scores"][0]["suite"] == "exact"
    code, shown = ftspec(old, "show", "default")
    assert (code, shown["attempts"][0]["outcome"]) == (0, "succeeded")
    code, verified = ftspec(old, "verify")
    assert code == 4
    assert [fault for run in verified["runs"] for fault in run["faults"]] == ["attempts/001/weights.npz: missing"]
    code, planned = ftspec(old, "plan", "demo")
    assert (code, planned["reused"], planned["to_train"]) == (0, 1, 0), "identity is a promise"


def test_a_newer_run_is_refused_by_each_verb(old: Path) -> None:
    path = next((old / "runs" / "demo").glob("default.*/run.json"))
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"schema": facts["schema"] + 1}))
    code, listed = ftspec(old, "ls")
    assert code == 0
    assert "newer version" in listed["runs"][0]["problem"]
    for verb in (["show", "default"], ["plan", "demo"], ["run", "demo"]):
        code, answer = ftspec(old, *verb)
        assert (code, answer["error"][0]["code"]) == (65, "newer_version"), verb
    code, verified = ftspec(old, "verify")
    assert (code, verified["runs"][1]["state"]) == (4, "newer version")
    assert ftspec(old, "runs", "gc")[1]["garbage"] == []


def test_a_read_only_copy_serves_every_verb_that_looks(old: Path, make_read_only: Any) -> None:
    make_read_only(old / "runs")
    for verb in (["ls"], ["show", "default"], ["plan", "demo"], ["compare", "base", "default"], ["runs", "gc"]):
        code, answer = ftspec(old, *verb)
        assert (code, "error" in answer) == (0, False), verb
    assert ftspec(old, "verify")[0] == 4
    assert not (old / "runs" / ".index.sqlite").exists()
    for verb in (["run", "demo", "seed=9"], ["runs", "unpack", "experiments/demo.yaml"]):
        code, answer = ftspec(old, *verb)
        assert (code, answer["error"][0]["code"]) == (75, "read_only"), verb
