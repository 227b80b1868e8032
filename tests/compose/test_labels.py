"""Labels: golden ones, unique, safe as folder names, and never renamed by a value that is added."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.compose import load
from ftspec.compose.labels import MAX_LABEL, label, names, value_name


def test_golden_names() -> None:
    keys = [
        "hyperparameters.n_epochs",
        "hyperparameters.learning_rate_multiplier",
        "hyperparameters.learning_rate",
        "hyperparameters.batch_size",
        "seed",
        "weights",
        "model",
        "dataset.split.validation",
        "weights.train_on",
    ]
    assert list(names(keys).values()) == [
        *("epochs", "lr", "rate", "batch", "seed", "weights", "model", "validation", "train_on")
    ]


def test_other_keys_by_their_last_unique_part() -> None:
    keys = ["a.x.k", "b.x.k", "c.k", "other.model"]
    assert names(keys) == {"a.x.k": "a.x.k", "b.x.k": "b.x.k", "c.k": "c.k", "other.model": "other.model"}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (3, "3"),
        (0.2, "0.2"),
        (1e-05, "1e-05"),
        (True, "true"),
        (None, "null"),
        ("auto", "auto"),
        ("last_assistant_message", "last_assistant_message"),
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini-2024-07-18"),
        ("3", "3-a4aab3f1"),
        ("true", "true-18d10c7d"),
        ("data/a.jsonl", "data-a.jsonl-7429ab5e"),
        ("", "12ae32cb"),
    ],
)
def test_golden_values(value: Any, name: str) -> None:
    assert value_name(value) == name


def test_default() -> None:
    assert label({}, {}) == "default"


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=60),
    st.lists(st.text(max_size=8), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
)


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(values, min_size=2, max_size=6))
def test_different_values_get_different_safe_names(given: list[Any]) -> None:
    written = {}
    for value in given:
        name = value_name(value)
        assert re.fullmatch(r"-?[A-Za-z0-9][A-Za-z0-9._+-]*", name), name
        assert len(name) <= 40
        assert not name.endswith(".")
        key = (type(value).__name__, repr(value))
        assert written.setdefault(name, key) == key


@settings(max_examples=100, deadline=None, database=None)
@given(st.dictionaries(st.from_regex(r"\A[a-z]{1,8}(\.[a-z]{1,8}){0,3}\Z"), values, min_size=1, max_size=8))
def test_labels_are_short_and_safe(coordinates: dict[str, Any]) -> None:
    text = label(coordinates, names(list(coordinates)))
    assert len(text) <= MAX_LABEL
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+=,-]*", text)


def test_adding_a_value_renames_nothing() -> None:
    """A label is a function of the axes and the point's own values."""
    short = names(["seed", "dataset.split.test"])
    assert label({"seed": 1, "dataset.split.test": 0.1}, short) == "seed=1,test=0.1"


SWEEP = """
sweep:
  grid:
    hyperparameters.n_epochs: [1{more}]
    weights: [assistant, last_assistant_turn]
  zip: [{{hyperparameters.batch_size: [4{more}], hyperparameters.learning_rate_multiplier: [0.2{more}]}}]
  union: [{{grid: {{model: [tiny], dataset.split.test: [0.1, 20{more}]}}}}]
"""


def test_a_wider_sweep_keeps_every_old_label(make_project) -> None:
    narrow = [point.label for point in load(make_project(SWEEP.format(more="")), "x").points]
    assert narrow == [
        "epochs=1,weights=assistant,batch=4,lr=0.2",
        "epochs=1,weights=last_assistant_turn,batch=4,lr=0.2",
        "model=tiny,test=0.1",
        "model=tiny,test=20",
    ]
    wide = [point.label for point in load(make_project(SWEEP.format(more=", 2, 3")), "x").points]
    assert set(narrow) < set(wide)
    assert len(wide) == len(set(wide)) == 22


def test_long_labels_end_in_a_hash() -> None:
    coordinates = {f"some.key_number_{number}": "a_value_of_some_length" for number in range(9)}
    one = label(coordinates, names(list(coordinates)))
    other = label(coordinates | {"some.key_number_8": "another"}, names(list(coordinates)))
    assert len(one) <= MAX_LABEL
    assert one != other
