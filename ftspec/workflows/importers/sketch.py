"""A sketch: what an importer understood, and what it could not say in an experiment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Unequal:
    """One thing of the source that the experiment does not say: its key and value there, and why."""

    key: str
    value: str
    why: str

    @classmethod
    def of(cls, key: str, value: Any, why: str) -> "Unequal":
        """Build one with its value shortened for people."""
        text = value if isinstance(value, str) else repr(value)
        return cls(key, text if len(text) <= 60 else text[:57] + "...", why)


@dataclass(frozen=True)
class Sketch:
    """An experiment to be written.

    `keys` are its own keys in order; `choices` entries of the defaults list, group to option or options; `suite` the
    name and content of a suite to write; `notes` what a person should know about the choices made.
    """

    keys: Mapping[str, Any]
    choices: Mapping[str, Any] = field(default_factory=dict)
    suite: tuple[str, dict[str, Any]] | None = None
    notes: tuple[str, ...] = ()
    unequal: tuple[Unequal, ...] = ()


class Reader:
    """Takes keys out of a mapping of another tool; what nobody took has no equal."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.rest = dict(content)
        self.unequal: list[Unequal] = []

    def take(self, key: str, default: Any = None) -> Any:
        """Return and remove a value."""
        return self.rest.pop(key, default)

    def lose(self, key: str, value: Any, why: str) -> None:
        """Note something that has no equal; nothing is lost where the value says nothing."""
        if value not in (None, "", [], {}):
            self.unequal.append(Unequal.of(key, value, why))

    def finish(self, reasons: Mapping[str, str], otherwise: str) -> tuple[Unequal, ...]:
        """Note everything left over, with the reason of its key, and return all of it in order."""
        for key, value in self.rest.items():
            self.lose(key, value, reasons.get(key, otherwise))
        return tuple(self.unequal)
