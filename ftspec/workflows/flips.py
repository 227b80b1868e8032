"""Items that two arms decide differently: what was asked, what each said, and who was right."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ftspec.evals.compare import Comparison
from ftspec.evals.items import Item, message_text
from ftspec.workflows.scored import ScoredSuite


@dataclass(frozen=True)
class Flip:
    """One item that only the arm (`fixed`) or only the baseline (`broke`) got right. Texts are as stored."""

    kind: Literal["fixed", "broke"]
    suite: str
    item: str
    question: str
    reference: str
    before: str
    after: str

    def to_json(self) -> dict[str, str]:
        """Return the stable shape of docs/json.md."""
        return {
            "kind": self.kind,
            "suite": self.suite,
            "item": self.item,
            "question": self.question,
            "reference": self.reference,
            "baseline": self.before,
            "arm": self.after,
        }


@dataclass(frozen=True)
class Flipped:
    """All flips between a baseline arm and a run's model on one suite; `typed` is how a command names the run."""

    baseline: str
    run: str
    flips: tuple[Flip, ...]
    typed: str

    @property
    def fixed(self) -> tuple[Flip, ...]:
        """Those that only the run got right."""
        return tuple(flip for flip in self.flips if flip.kind == "fixed")

    @property
    def broke(self) -> tuple[Flip, ...]:
        """Those that only the baseline got right."""
        return tuple(flip for flip in self.flips if flip.kind == "broke")


def flips(compared: Comparison, before: ScoredSuite, first: str, after: ScoredSuite, second: str) -> Iterator[Flip]:
    """Yield the flips of a comparison in the suite's order; `first` and `second` are the arms in their folders."""
    kinds: dict[str, Literal["fixed", "broke"]] = dict.fromkeys(compared.fixed, "fixed")
    kinds |= dict.fromkeys(compared.broke, "broke")
    if not kinds:
        return
    said, says = before.answers(first), after.answers(second)
    for item in after.suite.suite.items:
        if (kind := kinds.get(item.id)) is not None:
            texts = said.get(item.id, ""), says.get(item.id, "")
            yield Flip(kind, after.suite.name, item.id, question_of(item.fields), reference_of(item), *texts)


def question_of(fields: Mapping[str, Any]) -> str:
    """Return the last user text of an item, for people."""
    for message in reversed(fields.get("messages") or []):
        if message.get("role") == "user":
            return message_text(message.get("content"))
    return ""


def reference_of(item: Item) -> str:
    """Return what an item's answer should be, for people; empty where no field says it."""
    for name in ("reference", "expected_calls"):
        value = item.fields.get(name)
        if value is not None:
            return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ""
