"""Token counts per message while rows stream by: batched texts, or whole rows for counters that take them."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ftspec.data.chat import ImagePart, text_of
from ftspec.data.tokens import MESSAGE_OVERHEAD, ROW_OVERHEAD, RowCounter, TokenCounter

_BATCH = 256


class Counting:
    """Collects `counts` (tokens of a message's text, per message) and `extra` (what belongs to no message, per row).

    `exact` turns False where a row holds something without a published formula: tool definitions, images.
    """

    def __init__(self, counter: TokenCounter) -> None:
        self.counter = counter
        self.counts = array("i")
        self.extra = array("i")
        self.exact = counter.exact
        self._texts: list[str] = []
        self._more: list[tuple[int, str]] = []
        self._tools: dict[bytes, int] = {}
        self._whole = counter if isinstance(counter, RowCounter) else None

    def add_chats(
        self, messages: Sequence[Any], contents: Sequence[Any], sizes: Sequence[int], tools: Sequence[bytes | None]
    ) -> None:
        """Count conversations: the messages of all, what each holds, and of every row its size and its tools."""
        if self._whole is not None:
            self._add_whole(messages, sizes, tools)
            return
        base = len(self.counts) + len(self._texts)
        self._texts += contents if set(map(type, contents)) == {str} else [self._text(content) for content in contents]
        self._more += [(base + n, message.name) for n, message in enumerate(messages) if message.name is not None]
        for n, message in enumerate(messages):
            if message.tool_calls or message.refusal is not None:
                self._add_calls(base + n, message)
        named = [message.name is not None for message in messages]
        first = 0
        for size, own in zip(sizes, tools, strict=True):
            extra = MESSAGE_OVERHEAD * size + ROW_OVERHEAD + sum(named[first : first + size])
            self.extra.append(extra if own is None else extra + self._tool_tokens(own))
            first += size
        if len(self._texts) >= _BATCH:
            self.flush()

    def _text(self, content: Any) -> str:
        if type(content) is str:
            return content
        if content is not None and any(type(part) is ImagePart for part in content):
            self.exact = False
        return text_of(content)

    def _add_calls(self, at: int, message: Any) -> None:
        if message.refusal is not None:
            self._more.append((at, message.refusal))
        for call in message.tool_calls or ():
            self._more += [(at, call.function.name), (at, call.function.arguments)]

    def add_completion(self, prompt: str, completion: str) -> None:
        """Count a prompt and its completion: their texts, nothing around them."""
        self._texts += [prompt, completion]
        self.extra.append(0)
        if len(self._texts) >= _BATCH:
            self.flush()

    def _add_whole(self, messages: Sequence[Any], sizes: Sequence[int], tools: Sequence[bytes | None]) -> None:
        assert self._whole is not None
        self.flush()
        plain = msgspec.to_builtins(messages)
        first = 0
        for size, own in zip(sizes, tools, strict=True):
            row = plain[first : first + size]
            counts = self._whole.count_row(row, msgspec.json.decode(own) if own is not None else None)
            self.counts.extend(counts[:size])
            self.extra.append(sum(counts[size:]))
            first += size

    def _tool_tokens(self, tools: bytes) -> int:
        self.exact = False
        if tools not in self._tools:
            if len(self._tools) > 1000:
                self._tools.clear()
            self._tools[tools] = self.counter.count([tools.decode()])[0]
        return self._tools[tools]

    def flush(self) -> None:
        """Count what waits."""
        if self._texts:
            self.counts.extend(self.counter.count(self._texts))
            self._texts.clear()
        if self._more:
            for (at, _), found in zip(self._more, self.counter.count([t for _, t in self._more]), strict=True):
                self.counts[at] += found
            self._more.clear()

    def save(self, path: Path) -> None:
        """Write both columns, little-endian as on every machine we run on, and whether they are exact."""
        self.flush()
        path.write_bytes(msgspec.msgpack.encode([self.counts.tobytes(), self.extra.tobytes(), self.exact]))


def load_counts(path: Path) -> "tuple[array[int], array[int], bool]":
    """Read what `save` wrote. Raises ValueError where the file is something else."""
    counts, extra = array("i"), array("i")
    first, second, exact = msgspec.msgpack.decode(path.read_bytes(), type=tuple[bytes, bytes, bool])
    counts.frombytes(first)
    extra.frombytes(second)
    return counts, extra, exact
