"""Which part a row belongs to: a keyed hash of its key decides, never an order, so insertions move nobody else.

u = first 8 bytes of blake2b(key), keyed by part and salt. A share takes the rows with u below it, a count those
with the smallest u, whole groups at a time; a fold is an equal stretch of u. Test is drawn first and each part has its
own salt prefix.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from ftspec.data.index import DROPPED, TEST, TRAIN, VALID
from ftspec.spec.dataset import Source, Split


def threshold(share: float) -> int:
    """Return floor(share * 2**64), exact for the decimal as written."""
    return int(Fraction(repr(share)) * 2**64)


def draw(key: bytes, purpose: str, salt: str) -> int:
    """Return u of a key, 0 <= u < 2**64."""
    return draw_all([key], purpose, salt)[key]


def draw_all(keys: Iterable[bytes], purpose: str, salt: str) -> dict[bytes, int]:
    """Return u of every key."""
    secret = f"{purpose}:{salt}".encode()
    if len(secret) > hashlib.blake2b.MAX_KEY_SIZE:
        secret = hashlib.blake2b(secret, digest_size=32).digest()
    start, number = hashlib.blake2b(digest_size=8, key=secret), int.from_bytes
    drawn = {}
    for key in keys:
        mine = start.copy()  # the key of the hash is worked in once
        mine.update(key)
        drawn[key] = number(mine.digest(), "big")
    return drawn


def fold_of(key: bytes, folds: int, salt: str) -> int:
    """Return which fold a key falls into, floor(folds * u)."""
    return folds * draw(key, "fold", salt) >> 64


def choose(keys: Sequence[bytes], among: Sequence[int], amount: float | int, purpose: str, salt: str) -> set[bytes]:
    """Return the keys (groups) that are drawn: a share of all, or enough of the smallest for `amount` rows.

    `keys` has one key per row, `among` the rows to choose from.
    """
    sizes = Counter([keys[row] for row in among])
    drawn = draw_all(sizes, purpose, salt)
    if isinstance(amount, float):
        below = threshold(amount)
        return {key for key, u in drawn.items() if u < below}
    taken: set[bytes] = set()
    rows = 0
    # Every group has a row, so no more groups than rows are looked at.
    for _, key in heapq.nsmallest(amount, zip(drawn.values(), drawn, strict=True)):
        if rows >= amount:
            break
        taken.add(key)
        rows += sizes[key]
    return taken


def assign(keys: Sequence[bytes], homes: bytes, split: Split) -> bytearray:
    """Return one part code per row. `homes` says where rows come from: TRAIN (to be divided), VALID, TEST, DROPPED."""
    parts = bytearray(homes)
    if split.folds is not None:
        held = {key for key in set(keys) if fold_of(key, split.folds, split.salt) == split.fold}
        for row, part in enumerate(parts):
            if part == TRAIN and keys[row] in held:
                parts[row] = TEST
    plan: tuple[tuple[int, str, Any], ...] = ((TEST, "test", split.test), (VALID, "validation", split.validation))
    for code, purpose, amount in plan:
        if amount is None or isinstance(amount, Source):
            continue
        among = [row for row, part in enumerate(parts) if part == TRAIN]
        chosen = choose(keys, among, amount, purpose, split.salt)
        for row in among:
            if keys[row] in chosen:
                parts[row] = code
    return parts


def sample(row_keys: Sequence[bytes], among: Sequence[int], source: Source, parts: bytearray) -> None:
    """Keep the declared share of a source's rows, of those at most the count, and mark the others as dropped.

    Both go by the same hash of the row, so a smaller share or count is a part of a greater one.
    """
    below = threshold(source.fraction) if source.fraction is not None else 2**64
    drawn = sorted((draw(row_keys[row], f"source:{source.path}", ""), row_keys[row], row) for row in among)
    kept = [row for u, _, row in drawn if u < below][: source.count]
    for row in set(among).difference(kept):
        parts[row] = DROPPED
