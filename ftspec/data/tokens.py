"""Token counters: the vocabularies of hosted models, an estimate for unknown ones, and the formula per chat message.

A counter is passed into the data path by the workflow; nothing here picks one by itself except `counter_for`.
"""

import hashlib
import re
from array import array
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Protocol, runtime_checkable

MESSAGE_OVERHEAD = 4  # three framing tokens and the role
ROW_OVERHEAD = 3  # the answer is primed with three tokens
_MEMO_ENTRIES = 20_000
_MEMO_TEXT = 20_000


class TokenCounter(Protocol):
    """Counts tokens of texts. `identity` changes whenever counts could; `exact` is False for an estimate."""

    name: str
    identity: str
    exact: bool

    def count(self, texts: Sequence[str]) -> "array[int]":
        """Return one count (`array('i')`) per text, in order."""
        ...


@runtime_checkable
class RowCounter(Protocol):
    """A counter that knows its own chat template."""

    def count_row(self, messages: list[dict[str, Any]], tools: list[Any] | None) -> list[int]:
        """Return tokens per message, in order; one further entry counts what belongs to no message."""
        ...


class SplintrCounter:
    """o200k_base or cl100k_base by splintr-rs, offline; equals tiktoken's `encode_ordinary`.

    splintr honours special tokens, and all of them hold `<|`, so texts with it take the ordinary path.
    """

    exact = True

    def __init__(self, name: str = "o200k_base") -> None:
        if name not in ("o200k_base", "cl100k_base"):
            raise ValueError(f"unknown encoding {name}")
        self.name = name
        self.identity = hashlib.sha256(f"splintr-rs {version('splintr-rs')} {name}".encode()).hexdigest()
        self._tokenizer: Any = None
        self._memo: dict[str, int] = {}

    def count(self, texts: Sequence[str]) -> "array[int]":
        """Return one count per text. Raises UnicodeEncodeError for a lone surrogate."""
        if self._tokenizer is None:
            import splintr

            self._tokenizer = splintr.Tokenizer.from_pretrained(self.name)
        memo, flat, ordinary = self._memo, self._tokenizer.encode_flat, self._tokenizer.encode_ordinary
        counts = array("i", bytes(4 * len(texts)))
        for at, text in enumerate(texts):
            found = memo.get(text)
            if found is None:
                found = len(ordinary(text)) if "<|" in text else len(flat(text)) >> 2
                if len(text) < _MEMO_TEXT:
                    if len(memo) >= _MEMO_ENTRIES:
                        memo.clear()
                    memo[text] = found
            counts[at] = found
        return counts


class CharEstimate:
    """Four characters a token, rounded up: an estimate for vocabularies that nobody published."""

    name = "estimate: 4 characters a token"
    identity = hashlib.sha256(b"ftspec char estimate 1").hexdigest()
    exact = False

    def count(self, texts: Sequence[str]) -> "array[int]":
        """Return one estimate per text."""
        return array("i", [(len(text) + 3) // 4 for text in texts])


_ENCODINGS = (
    (re.compile(r"gpt-(4o|4\.1|4\.5|5|oss)|chatgpt-4o|o[1-9]"), "o200k_base"),
    (re.compile(r"gpt-(4|3\.5|35)|davinci-002|babbage-002|text-embedding"), "cl100k_base"),
)


def encoding_of(model: str) -> str | None:
    """Return the vocabulary of an OpenAI model name, tuned names included, or None where it is unknown."""
    base = model.removeprefix("ft:").partition(":")[0].rpartition("/")[2]
    for pattern, name in _ENCODINGS:
        if pattern.match(base):
            return name
    return None


def counter_for(model: str) -> TokenCounter:
    """Return the counter for a hosted model's name: exact where its vocabulary is published, else the estimate."""
    name = encoding_of(model)
    return SplintrCounter(name) if name else CharEstimate()


def count_chat(counter: TokenCounter, messages: Sequence[Mapping[str, Any]]) -> int:
    """Return the tokens of one plain chat: 4 a message, its text, name + 1, calls as name and arguments, and 3."""
    texts: list[str] = []
    extra = ROW_OVERHEAD
    for message in messages:
        extra += MESSAGE_OVERHEAD + (1 if message.get("name") else 0)
        content = message.get("content")
        parts = [content] if isinstance(content, str) else [p.get("text", "") for p in content or ()]
        texts += [*parts, message.get("name") or ""]
        for call in message.get("tool_calls") or ():
            texts += [call["function"]["name"], call["function"]["arguments"]]
    return extra + sum(counter.count(texts))
