"""Nothing is done twice: texts counted once, files rendered once a sweep, unchanged sources not read again."""

import importlib
import json
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ftspec.compose import Project as Root
from ftspec.data import CharEstimate
from ftspec.workflows.plan import make_plan

BODY = """\
defaults: [config, _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  split: {validation: 0.1}
sweep:
  grid:
    hyperparameters.n_epochs: [1, 2, 3]
    hyperparameters.learning_rate_multiplier: [0.1, 0.2]
"""


class Counted(CharEstimate):
    """A counter that counts its calls and texts."""

    def __init__(self) -> None:
        self.calls = self.texts = 0

    def count(self, texts: Sequence[str]) -> "array[int]":
        self.calls += 1
        self.texts += len(texts)
        return super().count(texts)


@pytest.fixture
def cached(project: Any, make_chat: Any, tmp_path: Path) -> Any:
    project.cache = tmp_path / "cache"
    project.counter = Counted()
    return project.rows([make_chat(f"question {n}", f"answer {n}") for n in range(60)])


@pytest.mark.parametrize(
    "weights",
    [
        {"train_on": "last_assistant_turn"},
        {"train_on": "all_assistant_messages", "on_empty": "keep"},
        {"rules": [{"name": "x", "match": {"content_contains": "7"}, "weight": 0}], "on_empty": "drop"},
    ],
)
def test_other_weights_count_no_token_again(cached: Any, weights: dict[str, Any]) -> None:
    cached.prepare()
    assert cached.counter.texts == 120
    cached.prepare(weights=weights)
    cached.prepare({"split": {"test": 7}}, weights)
    assert cached.counter.texts == 120


def test_other_weights_divide_nothing_again(cached: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("ftspec.data.prepare")
    calls: list[Any] = []
    divide = module.divide
    monkeypatch.setattr(module, "divide", lambda *given: calls.append(given) or divide(*given))
    split = {"split": {"validation": 0.2, "test": 7}}
    first = cached.prepare(split)
    other = cached.prepare(split, {"train_on": "last_assistant_turn"})
    assert len(calls) == 1
    assert [part.rows for part in first.parts.values()] == [part.rows for part in other.parts.values()]
    cached.prepare({"split": {"validation": 0.3, "test": 7}})
    assert len(calls) == 2


def test_another_counter_or_other_rows_are_counted(cached: Any, make_chat: Any) -> None:
    cached.prepare()
    cached.rows([make_chat("other", "row") for _ in range(3)])
    cached.prepare()
    assert cached.counter.texts == 126
    cached.counter.identity = "another"
    cached.prepare()
    assert cached.counter.texts == 132


def test_the_second_time_no_data_file_is_opened(cached: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cached.prepare()
    opened = Opened(monkeypatch, cached.root)
    again = cached.prepare()
    assert opened.data == []
    assert again.parts == first.parts
    assert cached.prepare(weights={"train_on": "last_assistant_message"}).parts["train"].sha256
    assert opened.data == []


class Opened:
    """Which data files were opened since."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.data: list[str] = []
        plain = Path.open

        def watched(path: Path, *arguments: Any, **more: Any) -> Any:
            if path.is_relative_to(root / "data"):
                self.data.append(path.name)
            return plain(path, *arguments, **more)

        monkeypatch.setattr(Path, "open", watched)


@pytest.fixture
def sweep(tmp_path: Path, make_chat: Any) -> Root:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "experiments/x.yaml").write_text(BODY)
    rows = [make_chat(f"question {n}", f"answer {n % 5}") for n in range(80)]
    (tmp_path / "data/rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return Root(tmp_path)


def test_a_sweep_over_one_data_set_prepares_it_once(sweep: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    room = importlib.import_module("ftspec.data.prepare")
    calls = []
    run = room.Preparation.run

    def watched(preparation: Any) -> Any:
        calls.append(1)
        return run(preparation)

    monkeypatch.setattr(room.Preparation, "run", watched)
    plan = make_plan(sweep, "x")
    assert len(plan.runs) == 6
    assert len(calls) == 1
    assert len({run.data_digest for run in plan.runs}) == 1
    files = list((sweep.cache / "files").glob("*/*.train.jsonl"))
    assert len(files) == 1


def test_a_second_plan_reads_no_data_file(sweep: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_plan(sweep, "x")
    opened = Opened(monkeypatch, sweep.root)
    again = make_plan(sweep, "x")
    assert opened.data == []
    assert [run.train_digest for run in again.runs] == [run.train_digest for run in first.runs]


def test_a_broken_cache_is_made_anew(cached: Any) -> None:
    first = cached.prepare()
    for path in list(cached.cache.rglob("*")):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = cached.prepare()
    assert again.parts["train"].sha256 == first.parts["train"].sha256
    assert again.parts["train"].path.read_bytes().count(b"\n") == 60
