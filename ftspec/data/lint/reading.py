"""The rows a lint sees: rendered parts decoded once, each with its line in the source.

Lints that only compare keys or look for a few bytes see every row. The others see a stable sample of data sets beyond
20,000 rows or 8 MB: the rows whose key, a hash, falls below a threshold, so that the same rows are seen every time.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from ftspec.data.chat import Assistant, ChatRow, CompletionRow, Message, ToolCall, User
from ftspec.data.parts import Prepared
from ftspec.data.preference import PreferenceRow

SAMPLE_ROWS = 20_000
SAMPLE_BYTES = 8 * 1024 * 1024
_BUFFER = 1 << 20


class Record(Struct, gc=False):
    """What `rows.jsonl` says of one row; `by` names who decided each message, None where the preset decided all."""

    i: int
    line: int
    part: str
    prompt: str
    row: str
    source: str
    weights: str
    tokens: int = 0
    learned: int = 0
    by: list[int] | None = None


class _Item(Struct):
    """One line of the test part."""

    messages: list[Message]
    reference: str = ""
    expected_calls: list[ToolCall] | None = None
    tools: Raw | UnsetType = UNSET


_decode_record = msgspec.json.Decoder(Record).decode
_decode_chat = msgspec.json.Decoder(ChatRow).decode
_decode_preference = msgspec.json.Decoder(PreferenceRow).decode
_decode_completion = msgspec.json.Decoder(CompletionRow).decode
_decode_item = msgspec.json.Decoder(_Item).decode


def share(prepared: Prepared) -> float:
    """Return the share of rows that lints of texts look at; 1 for all but very large data sets."""
    trained = [part for role, part in prepared.parts.items() if role != "test"]
    rows, size = sum(part.rows for part in trained), sum(part.bytes for part in trained)
    return min(1.0, SAMPLE_ROWS / max(1, rows), SAMPLE_BYTES / max(1, size))


class Row:
    """One rendered row: what `rows.jsonl` records of it, its line `data`, and its messages, decoded when asked for.

    A completion row is a user and an assistant message; so is an item of the test part, with its reference.
    """

    __slots__ = ("_chat", "data", "key", "line", "mask", "part", "prompt", "record", "row_format", "source")

    def __init__(self, record: Record, data: bytes, row_format: str) -> None:
        self.record = record
        self.part, self.source, self.line = record.part, record.source, record.line
        self.key, self.prompt, self.mask = record.row, record.prompt, record.weights
        self.data, self.row_format = data, row_format
        self._chat: ChatRow | None = None

    @property
    def place(self) -> str:
        """`file:line` of its source."""
        return f"{self.source}:{self.line}"

    @property
    def chat(self) -> ChatRow:
        """The row as a conversation."""
        if self._chat is None:
            self._chat = _conversation(self.data, self.part, self.row_format)
        return self._chat

    @property
    def messages(self) -> list[Any]:
        """Its messages."""
        return self.chat.messages

    @property
    def tools(self) -> bytes | None:
        """Its tool definitions as JSON, None without."""
        tools = self.chat.tools
        return None if tools is UNSET else bytes(tools)

    def in_sample(self, threshold: int) -> bool:
        """Whether the row belongs to the sample; `threshold` is the share times 2**32."""
        return int(self.key[:8], 16) < threshold


def _conversation(data: bytes, part: str, row_format: str) -> ChatRow:
    if part == "test":
        item = _decode_item(data)
        answer = Assistant(item.reference or None, tool_calls=item.expected_calls)
        return ChatRow([*item.messages, answer], item.tools)
    if row_format == "completion":
        pair = _decode_completion(data)
        return ChatRow([User(pair.prompt), Assistant(pair.completion)])
    if row_format == "preference":
        answers = _decode_preference(data)
        return ChatRow(answers.messages, answers.input.tools)
    return _decode_chat(data)


def rows(prepared: Prepared, parts: Sequence[str] = ("train", "valid")) -> Iterator[Row]:
    """Yield every row of the named parts, in source order."""
    with ExitStack() as stack:
        streams = {
            role: stack.enter_context(part.path.open("rb", _BUFFER))
            for role, part in prepared.parts.items()
            if role in parts
        }
        for data in stack.enter_context(prepared.rows.open("rb", _BUFFER)):
            record = _decode_record(data)
            if record.part in streams:
                yield Row(record, streams[record.part].readline(), prepared.row_format)
