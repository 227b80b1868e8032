"""How a data set is divided: the part of every row, what the parts share, what the training part answers.

No weight policy changes any of it, so it is kept by content beside the rows.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import msgspec

from ftspec.data.chat import ChatRow, text_of
from ftspec.data.index import DROPPED, TEST, TRAIN, VALID, RowIndex
from ftspec.data.origins import Origin
from ftspec.data.rows import Canonical
from ftspec.data.sources import InputFile
from ftspec.data.split import assign, sample
from ftspec.data.split_keys import split_keys
from ftspec.spec.dataset import Dataset
from ftspec.spec.errors import Problem

_CODES = {"train": TRAIN, "valid": VALID, "test": TEST}
_MOST_ANSWERS = 1000
_decode_chat = msgspec.json.Decoder(ChatRow).decode


@dataclass(frozen=True)
class Division:
    """`parts` has one code a row. `with_validation`, `with_test` and `with_either` count distinct training prompts.

    `references` are the distinct last assistant texts of the training part with counts, commonest first; empty beyond a
    thousand of them.
    """

    parts: bytes
    with_validation: int
    with_test: int
    with_either: int
    references: list[tuple[str, int]]

    def save(self, path: Path) -> None:
        """Write it to a file."""
        path.write_bytes(msgspec.msgpack.encode(astuple(self)))

    @classmethod
    def load(cls, path: Path) -> "Division":
        """Read what `save` wrote. Raises ValueError where the file is something else."""
        kinds = tuple[bytes, int, int, int, list[tuple[str, int]]]
        return cls(*msgspec.msgpack.decode(path.read_bytes(), type=kinds))

    def problems(self) -> list[Problem]:
        """Return what to say about prompts that stand on both sides."""
        fix = "split by: prompt keeps equal prompts together"
        return [
            Problem(
                "leak",
                f"{count} prompts of the training part also stand in the {name} part",
                "dataset.split",
                fix=fix,
                severity="warning",
            )
            for name, count in (("validation", self.with_validation), ("test", self.with_test))
            if count
        ]


def divide(dataset: Dataset, origins: Sequence[Origin], inputs: Sequence[InputFile], canonical: Canonical) -> Division:
    """Divide all rows. Raises DataError for rows without the field that the split goes by."""
    parts = _parts(dataset, origins, inputs, canonical)
    seen: dict[int, set[bytes]] = {TRAIN: set(), VALID: set(), TEST: set(), DROPPED: set()}
    for part, key in zip(parts, canonical.index.prompt_keys(), strict=True):
        seen[part].add(key)
    train, valid, test = seen[TRAIN], seen[VALID], seen[TEST]
    shared = len(train & valid), len(train & test), len(train & (valid | test))
    return Division(parts, *shared, _references(canonical, parts))


def _parts(dataset: Dataset, origins: Sequence[Origin], inputs: Sequence[InputFile], canonical: Canonical) -> bytes:
    """Return one part code per row: samples of sources, files bound to a part, the split."""
    index = canonical.index
    homes = bytearray(map([_CODES[source.home] for source in inputs].__getitem__, index.source))
    for group, origin in enumerate(origins):
        if origin.source.fraction is None and origin.source.count is None:
            continue
        among = [row for row, file in enumerate(index.source) if inputs[file].group == group]
        sample(index.row_keys(), among, origin.source, homes)
    return bytes(assign(split_keys(dataset.split.by, inputs, canonical), bytes(homes), dataset.split))


def _references(canonical: Canonical, parts: bytes) -> list[tuple[str, int]]:
    index: RowIndex = canonical.index
    counts: dict[bytes, int] = {}
    first: dict[bytes, int] = {}
    for row in range(len(index)):
        if parts[row] != TRAIN:
            continue
        key = index.answer(row)
        if not any(key):
            continue
        counts[key] = counts.get(key, 0) + 1
        if key not in first:
            if len(counts) > _MOST_ANSWERS:
                return []
            first[key] = row
    found: list[tuple[str, int]] = []
    with canonical.lines.open("rb") as lines:
        for key, row in first.items():
            lines.seek(index.start[row])
            found.append((_answer(lines.readline(), canonical.row_format), counts[key]))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _answer(line: bytes, row_format: str) -> str:
    if row_format == "completion":
        return str(msgspec.json.decode(line)["completion"])
    if row_format == "preference":
        return str(msgspec.json.decode(line)["preferred_output"][0]["content"])
    return next(text_of(m.content) for m in reversed(_decode_chat(line).messages) if m.letter == "a")
