"""What is kept of every row in memory: about 100 bytes a row, so that files of any size can be divided and weighted."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any

import msgspec

KEY = 16
ANSWER = 8
NO_ANSWER = bytes(ANSWER)
TRAIN, VALID, TEST, DROPPED = 1, 2, 3, 0
PART_NAME = {TRAIN: "train", VALID: "valid", TEST: "test"}


@dataclass
class RowIndex:
    """Columns over all rows, in file order.

    `source` numbers the input file, `line` counts from 1 in it, `start` is the offset of the row's line in the
    canonical file. `row_key`, `prompt_key` are 16 bytes each, `answer_key` 8 (zeros: no text). `size` counts messages;
    `letters` one role letter, `given` one of `.01` (weight in the data), `width` the bytes of a message in its line.
    `marked` numbers the few rows that hold `<|`, with which all special tokens begin.
    """

    source: "array[int]" = field(default_factory=lambda: array("H"))
    line: "array[int]" = field(default_factory=lambda: array("I"))
    start: "array[int]" = field(default_factory=lambda: array("Q"))
    size: "array[int]" = field(default_factory=lambda: array("I"))
    width: "array[int]" = field(default_factory=lambda: array("I"))
    marked: "array[int]" = field(default_factory=lambda: array("I"))
    row_key: bytearray = field(default_factory=bytearray)
    prompt_key: bytearray = field(default_factory=bytearray)
    answer_key: bytearray = field(default_factory=bytearray)
    letters: bytearray = field(default_factory=bytearray)
    given: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.line)

    def extend(
        self,
        sizes: Iterable[int],
        widths: Iterable[int],
        letters: bytes,
        given: bytes,
        row_keys: Iterable[bytes],
        prompt_keys: Iterable[bytes],
        answer_keys: Iterable[bytes],
    ) -> None:
        """Add what the form of rows says of them; where they come from stands in `source`, `line` and `start`."""
        self.size.extend(sizes)
        self.width.extend(widths)
        self.letters += letters
        self.given += given
        self.row_key += b"".join(row_keys)
        self.prompt_key += b"".join(prompt_keys)
        self.answer_key += b"".join(answer_keys)

    def firsts(self) -> "array[int]":
        """Return the number of the first message of every row, and the number of messages at the end."""
        return array("I", accumulate(self.size, initial=0))

    def row_keys(self) -> list[bytes]:
        """Return the row keys of all rows."""
        return _cut(self.row_key)

    def prompt_keys(self) -> list[bytes]:
        """Return the prompt keys of all rows."""
        return _cut(self.prompt_key)

    def key(self, row: int) -> bytes:
        """Return the row key."""
        return bytes(self.row_key[row * KEY : (row + 1) * KEY])

    def prompt(self, row: int) -> bytes:
        """Return the prompt key."""
        return bytes(self.prompt_key[row * KEY : (row + 1) * KEY])

    def answer(self, row: int) -> bytes:
        """Return the key of the last assistant text, zeros where there is none."""
        return bytes(self.answer_key[row * ANSWER : (row + 1) * ANSWER])

    def save(self, path: Path) -> None:
        """Write all columns to one file."""
        columns: list[Any] = [
            column.tobytes() for column in (self.source, self.line, self.start, self.size, self.width, self.marked)
        ]
        columns += [self.row_key, self.prompt_key, self.answer_key, self.letters, self.given]
        path.write_bytes(msgspec.msgpack.encode(columns))

    @classmethod
    def load(cls, path: Path) -> "RowIndex":
        """Read what `save` wrote. Raises ValueError where the file is something else."""
        columns = msgspec.msgpack.decode(path.read_bytes(), type=list[bytes])
        if len(columns) != 11:
            raise ValueError("not a row index")
        made = cls()
        arrays = (made.source, made.line, made.start, made.size, made.width, made.marked)
        for column, data in zip(arrays, columns[:6], strict=True):
            column.frombytes(data)
        made.row_key, made.prompt_key, made.answer_key, made.letters, made.given = map(bytearray, columns[6:])
        if len(made.row_key) != KEY * len(made) or not len(made.letters) == len(made.width) == sum(made.size):
            raise ValueError("a row index that does not fit together")
        return made


def _cut(column: bytearray) -> list[bytes]:
    data = bytes(column)
    return [data[at : at + KEY] for at in range(0, len(data), KEY)]
