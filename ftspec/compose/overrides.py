"""Override strings: values written in Hydra's grammar so that they read back equal, and what the command line gives."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_RESERVED = frozenset({"true", "false", "null", "nan", "inf"})
# A key as Hydra's grammar reads it.
_WORD = "[A-Za-z_][A-Za-z0-9_-]*"
KEY = re.compile(rf"{_WORD}(\.({_WORD}|0|[1-9][0-9]*))*")


def written(value: Any) -> str:
    """Return a value as override text: `null`, `true`, `3`, `0.1`, `auto`, `'a b'`, `[1,'x y']`, `{a:1}`.

    Raises ValueError for NaN, infinity and keys of a mapping that the grammar cannot hold.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and infinity cannot be swept")
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return value if _is_plain(value) else _quoted(value)
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, dict):
        for key in value:
            if not (isinstance(key, str) and _is_plain(key)):
                raise ValueError(f"the key {key!r} cannot be written as an override")
        return "{" + ",".join(f"{key}:{written(item)}" for key, item in value.items()) + "}"
    raise ValueError(f"{type(value).__name__} cannot be written as an override")


def _is_plain(text: str) -> bool:
    return bool(_PLAIN.fullmatch(text)) and text.lower() not in _RESERVED


def _quoted(text: str) -> str:
    """Quote as Hydra's `QuotedString.with_quotes` does: escape quotes, and backslashes that stand before one."""
    escaped = re.sub(r"(\\*)'", lambda found: found[1] * 2 + r"\'", text)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{escaped[len(escaped) - trailing :]}'"


@dataclass(frozen=True)
class Assignment:
    """One override of a run: `text` is its string, `key` what it changes, `command_line` who gave it."""

    key: str
    text: str
    command_line: bool = False


def changed_by(overrides: Sequence[str], later: Sequence[str]) -> tuple[str, ...]:
    """Return the overrides with later ones after them; what a later one gives anew is left out."""
    anew = {_key(text) for text in later}
    return (*(text for text in overrides if _key(text) not in anew), *later)


def _key(text: str) -> str:
    return text.partition("=")[0].strip().lstrip("+~")


def under(one: str, other: str) -> bool:
    """Tell whether a dotted key is another one, or lies below it."""
    return f"{one}.".startswith(f"{other}.")
