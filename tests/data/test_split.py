"""Stable parts: adding rows moves none (of a count: at most one a row), groups stay whole, folds hold all out once."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ftspec.data import items, read_rows
from ftspec.data.index import TEST, TRAIN, VALID
from ftspec.data.split import assign, fold_of
from ftspec.spec.dataset import Split
from ftspec.spec.errors import DataError

keys = st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=60)
shares = st.floats(0.05, 0.6)


def parts(names: list[bytes], **split: Any) -> list[int]:
    return list(assign(names, bytes([TRAIN]) * len(names), Split.model_validate(split)))


@settings(max_examples=150, deadline=None)
@given(keys, keys, shares, shares, st.integers(0, 60))
def test_adding_rows_moves_none_of_a_share(
    old: list[bytes], new: list[bytes], test: float, validation: float, at: int
) -> None:
    split = {"test": test, "validation": validation}
    before = parts(old, **split)
    grown = old[:at] + new + old[at:]
    after = parts(grown, **split)
    assert after[: len(old[:at])] + after[len(old[:at]) + len(new) :] == before


@settings(max_examples=150, deadline=None)
@given(
    st.sets(st.binary(min_size=2, max_size=3), min_size=12, max_size=60), st.binary(min_size=4, max_size=5), st.data()
)
def test_a_count_moves_at_most_one_row_per_added_row(old: set[bytes], new: bytes, data: st.DataObject) -> None:
    names = sorted(old)
    count = data.draw(st.integers(1, len(names) - 1))
    before = dict(zip(names, parts(names, test=count), strict=True))
    after = dict(zip([*names, new], parts([*names, new], test=count), strict=True))
    assert sum(before[name] != after[name] for name in names) <= 1
    assert list(after.values()).count(TEST) == list(before.values()).count(TEST) == count


@settings(max_examples=100, deadline=None)
@given(keys, st.integers(1, 20), st.integers(1, 20))
def test_groups_are_never_torn(names: list[bytes], test: int, validation: int) -> None:
    made = parts(names, test=test, validation=validation)
    of_key: dict[bytes, set[int]] = {}
    for name, part in zip(names, made, strict=True):
        of_key.setdefault(name, set()).add(part)
    assert all(len(found) == 1 for found in of_key.values())


@settings(max_examples=60, deadline=None)
@given(keys, st.sampled_from([0.1, 0.2, 0.3]), st.sampled_from([0.1, 5, None]))
def test_another_validation_moves_no_test_row(names: list[bytes], one: float, other: Any) -> None:
    before, after = parts(names, test=0.3, validation=one), parts(names, test=0.3, validation=other)
    assert [p == TEST for p in before] == [p == TEST for p in after]


@settings(max_examples=60, deadline=None)
@given(keys, st.integers(2, 20), st.text(max_size=4))
def test_folds_hold_out_every_row_once(names: list[bytes], folds: int, salt: str) -> None:
    held = Counter[int]()
    for fold in range(folds):
        made = parts(names, folds=folds, fold=fold, salt=salt)
        held.update(row for row, part in enumerate(made) if part == TEST)
    assert held == Counter(range(len(names)))


def test_shares_and_folds_have_their_sizes() -> None:
    """Within 4 sigma for 20,000 keys."""
    names = [n.to_bytes(4, "big") for n in range(20_000)]
    made = Counter(parts(names, test=0.1, validation=0.2))
    assert abs(made[TEST] - 2000) < 4 * (20_000 * 0.1 * 0.9) ** 0.5
    assert abs(made[VALID] - 3600) < 4 * (20_000 * 0.18 * 0.82) ** 0.5
    sizes = Counter(fold_of(name, 5, "") for name in names)
    assert all(abs(size - 4000) < 4 * (20_000 * 0.2 * 0.8) ** 0.5 for size in sizes.values())
    assert sizes != Counter(fold_of(name, 5, "other") for name in names) or sizes == Counter()


@pytest.mark.parametrize(
    ("split", "words"),
    [
        ({"folds": 5, "test": 10}, "folds make the test part"),
        ({"folds": 5, "fold": 5}, "the last of 5 is 4"),
        ({"fold": 1}, "fold needs folds"),
        ({"folds": 1}, "greater than or equal to 2"),
    ],
)
def test_folds_that_make_no_sense(split: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Split.model_validate(split)


def test_folds_of_a_data_set_by_group(project: Any, make_chat: Any) -> None:
    project.rows([make_chat(f"q{n}", "a", customer=f"c{n % 12}") for n in range(60)])
    held: list[str] = []
    for fold in range(3):
        done = project.prepare({"split": {"folds": 3, "fold": fold, "by": "customer"}})
        mine = {item["metadata"]["customer"] for item in items(done.parts["test"])}
        held += mine
        texts = {row["messages"][0]["content"] for row in read_rows(done.parts["train"])}
        assert not mine & {f"c{int(text[1:]) % 12}" for text in texts}
    assert sorted(held) == sorted({f"c{n}" for n in range(12)})


def test_a_fold_without_rows_is_told(project: Any, make_chat: Any) -> None:
    project.rows([make_chat("same question", str(n)) for n in range(30)])
    for fold in range(2):  # one group: one fold has all rows, the other none
        with pytest.raises(DataError, match=r"no row falls into the test part|0 rows to train on"):
            project.prepare({"split": {"folds": 2, "fold": fold}})


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), min_size=20, max_size=60), st.data())
def test_no_prompt_stands_on_both_sides(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    import tempfile
    from pathlib import Path

    from tests.data.conftest import Project, chat

    split = {"test": data.draw(st.sampled_from([0.2, 5])), "validation": data.draw(st.sampled_from([0.2, 3]))}
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder)).rows([chat(*pair) for pair in pairs])
        try:
            done = project.prepare({"split": split})
        except DataError:
            return  # nothing was left for a part
        sides: dict[str, set[str]] = {}
        for line in done.rows.read_text().splitlines():
            record = json.loads(line)
            sides.setdefault(record["prompt"], set()).add(record["part"])
        assert all(len(found) == 1 for found in sides.values())
        assert done.overlap == 0
