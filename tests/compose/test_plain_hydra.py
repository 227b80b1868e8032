"""What is recorded in `.hydra/` means the same to plain Hydra, and ftspec leaves Hydra as it found it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra

from ftspec.compose import Project, builtin_conf, load
from ftspec.workflows.plan import make_plan
from ftspec.workflows.record import record_runs

BASE: dict[str, Any] = {} if tuple(map(int, hydra.__version__.split(".")[:2])) >= (1, 4) else {"version_base": "1.3"}


def compose_plainly(project: Project, name: str, overrides: list[str]) -> dict[str, Any]:
    """Plain Hydra, files from disk, nothing of ours: what a reader of `.hydra/` can do with the recorded strings."""
    from hydra.core.plugins import Plugins
    from hydra.plugins.search_path_plugin import SearchPathPlugin
    from omegaconf import OmegaConf, open_dict

    folders = [str(project.conf), str(builtin_conf())]

    class Folders(SearchPathPlugin):
        def manipulate_search_path(self, search_path: Any) -> None:
            for folder in folders:
                search_path.append(provider="test", path=f"file://{folder}")

    plugins = Plugins.instance()
    plugins.register(Folders)
    try:
        with hydra.initialize_config_dir(config_dir=str(project.experiments), **BASE):
            config = hydra.compose(config_name=name, overrides=overrides)
    finally:
        plugins.plugin_type_to_subclass_list[SearchPathPlugin].remove(Folders)
    if "sweep" in config:
        with open_dict(config):
            del config["sweep"]
    return OmegaConf.to_container(config, resolve=False)  # type: ignore[return-value]


def test_recorded_overrides_compose_the_same_with_plain_hydra(make_project) -> None:
    project = make_project(
        """
        description: "about ${model}, it's so"
        sweep:
          grid:
            weights: [assistant, mine]
            model: [tiny, "it's", 'a: {b}, ${seed}', "true"]
            hyperparameters.learning_rate_multiplier: logrange(0.02, 0.2, 3)
            dataset.split: [{test: 0.1}, {test: 10}]
        """,
        {"conf/weights/mine.yaml": "train_on: last_assistant_turn\n"},
    )
    composed = load(project, "x", ["tags=[a,'b c']", "repeats=2", "budget.max_usd=5"])
    assert len(composed.points) == 96
    for point in composed.points[::11]:
        recorded = yaml.safe_load(yaml.safe_dump(list(point.overrides)))
        assert compose_plainly(project, "x", recorded) == point.hydra_config


def test_the_readme_of_a_run_says_how(make_project, tmp_path: Path) -> None:
    """Its lines, given to a shell as they stand, compose what `.hydra/config.yaml` holds, and notice a change."""
    project = make_project(
        "suffix: a-${seed}\nsweep: {grid: {weights: [assistant, mine], hyperparameters.n_epochs: [1, 2]}}\n",
        {"conf/weights/mine.yaml": "train_on: last_assistant_turn\non_empty: drop\n"},
    )
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    rows = [{"messages": [{**talk[0], "content": f"q {n}"}, talk[1]]} for n in range(12)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    directories = record_runs(make_plan(project, "x", ["tags=[a,'b c']"]))
    run = list(directories.values())[-1].path
    lines = re.findall(r"^    (.*)$", (run / "README.md").read_text("utf-8"), re.MULTILINE)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for expected in ("the same\n", "not the same\n"):
        done = subprocess.run(
            ["sh", "-c", "\n".join(lines)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout == expected
        with (project.experiments / "x.yaml").open("a") as file:
            file.write("description: something else\n")


def test_each_line_of_the_experiment_reads_as_plain_hydra_reads_it(make_project, tmp_path: Path) -> None:
    """Snapshots and Hydra's own file reader give the same, in order too."""
    project = make_project("metadata: {a: '010', b: 'yes', c: x}\nhyperparameters: {learning_rate: 1e-5}\n")
    point = load(project, "x").points[0]
    theirs = compose_plainly(project, "x", [])
    assert theirs == point.hydra_config
    assert list(theirs) == list(point.hydra_config)


def test_a_program_that_uses_hydra_itself_goes_on(make_project, tmp_path: Path) -> None:
    project = make_project("seed: 3\n")
    own = tmp_path / "own"
    own.mkdir()
    (own / "app.yaml").write_text("port: 80\n")
    with hydra.initialize_config_dir(config_dir=str(own), **BASE):
        running = GlobalHydra.instance().hydra
        assert load(project, "x").experiment.seed == 3
        assert GlobalHydra.instance().hydra is running
        assert hydra.compose("app").port == 80
        assert [source.path for source in running.config_loader.get_sources() if source.provider == "ftspec"] == []
    assert not GlobalHydra.instance().is_initialized()
