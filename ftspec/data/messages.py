"""One raw row to one row of messages: chat rows as they are, other rows through the template of `dataset.messages`."""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from ftspec.data.chat import (
    ChatRow,
    CompletionRow,
    with_metadata,
)
from ftspec.data.issues import BadRowError
from ftspec.data.lacking import Unmet
from ftspec.data.preference import PreferenceRow
from ftspec.data.readers import json_problem
from ftspec.data.validate import explain, explain_line, find_surrogate
from ftspec.spec.errors import Problem

Row = ChatRow | CompletionRow | PreferenceRow
Metadata = dict[str, Any]


class Mapper(Protocol):
    """Makes rows of raw rows."""

    def __call__(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        """Return the row and its declared metadata. Raises BadRowError."""
        ...

    def lacks(self) -> list[Problem]:
        """Return what rows lack that raised BadRowError without a problem of their own, once all rows were seen."""
        ...

    def problems(self) -> list[Problem]:
        """Return what fits no row, once all rows were seen and none was bad."""
        ...


_FLAGS: dict[str, dict[Any, int]] = {
    "trainable": {True: 1, False: 0},
    "loss": {True: 1, False: 0},
    "train": {True: 1, False: 0},
    "masked": {True: 0, False: 1},
    "loss_weight": {1: 1, 0: 0},
}


class ReadyRows:
    """Chat, completion or preference rows as they are. `flag` names the key that holds weights in the data.

    `unmet` watches for metadata that no row has.
    """

    def __init__(self, metadata: Sequence[str], flag: str, unmet: Unmet) -> None:
        self._names = tuple(metadata)
        self._unmet = unmet
        self._flag = flag
        self._chat: Any = with_metadata(ChatRow, self._names)
        self._completion: Any = with_metadata(CompletionRow, self._names)
        self._preference: Any = with_metadata(PreferenceRow, self._names)
        self._decode_chat = msgspec.json.Decoder(self._chat).decode
        self._others = [msgspec.json.Decoder(kind).decode for kind in (self._completion, self._preference)]

    def __call__(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        """Return the row and its declared metadata. Raises BadRowError."""
        if isinstance(raw, dict) or self._flag != "weight":
            return self._from_object(raw, file, line)
        said = ""
        for decode in (self._decode_chat, *self._others):
            try:
                return self._split(decode(raw))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                said = plain_message(error) if not said or b'"preferred_output"' in raw else said
        raise BadRowError(explain_line(raw, said, self._names, file, line))

    def lacks(self) -> list[Problem]:
        """Return nothing: what a ready row lacks is told with the row."""
        return []

    def problems(self) -> list[Problem]:
        """Return the metadata that no row has."""
        return self._unmet.problems()

    def _from_object(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        value = row_object(raw, file, line) if isinstance(raw, bytes) else raw
        problems: list[Problem] = []
        if self._flag != "weight":
            value = _with_weights(value, self._flag, file, line, problems)
        if problems:
            raise BadRowError(problems)
        if find_surrogate(value) is not None:
            raise BadRowError(explain(value, "broken Unicode", self._names, file, line))
        row: Any
        try:
            row = msgspec.convert(value, self._kind(value), strict=True)
        except msgspec.MsgspecError as error:
            raise BadRowError(explain(value, plain_message(error), self._names, file, line)) from None
        return self._split(row)

    def _kind(self, value: dict[str, Any]) -> Any:
        if "completion" in value:
            return self._completion
        return self._preference if "preferred_output" in value else self._chat

    def _split(self, row: Any) -> tuple[Row, Metadata]:
        """Return the row without its metadata, and the metadata."""
        if not self._names:
            return row, {}
        values = ((name, getattr(row, f"m{n}", UNSET)) for n, name in enumerate(self._names))
        metadata = {name: msgspec.json.decode(value) for name, value in values if value is not UNSET}
        for name in self._names:
            if name in row.__struct_fields__ and getattr(row, name) is not UNSET:
                metadata[name] = msgspec.json.decode(msgspec.json.encode(getattr(row, name)))
        self._unmet.see(metadata)
        if isinstance(row, ChatRow):
            return ChatRow(row.messages, row.tools, row.parallel_tool_calls), metadata
        if isinstance(row, PreferenceRow):
            return PreferenceRow(row.input, row.preferred_output, row.non_preferred_output), metadata
        return CompletionRow(row.prompt, row.completion), metadata


def plain_message(error: Exception) -> str:
    """Return msgspec's message in our form of paths."""
    return str(error).replace("`$.", "`").replace(" - at ", ", at ")


def row_object(raw: bytes, file: str, line: int) -> dict[str, Any]:
    """Return a raw row as an object. Raises BadRowError."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        broken = json_problem(raw, file, line)
        raise BadRowError([broken] if broken else explain_line(raw, plain_message(error), (), file, line)) from None
    if not isinstance(value, dict):
        raise BadRowError([Problem("json", "a row is an object", file=file, line=line)])
    return value


def _with_weights(row: dict[str, Any], flag: str, file: str, line: int, problems: list[Problem]) -> dict[str, Any]:
    """Return the row with its flags of another tool as `weight`; both keys in one message are an error."""
    messages = row.get("messages")
    if not isinstance(messages, list):
        return row
    renamed = []
    for n, message in enumerate(messages):
        if isinstance(message, dict) and flag in message:
            message = dict(message)
            value, path = message.pop(flag), f"messages[{n}].{flag}"
            number = flag == "loss_weight"
            known = (
                isinstance(value, int | float) and not isinstance(value, bool) if number else isinstance(value, bool)
            )
            if "weight" in message:
                problems.append(Problem("weight", f"weight and {flag} in one message", path, file, line))
            elif value is not None and (not known or value not in _FLAGS[flag]):
                fix = "only 0 and 1 can be trained" if number else "write true or false"
                problems.append(Problem("weight", f"{flag} is {value!r}", path, file, line, fix=fix))
            elif value is not None:
                message["weight"] = _FLAGS[flag][value]
        renamed.append(message)
    return row | {"messages": renamed}
