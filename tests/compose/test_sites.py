"""`where`: the file, line and column of each value."""

from ftspec.compose import load, where
from ftspec.compose.session import opened
from ftspec.compose.sites import file_table
from ftspec.compose.sources import Snapshot


def sites(project, *overrides: str) -> dict[str, str]:
    return {site.path: site.site for site in where(project, "x", overrides)}


def test_golden_sites(make_project) -> None:
    project = make_project(
        "seed: 7\ntags: [a, b]\nhyperparameters: {n_epochs: 3}\n",
        {"conf/weights/mine.yaml": "# why\ntrain_on: last_assistant_turn\n"},
    )
    found = sites(project, "weights=mine", "budget.max_usd=5", "dataset.split.test=0.2")
    assert found["model"] == "experiments/x.yaml:2:1"
    assert found["dataset.sources.0.path"] == "experiments/x.yaml:4:14"
    assert found["seed"] == "experiments/x.yaml:5:1"
    assert found["tags"] == "experiments/x.yaml:6:1"
    assert found["hyperparameters.n_epochs"] == "experiments/x.yaml:7:19"
    assert found["hyperparameters.batch_size"] == "conf:hyperparameters/auto.yaml:4:1"
    assert found["weights.train_on"] == "conf/weights/mine.yaml:2:1"
    assert found["weights.existing"] == "built in"
    assert found["budget.max_usd"] == "command line"
    assert found["dataset.split.test"] == "command line"


def test_values_of_a_point_come_from_the_sweep(make_project) -> None:
    project = make_project("sweep:\n  grid:\n    seed: [5, 6]\n    hyperparameters.n_epochs: 1,2\n")
    point = load(project, "x").points[3]
    found = sites(project, *point.overrides)
    assert found["seed"] == "experiments/x.yaml:7:15"
    assert found["hyperparameters.n_epochs"] == "experiments/x.yaml:8:5"


def test_values_are_those_of_the_resolved_experiment(make_project) -> None:
    project = make_project("seed: 7\nrepeats: ${seed}\ndescription: {file: about.md}\n", {"about.md": "text\n"})
    found = {site.path: site for site in where(project, "x")}
    assert (found["repeats"].value, found["repeats"].site) == (7, "experiments/x.yaml:6:1")
    assert (found["description"].value, found["description"].site) == ("text\n", "experiments/x.yaml:7:1")


def test_inherited_values_stand_where_they_are_written(make_project) -> None:
    project = make_project("seed: 7\ntags: [a]\n", {"experiments/child.yaml": "defaults: [x, _self_]\ntags: [b]\n"})
    found = {site.path: site.site for site in where(project, "child")}
    assert found["seed"] == "experiments/x.yaml:5:1"
    assert found["tags"] == "experiments/child.yaml:2:1"


def test_every_leaf_has_a_mark(make_project) -> None:
    project = make_project("sweep: {grid: {seed: [1, 2]}}\ntags: [a]\n")
    with opened(Snapshot.of(project), "x", str(project.experiments)) as session:
        config = session.hydra.OmegaConf.to_container(session.compose([]))
        table = file_table(session, [])
    missing = []

    def walk(value, at):
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, (*at, key))
        elif isinstance(value, list):
            for number, item in enumerate(value):
                walk(item, (*at, number))
        elif at not in table:
            missing.append(at)

    walk(config, ())
    assert missing == []


def test_what_a_swept_option_leaves_out_is_built_in(make_project) -> None:
    files = {"conf/weights/mine.yaml": "train_on: last_assistant_message\n"}
    project = make_project("sweep: {grid: {weights: [assistant, mine]}}\n", files)
    found = {site.path: site.site for site in where(project, "x", ["weights=mine"])}
    assert (found["weights.train_on"], found["weights.rules"]) == ("conf/weights/mine.yaml:1:1", "built in")
