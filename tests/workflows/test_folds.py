"""Folds of a small data set: planned, scored over all rows, and never made rivals of each other."""

import json
from pathlib import Path
from typing import Any

import pytest

import ftspec

BODY = """\
defaults: [config, override evals: [exact], _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl, count: 40}]
  messages:
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ label }}"}
  split: {folds: 2, by: row}
hyperparameters: {n_epochs: 1}
sweep: {grid: {dataset.split.fold: [0, 1]}}
"""


@pytest.fixture
def project(demo: Any) -> Path:
    (demo.root / "experiments/folds.yaml").write_text(BODY)
    root: Path = demo.root
    return root


def test_folds_are_pooled_and_not_picked(project: Path) -> None:
    results = ftspec.run("folds", project=project)
    (pooled,) = results.folds
    scored = [next(iter(run.scores["exact"].arms.values())).metrics[pooled.metric] for run in results.runs]
    assert (pooled.folds, pooled.of, pooled.n) == (2, 2, 40)
    assert pooled.value == pytest.approx(sum((e.value or 0) * e.n for e in scored) / 40)
    assert pooled.low is not None
    assert results.pick is None
    assert results.to_json()["folds"][0]["recipe"] == {}
    facts = [json.loads((project / run.folder / "run.json").read_text()) for run in results.runs if run.folder]
    assert len({str(fact["digests"]["data"]) for fact in facts}) == 2


def test_a_fold_that_is_left_out_is_told(project: Path) -> None:
    plan = ftspec.plan("folds", ["dataset.split.fold=0"], project=project)
    (warning,) = [p for p in plan.warnings if p.code == "folds_left_out"]
    assert "fold 1 of 2 is never held out" in warning.message
    assert "dataset.split.fold: [0, 1]" in warning.fix
