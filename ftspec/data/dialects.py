"""Weights in the words of other tools: a canonical row and its mask to the row that a host or trainer reads.

`read_back.py` reads each dialect again, written apart from this file, and proves that the mask is the same.
What each tool obeys was read in its documentation and source, 2026-07/08 (docs/weights.md names the pages).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]
Made = dict[str, Any]


class CannotSayError(Exception):
    """A mask that a dialect has no words for."""


@dataclass(frozen=True)
class Dialect:
    """One way to write masks. `trains` are the roles it can learn from; `exploded` makes one row a learned message.

    `options` is what the tool must be told so that it obeys, empty where it obeys by itself.
    """

    name: str
    tool: str
    trains: frozenset[str]
    write: Callable[[Row, str], Iterator[Made]]
    options: str
    exploded: bool = False

    def rows(self, row: Row, mask: str) -> Iterator[Made]:
        """Yield the rows that stand for a canonical chat row. Raises CannotSayError."""
        for bit, message in zip(mask, row["messages"], strict=True):
            if bit == "1" and message["role"] not in self.trains:
                raise CannotSayError(f"{self.tool} cannot learn from {message['role']} messages")
        return self.write(row, mask)


def _plain(message: Mapping[str, Any]) -> Made:
    return {key: value for key, value in message.items() if key != "weight"}


def _flagged(key: str, values: tuple[Any, Any], *, roles: Sequence[str] = ()) -> Callable[[Row, str], Iterator[Made]]:
    """A flag on every message of `roles` (none named: of all roles); `values` are those of 0 and of 1."""

    def write(row: Row, mask: str) -> Iterator[Made]:
        messages = []
        for bit, message in zip(mask, row["messages"], strict=True):
            made = _plain(message)
            if not roles or message["role"] in roles:
                made[key] = values[int(bit)]
            messages.append(made)
        yield {**row, "messages": messages}

    return write


def _where_different(row: Row, mask: str) -> Iterator[Made]:
    """`weight` on messages whose default (assistant 1, others 0) it is not."""
    messages = []
    for bit, message in zip(mask, row["messages"], strict=True):
        usual = "1" if message["role"] == "assistant" else "0"
        messages.append(_plain(message) if bit == usual else _plain(message) | {"weight": int(bit)})
    yield {**row, "messages": messages}


def _zeros_only(row: Row, mask: str) -> Iterator[Made]:
    messages = []
    for bit, message in zip(mask, row["messages"], strict=True):
        masked = bit == "0" and message["role"] == "assistant"
        messages.append(_plain(message) | {"weight": 0} if masked else _plain(message))
    yield {**row, "messages": messages}


def _pairs(row: Row, mask: str) -> Iterator[Made]:
    """One row for each learned message: all before it is the prompt, later messages vanish.

    Chat rows could not do it: a host that ignores weights learns every assistant message of a prompt too.
    """
    messages = [_plain(message) for message in row["messages"]]
    rest = {key: value for key, value in row.items() if key not in ("messages", "parallel_tool_calls")}
    for n, bit in enumerate(mask):
        if bit == "1":
            yield {"prompt": messages[:n], "completion": [messages[n]], **rest}


_ALL = frozenset({"system", "developer", "user", "assistant", "tool"})
_ASSISTANT = frozenset({"assistant"})

DIALECTS: dict[str, Dialect] = {
    one.name: one
    for one in (
        Dialect("openai", "OpenAI", _ASSISTANT, _where_different, ""),
        Dialect("together", "Together", _ALL, _flagged("weight", (0, 1)), ""),
        Dialect("fireworks", "Fireworks", _ALL, _flagged("trainable", (False, True)), ""),
        Dialect("tinker", "Tinker", _ALL, _flagged("trainable", (False, True)), "train_on_what=customized"),
        Dialect("mistral", "mistral-finetune", _ASSISTANT, _zeros_only, ""),
        Dialect("axolotl", "axolotl", _ALL, _flagged("train", (False, True)), "message_field_training: train"),
        Dialect("torchtune", "torchtune", _ALL - {"system"}, _flagged("masked", (True, False)), ""),
        Dialect("ms_swift", "ms-swift", _ALL, _flagged("loss", (False, True)), ""),
        Dialect("llama_factory", "LLaMA-Factory v1", _ALL, _flagged("loss_weight", (0.0, 1.0)), ""),
        Dialect("trl", "TRL", _ASSISTANT, _pairs, "completion_only_loss=True", exploded=True),
    )
}  # fmt: skip
