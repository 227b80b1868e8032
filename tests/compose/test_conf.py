"""The built-in conf/: every block composes, says where each value comes from, and holds no reference."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspec.compose import builtin_conf, load, where
from ftspec.compose.prepare import Texts, prepare
from ftspec.compose.shape import ROOT, keys_of, shapes_at
from ftspec.compose.sources import Snapshot
from ftspec.spec.experiment import Experiment

FILES = sorted(builtin_conf().rglob("*.yaml"))
OPTIONS = [f"{path.parent.name}={path.stem}" for path in FILES if path.parent != builtin_conf()]
GROUPS = {"provider", "dataset", "weights", "hyperparameters", "sweep", "evals"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_files_are_short_commented_and_plain(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "${" not in text
    assert text.startswith("# ")
    assert len(text.splitlines()) <= 30


def test_groups() -> None:
    folders = {path.name for path in builtin_conf().iterdir() if path.is_dir()}
    assert folders == GROUPS
    assert all(list((builtin_conf() / name).glob("*.yaml")) for name in GROUPS)


def test_the_base_names_every_key() -> None:
    """So that a plain override needs no `+`: a key of the schema that the base lacks must be a group."""
    base = yaml.safe_load((builtin_conf() / "config.yaml").read_text())
    groups = {name for entry in base.pop("defaults") if isinstance(entry, dict) for name in entry}
    assert groups == GROUPS
    assert set(base) | groups == set(keys_of(Experiment))


def test_the_base_says_what_the_schema_says(make_project: Any) -> None:
    """Leaving the base out changes nothing: one set of defaults, not two."""
    project = make_project(
        "", {"experiments/bare.yaml": "model: tiny\ndataset: {sources: [{path: data/rows.jsonl}]}\n"}
    )
    assert load(project, "bare").experiment == load(project, "x").experiment
    assert load(project, "bare", ["hyperparameters.n_epochs=3"]).experiment.hyperparameters.n_epochs == 3


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_composes_and_takes_effect(make_project: Any, option: str) -> None:
    group, _, name = option.partition("=")
    project = make_project()
    override = f"evals=[{name}]" if group == "evals" else option
    composed = load(project, "x", [override])
    shown = f"conf:{group}/{name}.yaml"
    assert shown in [file.path for file in composed.files]
    sites = where(project, "x", [override])
    assert any(site.file == shown for site in sites if site.path.split(".")[0] == group)


def test_rates_are_null_in_the_base(make_project: Any) -> None:
    point = load(make_project(), "x").points[0]
    assert point.hydra_config["hyperparameters"] == {
        "n_epochs": "auto",
        "batch_size": "auto",
        "learning_rate_multiplier": None,
        "learning_rate": None,
    }


def test_no_nullable_field_has_another_default() -> None:
    """`null` may then always be left out of plain data; see prepare.plain."""
    seen = set()

    def walk(model: Any) -> None:
        if model in seen:
            return
        seen.add(model)
        for key in keys_of(model).values():
            assert not (key.shape.nullable and key.default not in (None, ...) and not key.required), (model, key.name)
            for shape in [key.shape, key.shape.item, key.shape.value]:
                for below in shape.models if shape else ():
                    walk(below)

    walk(Experiment)


def test_null_means_not_set(make_project: Any) -> None:
    body = "hyperparameters: {n_epochs: null}\ndescription: null\nbudget: null\nmetadata: null\nseed: null\n"
    project = make_project(body)
    assert load(project, "x").experiment == load(make_project(), "x").experiment


def test_null_stays_in_free_mappings(make_project: Any) -> None:
    value = {"weights": {"rules": [{"name": "r", "match": {"row": {"label": None}}, "weight": None}]}, "seed": None}
    texts = Texts(Snapshot.of(make_project()))
    found: list[Any] = []
    done = prepare(value, texts, lambda path, problem: found.append(problem), ROOT)
    assert done == {"weights": {"rules": [{"name": "r", "match": {"row": {"label": None}}}]}}
    assert found == []


def test_shapes_know_the_schema() -> None:
    assert shapes_at(["hyperparameters", "n_epochs"])[0].words == "`auto` or a whole number from 1 to 50"
    assert shapes_at(["evals", "any_name", "graders", "g", "type"])
    assert shapes_at(["dataset", "sources", 0, "schema"])
    assert not shapes_at(["evals", "any_name", "nope"])
    assert not shapes_at(["hyperparameters", "n_epoch"])
