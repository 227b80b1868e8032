"""Token counts per message while rows stream by: batched texts, or whole rows for counters that take them."""

from array import array
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from ftspec.data.chat import ImagePart, text_of
from ftspec.data.tokens import MESSAGE_OVERHEAD, ROW_OVERHEAD, RowCounter, TokenCounter

_BATCH = 4096


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

    def add_chat(self, messages: list[Any], tools: Raw | None) -> None:
        """Count one conversation."""
        if self._whole is not None:
            self._add_whole(messages, tools)
            return
        base = len(self.counts) + len(self._texts)
        contents = [m.content for m in messages]
        names = [m.name for m in messages]
        named = len(names) - names.count(None)
        self._texts += contents if set(map(type, contents)) == {str} else [self._text(content) for content in contents]
        if named:
            self._more += [(base + n, name) for n, name in enumerate(names) if name is not None]
        for n, message in enumerate(messages):
            if message.tool_calls or message.refusal is not None:
                self._add_calls(base + n, message)
        extra = MESSAGE_OVERHEAD * len(messages) + ROW_OVERHEAD + named
        self.extra.append(extra if tools is None else extra + self._tool_tokens(tools))
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

    def _add_whole(self, messages: list[Any], tools: Raw | None) -> None:
        assert self._whole is not None
        self.flush()
        plain = msgspec.to_builtins(messages)
        counts = self._whole.count_row(plain, msgspec.json.decode(tools) if tools is not None else None)
        self.counts.extend(counts[: len(messages)])
        self.extra.append(sum(counts[len(messages) :]))

    def _tool_tokens(self, tools: Raw) -> int:
        self.exact = False
        data = bytes(tools)
        if data not in self._tools:
            if len(self._tools) > 1000:
                self._tools.clear()
            self._tools[data] = self.counter.count([data.decode()])[0]
        return self._tools[data]

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
