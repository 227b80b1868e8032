"""Masks in the words of other tools: written, read back by readers of their own, equal; a wrong writer is caught."""

import dataclasses
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.data.dialects import DIALECTS, CannotSayError
from ftspec.data.read_back import learned_messages, meant, prove
from ftspec.spec.errors import DataError

ROLES = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


def row(letters: str) -> dict[str, Any]:
    return {"messages": [{"role": ROLES[letter], "content": f"{letter}{n}"} for n, letter in enumerate(letters)]}


@st.composite
def masked_rows(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    letters = draw(st.text("suat", min_size=1, max_size=7))
    return row(letters), draw(st.text("01", min_size=len(letters), max_size=len(letters)))


@pytest.mark.parametrize("name", DIALECTS)
@given(masked_rows())
def test_what_is_written_means_the_mask(name: str, given: tuple[dict[str, Any], str]) -> None:
    chat, mask = given
    dialect = DIALECTS[name]
    roles = {message["role"] for message, bit in zip(chat["messages"], mask, strict=True) if bit == "1"}
    if not roles <= dialect.trains:
        with pytest.raises(CannotSayError, match=r"cannot learn from"):
            list(dialect.rows(chat, mask))
        return
    written = list(dialect.rows(chat, mask))
    prove(name, written, chat, mask, "x.jsonl:1")
    assert dialect.exploded or len(written) == 1


@given(masked_rows())
def test_exploded_rows_train_the_same_texts_once(given: tuple[dict[str, Any], str]) -> None:
    chat, mask = given
    mask = "".join("0" if m["role"] != "assistant" else bit for m, bit in zip(chat["messages"], mask, strict=True))
    written = list(DIALECTS["trl"].rows(chat, mask))
    learned = [message["content"] for made in written for message in made["completion"]]
    assert learned == [m["content"] for m, bit in zip(chat["messages"], mask, strict=True) if bit == "1"]
    sizes = [len(made["prompt"]) + 1 for made in written]
    assert sizes == [n + 1 for n, bit in enumerate(mask) if bit == "1"]


def test_t_equal_turns_cost_half_of_t_plus_one() -> None:
    turns = 6
    chat = row("ua" * turns)
    written = list(DIALECTS["trl"].rows(chat, "01" * turns))
    messages = sum(len(made["prompt"]) + len(made["completion"]) for made in written)
    assert messages == (turns + 1) / 2 * len(chat["messages"])


def mutants(name: str) -> list[Any]:
    """Writers that are wrong in one way each: a flag lost, turned, put on another message, a row lost or doubled."""
    write = DIALECTS[name].write
    flags = ("weight", "trainable", "train", "masked", "loss", "loss_weight")

    def changed(change: Any) -> Any:
        def wrong(chat: Any, mask: str) -> Any:
            made = [dict(one) for one in write(chat, mask)]
            return iter(change(made))

        return wrong

    def edit(made: list[Any], how: Any) -> list[Any]:
        key = "messages" if "messages" in made[0] else "prompt"
        made[0][key] = how([dict(message) for message in made[0][key]])
        return made

    def turn(messages: list[Any]) -> list[Any]:
        for message, flag in itertools.product(reversed(messages), flags):
            if flag in message:
                message[flag] = type(message[flag])(not message[flag])
                return messages
        return messages[:-1]

    def lose(messages: list[Any]) -> list[Any]:
        for message, flag in itertools.product(messages, flags):
            if (flag in message and (flag, message["role"]) != ("weight", "assistant")) or message.get("weight") == 0:
                message.pop(flag, None)
                return messages
        return [{**messages[0], "content": "other"}, *messages[1:]]

    return [
        changed(lambda made: edit(made, turn)),
        changed(lambda made: edit(made, lambda messages: messages[::-1])),
        changed(lambda made: made * 2),
        changed(lambda made: made[1:]),
    ] + ([changed(lambda made: edit(made, lose))] if name in ("openai", "tinker", "mistral") else [])


@pytest.mark.parametrize("name", DIALECTS)
def test_a_wrong_writer_is_caught(name: str) -> None:
    chat, mask = row("suaua"), "00001"
    for wrong in mutants(name):
        broken = dataclasses.replace(DIALECTS[name], write=wrong)
        with pytest.raises(DataError) as caught:
            prove(name, list(broken.rows(chat, mask)), chat, mask, "x.jsonl:7")
        assert (caught.value.code, caught.value.problems[0].line) == ("mask_proof", 7)


def test_known_forms() -> None:
    chat, mask = row("suaua"), "00001"

    def flags(name: str, key: str) -> list[Any]:
        return [message.get(key) for message in next(DIALECTS[name].rows(chat, mask))["messages"]]

    assert flags("openai", "weight") == [None, None, 0, None, None]
    assert flags("mistral", "weight") == [None, None, 0, None, None]
    assert flags("together", "weight") == [0, 0, 0, 0, 1]
    assert flags("tinker", "trainable") == [False, False, False, False, True]
    assert flags("torchtune", "masked") == [True, True, True, True, False]
    assert flags("llama_factory", "loss_weight") == [0.0, 0.0, 0.0, 0.0, 1.0]


def test_other_tools_read_plain_rows_their_own_way() -> None:
    """A file without flags is learned as the hosts' default by those that have one, and not at all by the others."""
    chat = row("sua")
    default = meant(chat, "001")
    for name in ("openai", "together", "fireworks", "mistral", "axolotl", "ms_swift"):
        assert learned_messages(name, [chat]) == default
    assert learned_messages("torchtune", [chat]) == []
