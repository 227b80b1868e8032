"""Override strings: what we write reads back equal, in value and type, and re-composes with plain Hydra."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.compose import Project
from ftspec.compose.overrides import changed_by, under, written
from ftspec.compose.session import Session, opened
from ftspec.compose.sources import Snapshot

texts = st.one_of(
    st.text(max_size=12),
    st.text("ab'\"\\ \n\t${},[]:=()é😀.-_09", max_size=12),
    st.sampled_from(
        ["true", "null", "NaN", "inf", "1", "1e5", "010", "yes", "", " ", "a,b", "${a}", "\\", "'", "choice(1)"]
    ),
).filter(lambda text: ("\r" not in text and text.isprintable()) or "\n" in text or "\t" in text)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.from_regex(r"\A[a-z][a-z0-9_]{0,5}\Z"), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    root = tmp_path_factory.mktemp("overrides")
    (root / "experiments").mkdir()
    (root / "experiments" / "x.yaml").write_text("defaults: [config, _self_]\n")
    with opened(Snapshot.of(Project(root)), "x", str(root / "experiments")) as session:
        yield session


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type all the way down (1 is not 1.0, and not true)."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other and (one != 0 or math.copysign(1, one) == math.copysign(1, other))


@settings(max_examples=300, deadline=None, database=None)
@given(values)
def test_round_trip(session: Session, value: Any) -> None:
    try:
        text = written(value)
    except ValueError:
        assert "true" in str(value) or "null" in str(value) or "nan" in str(value) or "inf" in str(value)
        return
    override = session.parse(f"key={text}")
    assert not override.is_sweep_override()
    assert same(override.value(), value), text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("auto", "auto"),
        ("last_assistant_message", "last_assistant_message"),
        ("true", "'true'"),
        ("3", "'3'"),
        ("it's", r"'it\'s'"),
        ("", "''"),
        ("data/x.jsonl", "'data/x.jsonl'"),
        (None, "null"),
        (True, "true"),
        (0.1, "0.1"),
        (1e-05, "1e-05"),
        ([1, "a b"], "[1,'a b']"),
        ({"test": 0.1}, "{test:0.1}"),
    ],
)
def test_golden_texts(value: Any, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), {"a b": 1}, {1: 2}, object()])
def test_what_no_override_can_hold(value: Any) -> None:
    with pytest.raises(ValueError):
        written(value)


def test_under() -> None:
    assert under("a.b", "a")
    assert under("a", "a")
    assert not under("ab", "a")
    assert not under("a", "a.b")


def test_what_a_later_override_gives_anew_is_left_out() -> None:
    made = ("hyperparameters.n_epochs=1", "weights=assistant", "++metadata.a='x=1'", "seed=3")
    later = ("++hyperparameters.n_epochs=3", "~weights", "+metadata.a=y")
    assert changed_by(made, later) == ("seed=3", *later)
    assert changed_by(made, ()) == made
