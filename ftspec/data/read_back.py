"""Reading dialects as their tools do, to prove that what was written means the mask that was meant.

Nothing here is shared with the writers (`dialects.py`): each reader follows the tool's own rule for rows it is given.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from ftspec.data.lint.reading import rows
from ftspec.data.parts import Prepared
from ftspec.spec.errors import DataError

Row = Mapping[str, Any]


class UnreadableError(Exception):
    """A row that its tool would refuse."""


def learned_messages(dialect: str, rows: Iterable[Row]) -> list[list[Mapping[str, Any]]]:
    """Return what the tool of a dialect learns from rows: for each learned message the conversation up to it.

    Two files that give the same lists train the same: every learned message with the same context before it. Raises
    UnreadableError where the tool would refuse.
    """
    found: list[list[Mapping[str, Any]]] = []
    for row in rows:
        found += _pair(row) if dialect == "trl" else _chat(row, _READERS[dialect])
    return found


def meant(row: Row, mask: str) -> list[list[Mapping[str, Any]]]:
    """Return what a canonical row and its mask mean, in the same form."""
    said = [_bare(message) for message in row["messages"]]
    return [said[: n + 1] for n, bit in enumerate(mask) if bit == "1"]


_FLAGS = frozenset({"weight", "trainable", "train", "masked", "loss", "loss_weight"})


def _bare(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value for key, value in message.items() if key not in _FLAGS}


def _chat(row: Row, learns: Any) -> Iterator[list[Mapping[str, Any]]]:
    said: list[Mapping[str, Any]] = []
    for message, learned in zip(row["messages"], learns(row["messages"]), strict=True):
        said.append(_bare(message))
        if learned:
            yield list(said)


def _pair(row: Row) -> Iterator[list[Mapping[str, Any]]]:
    """TRL with completion_only_loss: the prompt is context, all of the completion is learned."""
    before = list(row["prompt"])
    for message in row["completion"]:
        before.append(message)
        yield list(before)


def _openai(messages: list[Any], roles: Collection[str] = ("assistant",)) -> Iterator[bool]:
    """`roles` are those that may carry a weight; hosts of this wire learn from assistant messages by themselves."""
    for message in messages:
        role, weight = message["role"], message.get("weight")
        if weight is not None and (type(weight) is not int or weight not in (0, 1) or role not in roles):
            raise UnreadableError(f"weight {weight!r} on a {role} message")
        yield role == "assistant" if weight is None else weight == 1


def _together(messages: list[Any]) -> Iterator[bool]:
    weighted = any("weight" in message for message in messages)
    for message in messages:
        if weighted and ("weight" not in message or type(message["weight"]) is not int):
            raise UnreadableError("a weight is an integer, on every message or on none")
        yield bool(message["weight"]) if weighted else message["role"] == "assistant"


def _fireworks(messages: list[Any]) -> Iterator[bool]:
    for message in messages:
        flag = message.get("trainable", message.get("weight"))
        yield message["role"] == "assistant" if flag is None else bool(flag)


def _tinker(messages: list[Any]) -> Iterator[bool]:
    for message in messages:
        if not isinstance(message.get("trainable"), bool):
            raise UnreadableError("customized needs trainable on every message")
        yield message["trainable"]


def _mistral(messages: list[Any]) -> Iterator[bool]:
    for message in messages:
        yield message["role"] == "assistant" and message.get("weight") in (None, 1)


def _axolotl(messages: list[Any]) -> Iterator[bool]:
    for message in messages:
        flag = message.get("train")
        yield message["role"] == "assistant" if flag is None else bool(flag)


def _torchtune(messages: list[Any]) -> Iterator[bool]:
    for message in messages:
        yield message["role"] != "system" and message.get("masked") is False


def _swift(messages: list[Any]) -> Iterator[bool]:
    for message in messages:
        yield message["role"] == "assistant" if message.get("loss") is None else message["loss"] is True


def _llama_factory(messages: list[Any]) -> Iterator[bool]:
    for message in messages:
        yield float(message.get("loss_weight", 0.0)) > 0


_READERS = {
    "openai": _openai,
    "together": _together,
    "fireworks": _fireworks,
    "tinker": _tinker,
    "mistral": _mistral,
    "axolotl": _axolotl,
    "torchtune": _torchtune,
    "ms_swift": _swift,
    "llama_factory": _llama_factory,
}


def prove(dialect: str, written: Iterable[Row], row: Row, mask: str, place: str) -> None:
    """Raise DataError `mask_proof` where what was written does not mean the mask of a row; `place` is `file:line`."""
    try:
        learned = learned_messages(dialect, written)
    except UnreadableError as error:
        reason = str(error)
    else:
        if learned == meant(row, mask):
            return
        reason = "it would be learned otherwise"
    raise _disproved(dialect, mask, reason, place)


def _disproved(reader: str, mask: str, reason: str, place: str) -> DataError:
    file, _, line = place.rpartition(":")
    message = f"the row written for {reader} does not mean its mask {mask}: {reason}"
    return DataError("mask_proof", message, file=file, line=int(line), fix="this is a bug in ftspec: please report it")


def prove_files(prepared: Prepared, roles: Collection[str] = ("assistant",)) -> int:
    """Read every row that is uploaded as hosts read it, compare with the mask that was decided; return how many.

    `roles` are those that the host learns from. Raises DataError `mask_proof`. Completion and preference rows say by
    their form what is learned.
    """
    if prepared.row_format != "chat":
        return 0
    number = 0
    for row in rows(prepared):
        messages = msgspec.json.decode(row.data)["messages"]
        try:
            read = "".join("1" if learned else "0" for learned in _openai(messages, roles))
        except UnreadableError as error:
            raise _disproved("the host", row.mask, str(error), row.place) from None
        if read != row.mask:
            raise _disproved("the host", row.mask, f"it reads {read}", row.place)
        number += 1
    return number
