"""Loading an experiment: what a point holds."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

import pytest

from ftspec.compose import load
from ftspec.spec.experiment import Experiment

SWEEP = """
seed: 7
sweep:
  grid:
    hyperparameters.n_epochs: [1, 3]
    hyperparameters.learning_rate_multiplier: [auto, 0.02, 0.2]
"""


def test_one_point_without_a_sweep(make_project) -> None:
    composed = load(make_project(), "x")
    assert [point.label for point in composed.points] == ["default"]
    point = composed.points[0]
    assert point.coordinates == {}
    assert point.overrides == ()
    assert composed.swept == {}
    assert not composed.ad_hoc
    assert point.experiment == composed.experiment
    assert composed.counts == {"plain": 2, "copy": 0, "compose": 0}


def test_golden_points_of_a_grid(make_project) -> None:
    composed = load(make_project(SWEEP), "x")
    assert [point.label for point in composed.points] == [
        "epochs=1,lr=auto",
        "epochs=1,lr=0.02",
        "epochs=1,lr=0.2",
        "epochs=3,lr=auto",
        "epochs=3,lr=0.02",
        "epochs=3,lr=0.2",
    ]
    point = composed.points[4]
    assert point.coordinates == {"hyperparameters.n_epochs": 3, "hyperparameters.learning_rate_multiplier": 0.02}
    assert point.overrides == ("hyperparameters.n_epochs=3", "hyperparameters.learning_rate_multiplier=0.02")
    assert point.experiment.hyperparameters.n_epochs == 3
    assert point.config["hyperparameters"] == {
        "n_epochs": 3,
        "batch_size": "auto",
        "learning_rate_multiplier": 0.02,
    }
    assert "sweep" not in point.config
    assert "sweep" not in point.hydra_config
    assert composed.experiment.sweep is not None
    assert composed.swept == {
        "hyperparameters.n_epochs": [1, 3],
        "hyperparameters.learning_rate_multiplier": ["auto", 0.02, 0.2],
    }


def test_config_validates_to_the_same_experiment(make_project) -> None:
    for point in load(make_project(SWEEP), "x").points:
        assert Experiment.model_validate(point.config) == point.experiment


def test_config_has_the_order_of_the_schema(make_project) -> None:
    config = load(make_project(SWEEP), "x").points[0].config
    known = [name for name in Experiment.model_fields if name in config]
    assert list(config) == known


def test_texts_are_read(make_project) -> None:
    project = make_project("description: {file: about.md}\n", {"about.md": "Über uns ${not.a.reference}\n"})
    composed = load(project, "x")
    assert composed.experiment.description == "Über uns ${not.a.reference}\n"
    assert composed.points[0].hydra_config["description"] == {"file": "about.md"}
    assert [file.path for file in composed.files][-1] == "about.md"


def test_files_name_the_closure(make_project) -> None:
    project = make_project(files={"conf/weights/mine.yaml": "train_on: last_assistant_turn\n"})
    composed = load(project, "x", ["weights=mine"])
    paths = [file.path for file in composed.files]
    assert paths == [
        "experiments/x.yaml",
        "conf/weights/mine.yaml",
        "conf:config.yaml",
        "conf:hyperparameters/auto.yaml",
        "conf:provider/embedded.yaml",
    ]
    assert all(len(file.sha256) == 64 for file in composed.files)
    assert composed.ad_hoc


def test_plain_overrides_need_no_plus(make_project) -> None:
    overrides = ["seed=3", "budget.max_usd=5", "suffix=abc", "hyperparameters.learning_rate=1e-5", "tags=[a,b]"]
    experiment = load(make_project(), "x", overrides).experiment
    assert (experiment.seed, experiment.budget.max_usd, experiment.suffix) == (3, 5.0, "abc")
    assert experiment.hyperparameters.learning_rate == 1e-5
    assert experiment.tags == ["a", "b"]


def test_key_that_only_the_schema_knows_is_added(make_project) -> None:
    composed = load(make_project(), "x", ["dataset.split.salt=v2", "dataset.sources.0.fraction=0.5"])
    assert composed.points[0].overrides == ("++dataset.split.salt=v2", "++dataset.sources.0.fraction=0.5")
    assert composed.experiment.dataset.split.salt == "v2"
    assert composed.experiment.dataset.sources[0].fraction == 0.5


def test_inheritance_merges_axes_and_null_removes_one(make_project) -> None:
    child = """
        defaults: [x, _self_]
        sweep:
          grid:
            hyperparameters.n_epochs: null
            hyperparameters.batch_size: [4, 8]
        """
    composed = load(make_project(SWEEP, {"experiments/child.yaml": child}), "child")
    assert list(composed.swept) == ["hyperparameters.learning_rate_multiplier", "hyperparameters.batch_size"]
    assert len(composed.points) == 6


def test_the_same_everywhere(make_project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(SWEEP)
    here = load(project, "x")
    monkeypatch.chdir("/")
    monkeypatch.setenv("OPENAI_API_KEY", "a secret")
    assert load(project, "x") == here


def test_load_imports_neither_numpy_nor_openai(make_project) -> None:
    project = make_project(SWEEP)
    code = (
        "import sys; from pathlib import Path; from ftspec.compose import Project, load; "
        f"load(Project(Path({str(project.root)!r})), 'x'); "
        "print([name for name in ('numpy', 'openai', 'rapidfuzz', 'jsonschema') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=dict(os.environ), check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_finding_a_project_imports_no_hydra() -> None:
    code = "import sys; import ftspec.compose.project; print('hydra' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_text_that_is_the_path_of_a_file_is_a_warning(make_project) -> None:
    body = """\
          messages:
            - {role: system, content: prompts/route.md}
            - {role: user, content: "{{ text }}"}
            - {role: assistant, content: prompts/none.md}
        """
    project = make_project("messages: []\n", {"prompts/route.md": "Route it.\n"})
    text = (project.experiments / "x.yaml").read_text()
    (project.experiments / "x.yaml").write_text(text.replace("messages: []\n", indent(dedent(body), "  ")))
    warned = [str(one) for one in load(project, "x").warnings]
    assert warned == [
        "experiments/x.yaml:6:22: dataset.messages.0.content: the text is the path of a file, prompts/route.md; the "
        "file itself is not read; write {file: prompts/route.md} [text_is_path]"
    ]
