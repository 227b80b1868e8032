"""The order of roles in a row: what is wrong with it, and where the parts of a row stand."""

from typing import NamedTuple

from ftspec.data.chat import ROLE, prompt_end


class Shape(NamedTuple):
    """What the order of a row's roles says.

    `wrong` are (code, message, path), `asked` the messages of the prompt without instructions, `last` is the last
    assistant message; `answers` says whether there are tool messages.
    """

    wrong: list[tuple[str, str, str]]
    asked: tuple[int, ...]
    last: int
    answers: bool


def shape_of(letters: str) -> Shape:
    """Return the shape of a row; `letters` is one role letter a message."""
    asked = tuple(n for n in range(prompt_end(letters)) if letters[n] not in "sd")
    return Shape(structure(letters), asked, letters.rfind("a"), "t" in letters)


def structure(letters: str) -> list[tuple[str, str, str]]:
    """Return (code, message, path) for an order of roles that cannot be trained on."""
    if not letters:
        return [("messages", "must be a list with at least one message", "messages")]
    if "a" not in letters:
        return [("assistant", "the row has no assistant message", "messages")]
    if not letters.endswith("a"):
        role = ROLE[letters[-1]]
        return [("last_message", f"the last message is {role}, not assistant", f"messages[{len(letters) - 1}].role")]
    return []
