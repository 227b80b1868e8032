"""Whatever an importer reads: a sketch or a coded error, and each value of the source is in one of them or is named."""

import contextlib
import copy
import re
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.spec.errors import FtspecError
from ftspec.workflows.importers.axolotl import sketch_axolotl
from ftspec.workflows.importers.hydra_overlay import sketch_overlay
from ftspec.workflows.importers.openai_job import sketch_job
from ftspec.workflows.importers.sketch import Sketch

JOB = {
    "object": "fine_tuning.job",
    "id": "ftjob-1",
    "model": "gpt-4o-mini-2024-07-18",
    "training_file": "file-a",
    "validation_file": "file-b",
    "hyperparameters": {"n_epochs": 4, "batch_size": 1, "learning_rate_multiplier": 1.8},
    "method": {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": "auto", "batch_size": "auto"}, "more": 1},
    },
    "integrations": [{"type": "wandb", "wandb": {"project": "p"}}],
    "metadata": {"team": "a"},
    "seed": 42,
    "user_provided_suffix": "mine",
}
AXOLOTL = {
    "base_model": "some/model",
    "adapter": "qlora",
    "datasets": [
        {
            "path": "data/a.jsonl",
            "type": "chat_template",
            "ds_type": "json",
            "field_messages": "messages",
            "message_property_mappings": {"role": "role", "content": "content"},
            "roles_to_train": ["assistant"],
        },
        {"path": "b/c", "type": "alpaca", "train_on_inputs": False},
        {
            "path": "data/d.jsonl",
            "type": {
                "field_instruction": "q",
                "field_input": "i",
                "field_output": "a",
                "system_prompt": "s",
                "format": "f",
            },
        },
    ],
    "test_datasets": [{"path": "data/e.jsonl", "type": "chat_template"}],
    "val_set_size": 0.05,
    "gradient_accumulation_steps": 4,
    "micro_batch_size": 2,
    "num_epochs": 3,
    "learning_rate": "2e-4",
    "seed": 1,
    "special_tokens": {"pad_token": "x"},
}
OVERLAY = {
    "defaults": ["_self_", {"override /weights": "assistant"}, {"/evals": ["routing"]}, "base"],
    "model": "tiny",
    "seed": 3,
    "trainer": {"max_epochs": 4},
    "hyperparameters": {"n_epochs": 2, "lr": 0.1},
    "sweep": {"grid": {"seed": [1, 2]}},
    "hydra": {"mode": "MULTIRUN", "sweeper": {"_target_": "x", "params": {"hyperparameters.n_epochs": "1,2"}}},
}
IMPORTERS: list[tuple[dict[str, Any], Callable[[Any], Sketch]]] = [
    (JOB, lambda content: sketch_job(content, None)),
    (JOB, lambda content: sketch_job(content, "data/own.jsonl")),
    (AXOLOTL, lambda content: sketch_axolotl(content, None)),
    (AXOLOTL, lambda content: sketch_axolotl(content, "data/own.jsonl")),
    (OVERLAY, lambda content: sketch_overlay("# @package _global_\n", content, None)),
]
MARKS: list[Any] = ["zzmark", 918273, 91827.5]
ODD: list[Any] = [None, True, -1, 10**30, float("nan"), "", "x", [], [None], {}, {"a": None}, [[1]], "${a}"]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value below a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*at, key)
        yield from places(item, (*at, key))


def put(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of `content` with `value` at a path."""
    changed = copy.deepcopy(content)
    node = changed
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return changed


@st.composite
def changed(draw: st.DrawFn, values: list[Any]) -> tuple[Callable[[], Sketch], tuple[Any, ...], Any]:
    """Draw a source with one value replaced, as something to import, with where and what."""
    content, importer = draw(st.sampled_from(IMPORTERS))
    path = draw(st.sampled_from(list(places(content))))
    value = draw(st.sampled_from(values))
    return lambda: importer(put(content, path, value)), path, value


@settings(max_examples=400)
@given(changed(ODD))
def test_a_sketch_or_a_coded_error(drawn: tuple[Callable[[], Sketch], tuple[Any, ...], Any]) -> None:
    make, _, _ = drawn
    with contextlib.suppress(FtspecError):
        assert "model" in make().keys


@settings(max_examples=400)
@given(changed(MARKS))
def test_nothing_is_lost_in_silence(drawn: tuple[Callable[[], Sketch], tuple[Any, ...], Any]) -> None:
    make, path, value = drawn
    try:
        sketch = make()
    except FtspecError:
        return
    said = f"{sketch.keys} {sketch.choices} {sketch.notes} {[one.value for one in sketch.unequal]}"
    named = {tuple(re.findall(r"[^.\[\]]+", one.key)) for one in sketch.unequal}
    here = tuple(map(str, path))
    assert str(value) in said or any(here[: len(key)] == key for key in named), path
