"""Whatever stands in an experiment: points that Hydra composes too, or coded problems with a place."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftspec.compose import Project, load, verify_with_hydra
from ftspec.compose.shape import leaves
from ftspec.spec.errors import FtspecError

PLAIN = {
    "defaults": ["config", "_self_"],
    "model": "tiny",
    "dataset": {"sources": [{"path": "data/rows.jsonl"}], "split": {"validation": 0.1}},
    "metadata": {"team": "a"},
}
PATHS = [*sorted(path for path in set(leaves()) if len(path) <= 3), ("foo",), ("sweep", "grid", "seed")]
VALUES: list[Any] = [
    *(None, True, 0, -1, 3, 2**31, 1e-5, 0.5, "auto", "3", "???", "${seed}", "${metadata.team}", "${nope}", "${.x}"),
    *(
        "range(1,4)",
        "1,2,3",
        "logrange(1,8,4)",
        "assistant",
        "",
        [],
        [1],
        ["a"],
        [[1, 2]],
        {},
        {"a": 1},
        {"file": "no"},
    ),
    *({"env": "X"}, {"seed": [1, 2]}, {"hyperparameters.n_epochs": ["auto", 1], "weights": ["assistant", "from_data"]}),
    *([{"seed": [1, 2], "model": ["a", "b"]}], [{"grid": {"seed": "5,6"}}], {"train_on": "all_messages"}),
]
OVERRIDES = [
    *(
        "seed=3",
        "seed=1,2",
        "~sweep",
        "tags=[a]",
        "weights=from_data",
        "+x=1",
        "~tags",
        "evals=[exact_match]",
        "repeats=2",
    ),
    *(
        "sweep=epochs_first",
        "model='${seed}'",
        "dataset.split.test=0.2",
        "sweep.max_runs=4",
        "weights={train_on: from_data}",
    ),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root: Path = tmp_path_factory.mktemp("any")
    (root / "experiments").mkdir()
    return Project(root)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(VALUES)), max_size=3),
    st.lists(st.sampled_from(OVERRIDES), max_size=2, unique=True),
)
def test_any_spec(project: Project, changes: list[tuple[tuple[str, ...], Any]], overrides: list[str]) -> None:
    content: Any = yaml.safe_load(yaml.safe_dump(PLAIN))
    for path, value in changes:
        node = content
        for key in path[:-1]:
            if not isinstance(node.get(key), dict):
                node[key] = {}
            node = node[key]
        node[path[-1]] = value
    (project.experiments / "x.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    try:
        composed = load(project, "x", overrides)
    except FtspecError as error:
        refused = error
    else:
        labels = [point.label for point in composed.points]
        assert labels
        assert len(set(labels)) == len(labels)
        equal, looked_at = verify_with_hydra(composed, limit=3)
        assert equal == looked_at >= 1
        return
    assert all(problem.code and problem.message and problem.file for problem in refused.problems)
    assert str(project.root) not in str(refused)
