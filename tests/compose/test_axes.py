"""Axes: every form of the sweep grammar, exact values, and what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.compose.axes import AxisError, listed, logrange, of_text
from ftspec.compose.session import Session, opened
from ftspec.compose.sources import Snapshot


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    from ftspec.compose import Project

    root = tmp_path_factory.mktemp("axes")
    (root / "experiments").mkdir()
    (root / "experiments" / "x.yaml").write_text("defaults: [config, _self_]\n")
    with opened(Snapshot.of(Project(root)), "x", str(root / "experiments")) as session:
        yield session


GOLDEN = [
    ("1,2,3", [1, 2, 3]),
    ("a, b", ["a", "b"]),
    ("'1',2", ["1", 2]),
    ("1,auto,null", [1, "auto", None]),
    ("choice([1,2],[3])", [[1, 2], [3]]),
    ("choice({a:1},{a:2})", [{"a": 1}, {"a": 2}]),
    ("range(4)", [0, 1, 2, 3]),
    ("range(1,4)", [1, 2, 3]),
    ("range(1,10,4)", [1, 5, 9]),
    ("range(5,1,-2)", [5, 3]),
    ("range(start=1,stop=3)", [1, 2]),
    ("range(0.02,0.2,0.06)", [0.02, 0.08, 0.14]),
    ("range(0.1,0.4,0.1)", [0.1, 0.2, 0.3]),
    ("range(1,2,0.25)", [1.0, 1.25, 1.5, 1.75]),
    ("range(0.3,0,-0.1)", [0.3, 0.2, 0.1]),
    ("float(range(1,4))", [1.0, 2.0, 3.0]),
    ("int(range(1.0,3.0))", [1, 2]),
    ("sort(3,1,2)", [1, 2, 3]),
    ("sort(3,1,2,reverse=true)", [3, 2, 1]),
    ("tag(t, choice(1,2))", [1, 2]),
    ("str(choice(1,2))", ["1", "2"]),
    ("glob(last_*)", ["last_assistant_message", "last_assistant_turn"]),
    ("glob(*, exclude=[all*,from*])", ["assistant", "last_assistant_message", "last_assistant_turn"]),
    ("logrange(0.02, 0.2, 4)", [0.02, 0.04309, 0.09283, 0.2]),
    ("logrange(0.2, 0.02, 4)", [0.2, 0.09283, 0.04309, 0.02]),
    ("logrange(1e-5, 1e-3, 3)", [1e-05, 1e-4, 1e-3]),
    ("logrange(0.02, 0.2, 4, digits=2)", [0.02, 0.043, 0.093, 0.2]),
    ("logrange(4, 32, 4)", [4, 8, 16, 32]),
    ("logrange(4, 32, 3)", [4.0, 11.31, 32.0]),
]


@pytest.mark.parametrize(("text", "expected"), GOLDEN, ids=[text for text, _ in GOLDEN])
def test_golden_values(session: Session, text: str, expected: list[Any]) -> None:
    values = of_text(session, "weights" if text.startswith("glob") else "key", text)
    assert values is not None
    assert values.make() == expected
    assert list(map(type, values.make())) == list(map(type, expected))
    assert values.count == len(expected)


@pytest.mark.parametrize("text", ["auto", "3", "[1,2]", "{a:1}", "'1,2'"])
def test_one_value_sweeps_nothing(session: Session, text: str) -> None:
    assert of_text(session, "key", text) is None


REFUSED = [
    ("interval(0,1)", "continuous"),
    ("shuffle(1,2,3)", "random"),
    ("shuffle(range(1,4))", "random"),
    ("range(1,1)", "no value"),
    ("range(3,1)", "no value"),
    ("range(1,3,0)", "step"),
    ("glob(nope*)", "no option"),
    ("logrange(0,1,3)", "above 0"),
    ("logrange(1,2,1)", "2 to 1000"),
    ("logrange(1,1.0001,5)", "equal neighbours"),
    ("logrange(1,2)", "cannot be read"),
    ("choice(", "cannot be read"),
    ("1,,2", "cannot be read"),
    ("x" * 5000, "4096"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text[:20] for text, _ in REFUSED])
def test_refused(session: Session, text: str, message: str) -> None:
    with pytest.raises(AxisError, match=message):
        of_text(session, "weights" if text.startswith("glob") else "key", text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, float("nan")], {"not a key": 1}])
def test_values_that_no_override_can_hold(value: Any) -> None:
    with pytest.raises(AxisError):
        listed([value])


def test_counting_makes_nothing(session: Session) -> None:
    values = of_text(session, "key", "range(1,2000000000)")
    assert values is not None
    assert values.count == 1_999_999_999


@settings(max_examples=100, deadline=None, database=None)
@given(
    low=st.decimals("0.0001", "0.9", places=4),
    high=st.decimals("1", "100", places=2),
    count=st.integers(2, 12),
)
def test_logrange_keeps_its_ends_and_its_ratio(low: Any, high: Any, count: int) -> None:
    values = logrange(str(low), str(high), count).make()
    assert (values[0], values[-1], len(values)) == (float(low), float(high), count)
    ratio = (float(high) / float(low)) ** (1 / (count - 1))
    for number, value in enumerate(values):
        assert value == pytest.approx(float(low) * ratio**number, rel=1e-3)


@settings(max_examples=60, deadline=None, database=None)
@given(start=st.integers(-50, 50), count=st.integers(1, 30), tenths=st.integers(1, 40))
def test_float_ranges_are_decimal(session: Session, start: int, count: int, tenths: int) -> None:
    step = tenths / 10
    stop = (start * 10 + count * tenths) / 10
    values = of_text(session, "key", f"range({start / 10 * 10},{stop},{step})")
    assert values is not None
    assert values.make() == [(start * 10 + number * tenths) / 10 for number in range(count)]
