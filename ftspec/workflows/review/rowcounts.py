"""A row diff in numbers: what was edited, which messages turned, and where the first rows of each kind stand."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ftspec.workflows.review.changes import Role, Rows, Sample, Turned
from ftspec.workflows.review.rowdiff import PARTS, Pair, RowDiff
from ftspec.workflows.review.rowtexts import RowTexts, all_words, asked, learned_words, taught
from ftspec.workflows.sides import RowFact


def counts(found: RowDiff, before: Sequence[RowFact], rows: Sequence[RowFact], old: RowTexts, new: RowTexts) -> Rows:
    """Count a row diff; `before` and `rows` are all rows of both sides. Texts are looked at where they are at hand."""
    kinds = Counter(_edit_kind(pair, old, new) for pair in found.edited)
    turned = tuple(_turned(found.reweighted, new))
    return Rows(
        added=len(found.added),
        removed=len(found.removed),
        edited=len(found.edited),
        edited_answer=kinds["answer"] + kinds["read"],
        edited_system=kinds["system"],
        edited_tools=kinds["tools"],
        reweighted=len(found.reweighted),
        learned_more=sum(one.rows for one in turned if one.learned),
        learned_less=sum(one.rows for one in turned if not one.learned),
        moved=len(found.moved),
        reordered=found.reordered,
        without_target=sum(1 for row in rows if row.part in PARTS and "1" not in row.weights),
        edited_read=kinds["read"],
        turned=turned,
        from_test=_among(found.added, before),
        to_test=_among(found.removed, rows),
    )


def _among(some: Sequence[RowFact], rows: Sequence[RowFact]) -> int:
    """Return how many of some rows stand in the test part of others."""
    held = Counter(row.row for row in rows if row.part == "test")
    return (held & Counter(row.row for row in some)).total() if held else 0


def _edit_kind(pair: Pair, old: RowTexts, new: RowTexts) -> str:
    """Return what was edited, empty where the texts are not at hand."""
    one, other = old.row(pair[0]), new.row(pair[1])
    if one is None or other is None:
        return ""
    if "messages" in one and "messages" in other:
        if one.get("tools") != other.get("tools"):
            return "tools"
        if asked(one) == asked(other):
            return "system"
    return "read" if taught(one, pair[0]) == taught(other, pair[1]) else "answer"


def _turned(reweighted: Sequence[Pair], new: RowTexts) -> Iterator[Turned]:
    """Yield how many rows learn which message now, or no longer; messages of one role are numbered from 1."""
    found: Counter[tuple[int, Role, bool]] = Counter()
    for one, other in reweighted:
        roles = new.roles(other)
        for at, (before, after) in enumerate(zip(one.weights, other.weights, strict=False)):
            if before != after:
                role: Role = roles[at] if at < len(roles) else ""
                number = roles[: at + 1].count(role) if role else at + 1
                found[number, role, after == "1"] += 1
    for (number, role, learned), rows in sorted(found.items()):
        yield Turned(role=role, number=number, learned=learned, rows=rows)


def samples(found: RowDiff, old: RowTexts, new: RowTexts, *, texts: bool, most: int = 3) -> Iterator[Sample]:
    """Yield where the first changed rows of each class stand. `texts` adds the words that are learned, or all words of
    an edited row that teaches the same as before.
    """
    classes: tuple[tuple[str, list[tuple[RowFact | None, RowFact | None]]], ...] = (
        ("removed", [(row, None) for row in found.removed]),
        ("added", [(None, row) for row in found.added]),
        ("edited", [*found.edited]),
        ("reweighted", [*found.reweighted]),
    )
    for kind, pairs in classes:
        for one, other in heapq.nsmallest(most, pairs, key=_place):
            source, line = _place((one, other))
            if not source:  # rows that lie outside git have no place that anybody could look at
                continue
            before, after = _words(one, old, learned_words), _words(other, new, learned_words)
            if kind == "edited" and before == after:
                before, after = _words(one, old, _all), _words(other, new, _all)
            yield Sample(
                kind=kind,  # type: ignore[arg-type]
                where=f"{source}:{line}",
                old=before if texts else None,
                new=after if texts else None,
            )


def _place(pair: tuple[RowFact | None, RowFact | None]) -> tuple[str, int]:
    row = pair[1] or pair[0]
    assert row is not None
    return row.source, row.line


def _words(fact: RowFact | None, of: RowTexts, words: Callable[[Any, RowFact], str]) -> str | None:
    row: Any = None if fact is None else of.row(fact)
    return None if row is None or fact is None else words(row, fact)[:400]


def _all(row: Any, fact: RowFact) -> str:
    return all_words(row)
