"""Rows of two data sets: added, removed, edited, re-weighted, moved between parts, reordered. Duplicates count.

First equal rows cancel, then equal content pairs with another weight or part, then equal prompts, in file order. Told
by keys alone, so that rows which lie outside git are compared in the same way; `replaced.py` looks at texts.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from ftspec.workflows.sides import RowFact

PARTS = ("train", "valid")
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
    olds = sorted((row for row in old if row.part in PARTS), key=_order)
    news = sorted((row for row in new if row.part in PARTS), key=_order)
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
