"""What a run directory says of its making: the files that it was merged from, in order, and their ids in git."""

import json
from typing import Any

from ftspec.compose import Project, load
from ftspec.runs.environment import blob_oid


def test_the_defaults_list_and_the_ids_in_git_are_recorded(swept: Any, git: Any) -> None:
    facts = json.loads(next((swept.root / "runs" / "demo").glob("epochs=1.*/run.json")).read_text())
    assert facts["defaults"] == [
        "conf:config.yaml",
        "conf:provider/embedded.yaml",
        "conf:weights/assistant.yaml",
        "conf:hyperparameters/auto.yaml",
        "conf/evals/exact.yaml",
        "experiments/demo.yaml",
    ]
    files = {file["path"]: file.get("oid") for file in facts["configs"]}
    assert set(facts["defaults"]) == files.keys()
    own = {path: oid for path, oid in files.items() if oid is not None}
    assert own == {path: git(swept.root, "rev-parse", f"HEAD:{path}") for path in own}
    assert own.keys() == {"conf/evals/exact.yaml", "experiments/demo.yaml"}


def test_an_axis_over_a_group_gives_each_point_its_own_list(demo: Any) -> None:
    points = load(Project(demo.root), "demo", ["weights=assistant,all_messages", "hyperparameters.n_epochs=1,2"]).points
    chosen = [next(name for name in point.defaults if "weights/" in name) for point in points]
    assert [name.rpartition("/")[2] for name in chosen] == [f"{point.coordinates['weights']}.yaml" for point in points]
    assert {len(point.defaults) for point in points} == {6}


def test_ids_of_both_object_formats() -> None:
    """The empty blob's ids, as `git hash-object -t blob /dev/null` gives them in either kind of repository."""
    assert blob_oid(b"", "a" * 40) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_oid(b"", "a" * 64) == "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
