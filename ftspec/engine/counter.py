"""Token counts exactly as the embedded models see them; of no meaning for any other host. Imports no numpy."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ftspec.engine.bases import PUBLISHED, resolve
from ftspec.engine.template import Message, render


class TinyCounter:
    """Counts with a base's tokenizer and chat template; `identity` is the sha256 of the tokenizer's file."""

    exact = True

    def __init__(self, base: str = PUBLISHED) -> None:
        self.tokenizer = resolve(base).tokenizer
        self.name, self.identity = base, self.tokenizer.identity

    def count(self, texts: Iterable[str]) -> "array[int]":
        """Tokens of each bare text, as 32-bit integers."""
        return self.tokenizer.count(texts)

    def count_row(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> list[int]:
        """Tokens of each message with its role and end; one further entry counts the tools. The sum is the row."""
        encoded = render(self.tokenizer, messages, tools)
        counts = [span.stop - span.start for span in encoded.spans]
        return [*counts, len(encoded.ids) - sum(counts)]

    def learned_row(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] | None = None) -> list[int]:
        """Tokens of each message that are trained (weight above 0)."""
        return [span.learned for span in render(self.tokenizer, messages, tools).spans]
