"""Rows edited in place: found as brute force finds them, between the same neighbours alone, at a bounded cost."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.fuzz import ratio

from ftspec.workflows.review import replaced
from ftspec.workflows.review.replaced import MOST, align, pair_replaced
from ftspec.workflows.review.rowdiff import RowDiff, diff_rows
from ftspec.workflows.review.rowtexts import RowTexts
from ftspec.workflows.sides import DataSide, PartFacts, RowFact

SYSTEM = {"role": "system", "content": "Long instructions that every row has in common, so that all rows look alike."}


def matchings(olds: Sequence[int], news: Sequence[int]) -> Iterator[list[tuple[int, int]]]:
    """Every way to pair some of the first with some of the second, in order."""
    yield []
    for a, one in enumerate(olds):
        for b, other in enumerate(news):
            for rest in matchings(olds[a + 1 :], news[b + 1 :]):
                yield [(one, other), *rest]


@settings(max_examples=100)
@given(st.data())
def test_rows_are_aligned_as_by_trying_all_ways(data: st.DataObject) -> None:
    size = st.integers(0, 4)
    olds, news = range(data.draw(size)), range(data.draw(size))
    table = {(a, b): data.draw(st.sampled_from([0, 0, 50, 60, 100])) for a in olds for b in news}
    found = align(olds, news, lambda a, b: table[a, b])
    assert all(table[pair] for pair in found)
    assert [*found] == sorted(found), "the order is kept"
    best = max(sum(table[pair] for pair in way) for way in matchings(olds, news) if all(table[p] for p in way))
    assert sum(table[pair] for pair in found) == best
    assert [(b, a) for a, b in align(news, olds, lambda b, a: table[a, b])] == found or best  # mirrored: as good
    assert sum(table[a, b] for b, a in align(news, olds, lambda b, a: table[a, b])) == best


def side(folder: Path, name: str, texts: Sequence[tuple[str, str]]) -> DataSide:
    """A data set of one-turn rows, each (prompt, answer); equal ones have equal keys."""
    lines, facts = [], []
    for n, (prompt, answer) in enumerate(texts):
        messages = [SYSTEM, {"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        lines.append(json.dumps({"messages": messages}) + "\n")
        facts.append(RowFact("train", f"{prompt}|{answer}", prompt, "001", "a.jsonl", n + 1, n))
    path = folder / name
    path.write_text("".join(lines))
    part = PartFacts("", len(lines), 0, 0, 0, 0, path)
    return DataSide(name, {"train": part}, {}, "tiny", "assistant", None, tuple(facts))


def compare(old: DataSide, new: DataSide) -> RowDiff:
    assert old.rows is not None
    assert new.rows is not None
    with RowTexts(old) as before, RowTexts(new) as after:
        return pair_replaced(diff_rows(old.rows, new.rows), before, after)


WORDS = ("where is my parcel", "where is our parcel", "cancel my card", "cancel the card", "x", "refund me now please")
rows = st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(["yes", "no"])), max_size=7)


@st.composite
def edited(draw: st.DrawFn) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Some rows, and what became of them: kept, replaced, removed, with others between."""
    old = draw(rows)
    new: list[tuple[str, str]] = []
    for row in old:
        fate = draw(st.sampled_from(["keep", "keep", "replace", "remove", "insert"]))
        new += [row] if fate in ("keep", "insert") else []
        new += draw(rows.filter(bool))[:1] if fate in ("replace", "insert") else []
    return old, new


def brute(old: DataSide, new: DataSide) -> int:
    """The likeness in sum of the best pairs: every row's neighbour is looked for by walking back to it."""
    assert old.rows is not None
    assert new.rows is not None
    found = diff_rows(old.rows, new.rows)
    stayed = [*found.same, *found.reweighted, *found.moved, *found.edited]

    def neighbour(row: RowFact, of: Sequence[RowFact]) -> tuple[str, int]:
        before = [n for n, other in enumerate(of) if other.line < row.line]
        if before:
            return "behind", max(before, key=lambda n: of[n].line)
        return ("before", min(range(len(of)), key=lambda n: of[n].line)) if of else ("", 0)

    def likeness(one: RowFact, other: RowFact) -> int:
        texts = (row.row.replace("|", " / ").casefold() for row in (one, other))
        return round(1000 * ratio(*texts, score_cutoff=50))

    total = 0
    places = {neighbour(row, [pair[0] for pair in stayed]) for row in found.removed}
    for place in places:
        olds = [row for row in found.removed if neighbour(row, [pair[0] for pair in stayed]) == place]
        news = [row for row in found.added if neighbour(row, [pair[1] for pair in stayed]) == place]
        table = {(a, b): likeness(olds[a], news[b]) for a in range(len(olds)) for b in range(len(news))}
        ways = matchings(range(len(olds)), range(len(news)))
        total += max(sum(table[pair] for pair in way) for way in ways if all(table[pair] for pair in way))
    return total


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


@settings(max_examples=60)
@given(edited())
def test_equals_brute_force(folder: Path, sides: tuple[list[tuple[str, str]], list[tuple[str, str]]]) -> None:
    old, new = side(folder, "old", sides[0]), side(folder, "new", sides[1])
    assert old.rows is not None
    plain, found = diff_rows(old.rows, new.rows or ()), compare(old, new)
    pairs = found.edited[len(plain.edited) :]
    likeness = [ratio(a.row.replace("|", " / "), b.row.replace("|", " / ")) for a, b in pairs]
    assert all(one >= 50 for one in likeness)
    assert sum(round(1000 * one) for one in likeness) == brute(old, new)
    assert len(found.removed) + len(pairs) == len(plain.removed)
    assert len(found.added) + len(pairs) == len(plain.added)
    back = compare(new, old)
    assert (len(back.edited), len(back.added)) == (len(found.edited), len(found.removed))


def test_alike_rows_elsewhere_are_added_and_removed(folder: Path) -> None:
    """Rows out of one template are all alike: one that went at the top did not become one that came at the end."""
    texts = [(f"where is parcel number {n}", "shipping") for n in range(20)]
    found = compare(
        side(folder, "old", texts), side(folder, "new", [*texts[3:], ("where is parcel number 99", "shipping")])
    )
    assert (len(found.edited), len(found.removed), len(found.added)) == (0, 3, 1)


def test_another_row_at_the_place_of_one_that_went_is_no_edit(folder: Path) -> None:
    texts = [(f"where is parcel number {n}", "shipping") for n in range(20)]
    other = [*texts[:7], ("I forgot my password!", "login"), *texts[8:]]
    found = compare(side(folder, "old", texts), side(folder, "new", other))
    assert (len(found.edited), len(found.removed), len(found.added)) == (0, 1, 1)


@pytest.mark.parametrize("more", [0, 3])
@pytest.mark.parametrize("end", ["top", "bottom"])
def test_all_rows_edited_at_once_cost_one_comparison_each(
    folder: Path, monkeypatch: pytest.MonkeyPatch, more: int, end: str
) -> None:
    source = random.Random(1)
    texts = [(" ".join(source.choices("abcdefgh", k=30)), "fine") for _ in range(2 * MOST)]
    new = [(f"Question: {prompt}", answer) for prompt, answer in texts]
    added = [(f"quite another {n}", "x") for n in range(more)]
    calls = 0
    real = replaced.align

    def counting(olds, news, alike):  # type: ignore[no-untyped-def]
        def counted(one: RowFact, other: RowFact) -> int:
            nonlocal calls
            calls += 1
            return int(alike(one, other))

        return real(olds, news, counted)

    monkeypatch.setattr(replaced, "align", counting)
    found = compare(side(folder, "old", texts), side(folder, "new", [*new, *added] if end == "top" else [*added, *new]))
    assert (len(found.edited), len(found.removed), len(found.added)) == (len(texts), 0, more)
    assert calls <= 2 * len(texts)
