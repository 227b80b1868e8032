"""Rows that were edited in place, prompt and all: what stands between the same neighbours and is half the same text.

Half is what git calls a rename (`git diff -M`, default 50 %:
https://git-scm.com/docs/git-diff#Documentation/git-diff.txt--Mltngt). Alike rows elsewhere are no edits of each other:
rows out of a template are all alike.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from ftspec.workflows.review.rowdiff import RowDiff
from ftspec.workflows.review.rowtexts import RowTexts, all_words
from ftspec.workflows.sides import RowFact

HALF = 50.0
MOST = 64  # comparisons between two neighbours that stayed; beyond it, rows are held against the row at their place
CHARACTERS = 2_000  # of a row are compared

Place = tuple[str, int | str]
T = TypeVar("T")


def pair_replaced(found: RowDiff, old: RowTexts, new: RowTexts) -> RowDiff:
    """Return the diff with rows edited in place as `edited`. Nothing changes where the texts are not at hand."""
    if not (found.removed and found.added and old.at_hand and new.at_hand):
        return found
    stayed = [*found.same, *found.reweighted, *found.moved, *found.edited]
    went = _places([pair[0] for pair in stayed], found.removed)
    came = _places([pair[1] for pair in stayed], found.added)
    alike = _by_text(old, new)
    pairs = [pair for place, rows in went.items() for pair in align(rows, came.get(place, ()), alike)]
    gone, fresh = {_key(row) for row, _ in pairs}, {_key(row) for _, row in pairs}
    return replace(
        found,
        edited=(*found.edited, *pairs),
        removed=tuple(row for row in found.removed if _key(row) not in gone),
        added=tuple(row for row in found.added if _key(row) not in fresh),
    )


def _by_text(old: RowTexts, new: RowTexts) -> Callable[[RowFact, RowFact], int]:
    """Return a measure of two rows' likeness: the share of characters in a longest common subsequence, 0 below half."""
    from rapidfuzz.fuzz import ratio

    @lru_cache(maxsize=4 * MOST)
    def text(of: RowTexts, row: RowFact) -> str:
        return all_words(of.row(row))[:CHARACTERS].casefold()

    def alike(one: RowFact, other: RowFact) -> int:
        return round(1000 * ratio(text(old, one), text(new, other), score_cutoff=HALF))

    return alike


def _key(row: RowFact) -> tuple[str, int]:
    return row.part, row.i


def _places(stayed: Sequence[RowFact], others: Sequence[RowFact]) -> Mapping[Place, list[RowFact]]:
    """Return the other rows in file order, by the row that stayed before them (else the first one behind them).

    Both revisions name such a row by its number among those that stayed; a file of which none stayed, by its path.
    """
    numbers = {_key(row): number for number, row in enumerate(stayed)}
    found: dict[Place, list[RowFact]] = {}
    first: list[RowFact] = []
    last, source = -1, ""
    for row in sorted((*stayed, *others), key=lambda row: (row.source, row.line)):
        if row.source != source:
            if first:
                found[("file", source)] = first
            last, first, source = -1, [], row.source
        number = numbers.get(_key(row))
        if number is not None:
            if first:
                found[("before", number)] = first
            last, first = number, []
        elif last >= 0:
            found.setdefault(("behind", last), []).append(row)
        else:
            first.append(row)
    if first:
        found[("file", source)] = first
    return found


def align(olds: Sequence[T], news: Sequence[T], alike: Callable[[T, T], int]) -> list[tuple[T, T]]:
    """Return which old row became which new one, in order: of all ways the one with the greatest likeness in sum.

    `alike` gives 0 for two rows that are none. Beyond 64 comparisons rows are held against the one at their place
    alone, from the top or, where that finds more, from the bottom.
    """
    if len(olds) * len(news) > MOST:
        return _by_place(olds, news, alike)
    scores = [[alike(one, other) for other in news] for one in olds]
    best = [[0] * (len(news) + 1) for _ in range(len(olds) + 1)]
    for a in reversed(range(len(olds))):
        for b in reversed(range(len(news))):
            both = scores[a][b] + best[a + 1][b + 1] if scores[a][b] else 0
            best[a][b] = max(best[a + 1][b], best[a][b + 1], both)
    found, a, b = [], 0, 0
    while a < len(olds) and b < len(news):
        if scores[a][b] and best[a][b] == scores[a][b] + best[a + 1][b + 1]:
            found.append((olds[a], news[b]))
            a, b = a + 1, b + 1
        elif best[a][b] == best[a + 1][b]:
            a += 1
        else:
            b += 1
    return found


def _by_place(olds: Sequence[T], news: Sequence[T], alike: Callable[[T, T], int]) -> list[tuple[T, T]]:
    ways = [list(zip(olds, news, strict=False))]
    if len(olds) != len(news):
        ways.append(list(zip(reversed(olds), reversed(news), strict=False))[::-1])
    return max(([pair for pair in way if alike(*pair)] for way in ways), key=len)
