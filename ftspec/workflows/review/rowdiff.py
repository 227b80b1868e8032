"""Rows of two data sets: added, removed, edited, re-weighted, moved between parts, reordered. Duplicates count.

First equal rows cancel, then equal content pairs with another weight or part, then equal prompts, in file order.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ftspec.workflows.review.changes import Rows, Sample
from ftspec.workflows.sides import DataSide, RowFact

_PARTS = ("train", "valid")
Pair = tuple[RowFact, RowFact]


@dataclass(frozen=True)
class RowDiff:
    """Which rows are what; pairs are (old, new)."""

    same: tuple[Pair, ...]
    reweighted: tuple[Pair, ...]
    moved: tuple[Pair, ...]
    edited: tuple[Pair, ...]
    added: tuple[RowFact, ...]
    removed: tuple[RowFact, ...]
    reordered: bool


def diff_rows(old: Iterable[RowFact], new: Iterable[RowFact]) -> RowDiff:
    """Compare the rows that are trained or validated on, part by part in file order: which of several equal rows is
    paired must not depend on how parts are mixed in a source.
    """
    olds = sorted((row for row in old if row.part in _PARTS), key=_order)
    news = sorted((row for row in new if row.part in _PARTS), key=_order)
    same, olds_left, news_left = _pair(olds, news, lambda r: (r.row, r.weights, r.part))
    content, olds_left, news_left = _pair(olds_left, news_left, lambda r: r.row)
    edited, removed, added = _pair(olds_left, news_left, lambda r: r.prompt)
    order_old = [pair[0] for pair in sorted(same, key=lambda p: _order(p[0]))]
    order_new = [pair[1] for pair in sorted(same, key=lambda p: _order(p[1]))]
    return RowDiff(
        same=tuple(same),
        reweighted=tuple(pair for pair in content if pair[0].weights != pair[1].weights),
        moved=tuple(pair for pair in content if pair[0].weights == pair[1].weights),
        edited=tuple(edited),
        added=tuple(added),
        removed=tuple(removed),
        reordered=[(r.row, r.weights) for r in order_old] != [(r.row, r.weights) for r in order_new],
    )


def _order(row: RowFact) -> tuple[str, int]:
    return row.part, row.i


def _pair(
    olds: Sequence[RowFact], news: Sequence[RowFact], key: Callable[[RowFact], Hashable]
) -> tuple[list[Pair], list[RowFact], list[RowFact]]:
    waiting: dict[Hashable, deque[RowFact]] = defaultdict(deque)
    for row in olds:
        waiting[key(row)].append(row)
    pairs, left = [], []
    for row in news:
        queue = waiting.get(key(row))
        if queue:
            pairs.append((queue.popleft(), row))
        else:
            left.append(row)
    kept = {id(row) for queue in waiting.values() for row in queue}
    return pairs, [row for row in olds if id(row) in kept], left


def counts(found: RowDiff, old: DataSide, new: DataSide) -> Rows:
    """Count a row diff; the texts of edited rows are looked at where they are at hand."""
    edits = [_edit_kind(*texts, *facts) for texts, facts in _texts(found.edited, old, new)]
    more = less = 0
    for one, other in found.reweighted:
        more += sum(a == "0" and b == "1" for a, b in zip(one.weights, other.weights, strict=False))
        less += sum(a == "1" and b == "0" for a, b in zip(one.weights, other.weights, strict=False))
    empty = sum(1 for row in new.rows or () if row.part in _PARTS and "1" not in row.weights)
    return Rows(
        added=len(found.added),
        removed=len(found.removed),
        edited=len(found.edited),
        edited_answer=edits.count("answer") + edits.count("read"),
        edited_system=edits.count("system"),
        edited_tools=edits.count("tools"),
        reweighted=len(found.reweighted),
        learned_more=more,
        learned_less=less,
        moved=len(found.moved),
        reordered=found.reordered,
        without_target=empty,
        edited_read=edits.count("read"),
    )


def _texts(pairs: Sequence[Pair], old: DataSide, new: DataSide) -> list[tuple[tuple[Any, Any], Pair]]:
    before = _lines([pair[0] for pair in pairs], old)
    after = _lines([pair[1] for pair in pairs], new)
    found = []
    for one, other in pairs:
        left, right = before.get((one.part, one.i)), after.get((other.part, other.i))
        if left is not None and right is not None:
            found.append(((left, right), (one, other)))
    return found


def _lines(rows: Sequence[RowFact], data: DataSide) -> dict[tuple[str, int], Any]:
    """Return the rendered rows of some records, by part and number."""
    found: dict[tuple[str, int], Any] = {}
    for part in _PARTS:
        wanted = {row.i for row in rows if row.part == part}
        path = data.parts[part].path if part in data.parts else None
        if wanted and path is not None:
            found |= {(part, number): line for number, line in _numbered(path, wanted)}
    return found


def _numbered(path: Path, wanted: set[int]) -> Iterable[tuple[int, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines):
            if number in wanted:
                yield number, msgspec.json.decode(line)


def _edit_kind(one: Any, other: Any, old: RowFact, new: RowFact) -> str:
    if "messages" not in one or "messages" not in other:
        return "answer"
    instructions = ("system", "developer")
    left = [m for m in one["messages"] if m["role"] not in instructions]
    right = [m for m in other["messages"] if m["role"] not in instructions]
    if one.get("tools") != other.get("tools"):
        return "tools"
    if left == right:
        return "system"
    return "read" if _taught(one, old) == _taught(other, new) else "answer"


def _taught(row: Any, fact: RowFact) -> list[Any]:
    """Return the learned messages of a row."""
    return [message for message, weight in zip(row["messages"], fact.weights, strict=False) if weight == "1"]


def samples(found: RowDiff, old: DataSide, new: DataSide, *, texts: bool, most: int = 3) -> tuple[Sample, ...]:
    """Return where a few changed rows of each class stand; `texts` adds the words that are learned."""
    chosen: list[tuple[str, RowFact | None, RowFact | None]] = [("removed", row, None) for row in found.removed[:most]]
    chosen += [("added", None, row) for row in found.added[:most]]
    chosen += [("edited", *pair) for pair in found.edited[:most]]
    chosen += [("reweighted", *pair) for pair in found.reweighted[:most]]
    before = _lines([row for _, row, _ in chosen if row is not None], old) if texts else {}
    after = _lines([row for _, _, row in chosen if row is not None], new) if texts else {}
    made = []
    for kind, one, other in chosen:
        row = other or one
        assert row is not None
        left = _learned(before.get((one.part, one.i)), one) if one is not None else None
        right = _learned(after.get((other.part, other.i)), other) if other is not None else None
        if row.source:  # rows that lie outside git have no place that anybody could look at
            made.append(Sample(kind=kind, where=f"{row.source}:{row.line}", old=left, new=right))  # type: ignore[arg-type]
    return tuple(made)


def _learned(row: Any, fact: RowFact) -> str | None:
    """Return the text of the learned messages of a row."""
    if row is None:
        return None
    if "messages" not in row:
        return str(row.get("completion", ""))[:400]
    texts = []
    for message, weight in zip(row["messages"], fact.weights, strict=False):
        if weight == "1":
            content = message.get("content")
            calls = [
                call["function"]["name"] + call["function"]["arguments"] for call in message.get("tool_calls") or ()
            ]
            texts.append(" ".join([content if isinstance(content, str) else "", *calls]).strip())
    return " / ".join(texts)[:400]
