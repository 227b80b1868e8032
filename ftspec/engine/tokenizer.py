"""Byte-level BPE (Sennrich et al., 2016, over bytes): every text round-trips and no text can make a special id."""

import hashlib
import json
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from ftspec.spec.errors import DataError

SPECIAL = ("<pad>", "<sys>", "<user>", "<asst>", "<end>", "<tool>", "<tools>", "<call>")
PAD, SYS, USER, ASST, END, TOOL, TOOLS, CALL = range(len(SPECIAL))
FIRST_MERGE = len(SPECIAL) + 256
# Words keep one leading space, digits stay single; the bound on letters keeps merging linear on text without spaces.
PIECE = re.compile(r" ?[A-Za-z]{1,32}| ?[0-9]| ?[^A-Za-z0-9\s]|\s")
MEMO_LIMIT = 50_000
FORMAT = 1

Pair = tuple[int, int]


def byte_ids(piece: str) -> list[int]:
    """Ids of the single bytes of `piece`. Raises DataError for a lone surrogate, which UTF-8 cannot hold."""
    try:
        return [byte + len(SPECIAL) for byte in piece.encode()]
    except UnicodeEncodeError as error:
        raise DataError("lone_surrogate", "the text holds a lone surrogate, which is not valid Unicode") from error


class Tokenizer:
    """Encodes with the merges in rank order. Merge number i has id `FIRST_MERGE + i`; `size` is the vocabulary."""

    def __init__(self, merges: Sequence[Pair], identity: str = "") -> None:
        self.merges = tuple((int(left), int(right)) for left, right in merges)
        self.identity = identity
        self.size = FIRST_MERGE + len(self.merges)
        self._merged = {pair: FIRST_MERGE + i for i, pair in enumerate(self.merges)}
        self._memo: dict[str, tuple[int, ...]] = {}

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read a `merges.json`; its identity is the sha256 of the file. Raises DataError where the file is broken."""
        try:
            content = path.read_bytes()
            table = json.loads(content)
            if table["format"] != FORMAT or tuple(table["special"]) != SPECIAL:
                raise ValueError("unknown format")
            return cls(table["merges"], hashlib.sha256(content).hexdigest())
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError("broken_tokenizer", f"not a tokenizer file: {error}", file=str(path)) from error

    def to_json(self) -> str:
        """The content of `merges.json`."""
        table = {"format": FORMAT, "special": list(SPECIAL), "merges": [list(pair) for pair in self.merges]}
        return json.dumps(table, separators=(",", ":")) + "\n"

    @cached_property
    def bytes_of(self) -> list[bytes]:
        """The bytes of each id; special ids stand for none."""
        table = [b""] * len(SPECIAL) + [bytes([byte]) for byte in range(256)]
        for left, right in self.merges:
            table.append(table[left] + table[right])
        return table

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; never a special id. Raises DataError for a lone surrogate."""
        memo = self._memo
        ids: list[int] = []
        for piece in PIECE.findall(text):
            known = memo.get(piece)
            if known is None:
                known = self._merge(piece)
                if len(memo) >= MEMO_LIMIT:
                    memo.clear()
                memo[piece] = known
            ids += known
        return ids

    def _merge(self, piece: str) -> tuple[int, ...]:
        parts = byte_ids(piece)
        merged, none = self._merged, self.size
        while len(parts) > 1:
            best, at = min((merged.get((parts[i], parts[i + 1]), none), i) for i in range(len(parts) - 1))
            if best == none:
                break
            parts[at : at + 2] = [best]
        return tuple(parts)

    def decode_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of `ids`, special ids left out."""
        table = self.bytes_of
        return b"".join([table[i] for i in ids])

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; bytes that are no UTF-8 become U+FFFD."""
        return self.decode_bytes(ids).decode("utf-8", "replace")

    def count(self, texts: Iterable[str]) -> "array[int]":
        """Number of tokens of each text, as 32-bit integers."""
        return array("i", [len(self.encode(text)) for text in texts])


def train_merges(texts: Iterable[str], n_merges: int) -> list[Pair]:
    """Greedy merges of the most frequent pair; ties go to the larger pair, so that hash order plays no part."""
    frequency = Counter(piece for text in texts for piece in PIECE.findall(text))
    split = {piece: byte_ids(piece) for piece in frequency}
    count: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[str]] = defaultdict(set)
    for piece, parts in split.items():
        for pair in pairwise(parts):
            count[pair] += frequency[piece]
            where[pair].add(piece)
    merges: list[Pair] = []
    while len(merges) < n_merges and count:
        best = max(count, key=lambda pair: (count[pair], pair))
        if count[best] < 2:
            break
        new = FIRST_MERGE + len(merges)
        merges.append(best)
        for piece in where.pop(best):
            _apply(best, new, piece, split, frequency[piece], count, where)
        count.pop(best, None)
    return merges


def _apply(
    best: Pair,
    new: int,
    piece: str,
    split: dict[str, list[int]],
    frequency: int,
    count: Counter[Pair],
    where: defaultdict[Pair, set[str]],
) -> None:
    """Merge `best` inside one piece and bring the pair counts up to date; sums, so the order does not matter."""
    parts, merged, i = split[piece], [], 0
    for pair in pairwise(parts):
        count[pair] -= frequency
        if count[pair] <= 0:
            del count[pair]
    while i < len(parts):
        if i + 1 < len(parts) and (parts[i], parts[i + 1]) == best:
            merged.append(new)
            i += 2
        else:
            merged.append(parts[i])
            i += 1
    split[piece] = merged
    for pair in pairwise(merged):
        count[pair] += frequency
        where[pair].add(piece)
