"""Texts of rendered rows, read one at a time: what is kept in memory is where each line begins."""

from array import array
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ftspec.workflows.review.changes import Role
from ftspec.workflows.sides import DataSide, RowFact

_INSTRUCTIONS = ("system", "developer")
_ANSWERS = ("completion", "preferred_output", "non_preferred_output")


class _Spoken(msgspec.Struct):
    role: Role


class _Talk(msgspec.Struct):
    messages: list[_Spoken] = []


_roles = msgspec.json.Decoder(_Talk).decode


class RowTexts:
    """The rows of one data set's train and validation parts; none where only a lock tells about them.

    A context manager: it holds files open.
    """

    def __init__(self, data: DataSide) -> None:
        self._data = data
        self._open: dict[str, tuple[BinaryIO, array[int]]] = {}

    def __enter__(self) -> "RowTexts":
        return self

    def __exit__(self, *error: object) -> None:
        for stream, _ in self._open.values():
            stream.close()

    @property
    def at_hand(self) -> bool:
        """Whether there are texts."""
        return self._path("train") is not None

    def line(self, fact: RowFact) -> bytes | None:
        """Return a row as it is rendered."""
        path = self._path(fact.part)
        if path is None:
            return None
        if fact.part not in self._open:
            self._open[fact.part] = path.open("rb"), _starts(path)
        stream, starts = self._open[fact.part]
        stream.seek(starts[fact.i])
        return stream.read(starts[fact.i + 1] - starts[fact.i])

    def row(self, fact: RowFact) -> Any:
        """Return a row; None where its text is not at hand."""
        line = self.line(fact)
        return None if line is None else msgspec.json.decode(line)

    def roles(self, fact: RowFact) -> list[Role]:
        """Return who speaks in each message; nothing where the text is not at hand, or the row is no conversation."""
        line = self.line(fact)
        return [] if line is None else [message.role for message in _roles(line).messages]

    def _path(self, part: str) -> Path | None:
        return self._data.parts[part].path if part in self._data.parts else None


def _starts(path: Path) -> "array[int]":
    """Return where each line begins, and where the last one ends."""
    starts = array("Q", [0])
    at = 0
    with path.open("rb") as lines:
        for line in lines:
            at += len(line)
            starts.append(at)
    return starts


def asked(row: Any) -> list[Any]:
    """Return the messages of a conversation without its instructions."""
    return [message for message in row["messages"] if message["role"] not in _INSTRUCTIONS]


def taught(row: Any, fact: RowFact) -> list[Any]:
    """Return what a row teaches: its learned messages, its completion, or its answers."""
    if "messages" not in row:
        return [row.get(key) for key in _ANSWERS]
    return [message for message, weight in zip(row["messages"], fact.weights, strict=False) if weight == "1"]


def learned_words(row: Any, fact: RowFact) -> str:
    """Return the text that a row teaches."""
    if "messages" not in row:
        return (
            str(row["completion"]) if "completion" in row else " / ".join(map(words, row.get("preferred_output", ())))
        )
    return " / ".join(words(message) for message in taught(row, fact))


def words(message: Any) -> str:
    """Return the text of a message and of its calls."""
    content = message.get("content")
    calls = [call["function"]["name"] + call["function"]["arguments"] for call in message.get("tool_calls") or ()]
    return " ".join([content if isinstance(content, str) else "", *calls]).strip()


def all_words(row: Any) -> str:
    """Return every text of a row but its instructions and tools, by which two rows are found alike."""
    if "messages" in row:
        return " / ".join(words(message) for message in asked(row))
    return " / ".join(_strings({key: value for key, value in row.items() if key != "tools"}))


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in found for text in _strings(one)]
