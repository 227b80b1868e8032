"""Which rows stand on both sides: train against validation, test and the items of every suite.

Four levels, the strongest counts: `row` (answer included), `prompt` (the messages before the last assistant turn,
instructions aside), `prefix` (the whole prompt of one is the beginning of the other), `text` (the prompt with case,
signs and white space left out).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from typing import Any

import msgspec

from ftspec.data.chat import Message, prompt_end, text_of
from ftspec.data.lint.definition import Lint, Subject
from ftspec.data.lint.duplicates import Sketches, Triples, pairs_problem, template_triples
from ftspec.data.lint.reading import Row
from ftspec.data.lint.reading import rows as rows_of
from ftspec.data.parts import Prepared
from ftspec.spec.errors import Problem

LEVELS = ("row", "prompt", "prefix", "text")
MOST_PAIRS = 20
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True)
class Keys:
    """What one conversation is compared by. `row` is empty where nothing is known of the answer."""

    place: str
    row: bytes
    prompt: bytes
    prefixes: tuple[bytes, ...]
    text: bytes


@dataclass(frozen=True)
class Overlap:
    """Rows of `part` that stand in `other` too, by level, with pairs of places (row of `part`, row of `other`)."""

    part: str
    other: str
    rows: int
    counts: Mapping[str, int]
    pairs: tuple[tuple[str, str, str], ...]

    @property
    def total(self) -> int:
        """Rows with any overlap."""
        return sum(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of `data overlap --json`."""
        return {
            "part": self.part,
            "other": self.other,
            "rows": self.rows,
            **{f"same_{level}": self.counts[level] for level in LEVELS},
            "pairs": [{"level": level, "row": row, "other": other} for level, row, other in self.pairs],
        }


def _hash(data: bytes) -> bytes:
    return blake2b(data, digest_size=12).digest()


def keys_of(place: str, messages: Sequence[Message], *, answered: bool = True) -> Keys:
    """Return the keys of a conversation; without an answer (`answered` False) all of it is the prompt.

    A conversation is compared without instructions and weights: they are no part of what was asked.
    """
    said = [message for message in messages if message.letter not in "sd"]
    letters = "".join([message.letter for message in said])
    end = prompt_end(letters) if answered else len(said)
    pieces = [_encode(_plain(message)) for message in said]
    prompt = b",".join(pieces[:end])
    prefixes = tuple(
        _hash(b",".join(pieces[:n])) for n, letter in enumerate(letters[:end]) if letter == "a" and 0 < n < end
    )
    text = "".join(c for m in said[:end] for c in text_of(m.content).casefold() if c.isalnum())
    row = _hash(b",".join(pieces)) if answered and "a" in letters else b""
    return Keys(place, row, _hash(prompt), prefixes, _hash(text.encode()) if text else b"")


def _plain(message: Any) -> Any:
    if message.weight is None:
        return message
    return msgspec.structs.replace(message, weight=None)


@dataclass
class Group:
    """The keys of one part or suite, by level."""

    name: str
    size: int = 0
    row: dict[bytes, str] = field(default_factory=dict)
    prompt: dict[bytes, str] = field(default_factory=dict)
    prefix: dict[bytes, str] = field(default_factory=dict)
    text: dict[bytes, str] = field(default_factory=dict)

    def add(self, keys: Keys) -> None:
        """Add one conversation; of equal ones the first is named."""
        self.size += 1
        if keys.row:
            self.row.setdefault(keys.row, keys.place)
        self.prompt.setdefault(keys.prompt, keys.place)
        for prefix in keys.prefixes:
            self.prefix.setdefault(prefix, keys.place)
        if keys.text:
            self.text.setdefault(keys.text, keys.place)

    def find(self, keys: Keys) -> tuple[str, str] | None:
        """Return the strongest level at which a conversation stands here, and where."""
        if keys.row and (place := self.row.get(keys.row)):
            return "row", place
        if place := self.prompt.get(keys.prompt):
            return "prompt", place
        for prefix in keys.prefixes:
            if place := self.prompt.get(prefix):
                return "prefix", place
        if place := self.prefix.get(keys.prompt):
            return "prefix", place
        if keys.text and (place := self.text.get(keys.text)):
            return "text", place
        return None


def group(name: str, conversations: Iterable[Keys]) -> Group:
    """Return the keys of all conversations of a part or suite."""
    made = Group(name)
    for keys in conversations:
        made.add(keys)
    return made


def compare(part: str, conversations: Iterable[Keys], others: Sequence[Group]) -> list[Overlap]:
    """Return what of `conversations` stands in each of `others`; memory is that of the others."""
    counts: dict[str, dict[str, int]] = {other.name: dict.fromkeys(LEVELS, 0) for other in others}
    pairs: dict[str, list[tuple[str, str, str]]] = {other.name: [] for other in others}
    rows = 0
    for keys in conversations:
        rows += 1
        for other in others:
            found = other.find(keys)
            if found is not None:
                level, place = found
                counts[other.name][level] += 1
                if len(pairs[other.name]) < MOST_PAIRS:
                    pairs[other.name].append((level, keys.place, place))
    return [Overlap(part, other.name, rows, counts[other.name], tuple(pairs[other.name])) for other in others]


def part_keys(prepared: Prepared, part: str) -> Iterator[Keys]:
    """Yield the keys of every row of a part."""
    return (keys_of(row.place, row.messages) for row in rows_of(prepared, (part,)))


def overlaps(prepared: Prepared, suites: Mapping[str, Sequence[Keys]]) -> list[Overlap]:
    """Return train against validation, test and every suite, and validation against test and every suite."""
    asked = [group(name, items) for name, items in suites.items()]
    parts = {role: group(role, part_keys(prepared, role)) for role in ("valid", "test") if role in prepared.parts}
    found = compare("train", part_keys(prepared, "train"), [*parts.values(), *asked])
    if "valid" in parts:
        others = [*([parts["test"]] if "test" in parts else []), *asked]
        found += compare("valid", part_keys(prepared, "valid"), others)
    return found


LEAK = Lint(
    code="leak",
    level="warning",
    practice="A model that has seen the questions of its test is not tested; validation loss on them chooses the "
    "overfitted run.",
    formula="distinct prompts (messages before the last assistant turn, instructions aside) that stand in the training "
    "part and in validation or test",
    source='OpenAI, guide "Supervised fine-tuning"; Sainz et al. 2023, NLP Evaluation in Trouble',
    check=None,
    found_by="ftspec.data.prepare",
    fix="split by: prompt keeps equal prompts together",
)


class _RowLeak:
    """Compares row keys of all parts."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        self._lint = lint
        self._held: dict[int, Row] = {}
        self._pairs: list[tuple[str, int, str, int]] = []
        self._count = 0
        for row in rows_of(subject.prepared, ("valid", "test")):
            self._held.setdefault(int(row.key, 16), row)

    def see(self, row: Row) -> None:
        """Look the key of a training row up among those held out."""
        if row.part != "train":
            return
        other = self._held.get(int(row.key, 16))
        if other is not None:
            self._count += 1
            if len(self._pairs) < MOST_PAIRS:
                self._pairs.append((other.source, other.line, row.source, row.line))

    def problems(self) -> Iterator[Problem]:
        """Yield the finding with its first pairs of lines."""
        message = f"{self._count:,} training rows stand in a held-out part too"
        yield from pairs_problem(self._lint, message, self._pairs)


LEAK_ROW = Lint(
    code="leak_row",
    level="error",
    practice="A row that is trained and tested shows memory, not ability: its score is worth nothing.",
    formula="a training row has the same canonical bytes, weights aside, as a row of the validation or test part",
    source="Lee et al. 2022, Deduplicating Training Data Makes Language Models Better",
    check=_RowLeak,
    fix="split by: prompt keeps equal rows together; remove them from files that are bound to a part",
    every=True,
)

_MOST_HELD = 20_000


class _AlikeLeak:
    """Compares training rows with the first 20,000 held-out rows; equal prompts are leak's."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        self._lint = lint
        self._pairs: list[tuple[str, int, str, int]] = []
        self._count = 0
        held = list(islice(rows_of(subject.prepared, ("valid", "test")), _MOST_HELD))
        self._held = group("held out", (keys_of(row.place, row.messages) for row in held))
        self._places = [(row.source, row.line) for row in held]
        self._of = Triples().of
        asked = [self._of(_asked(row)) for row in held]
        self._near = Sketches(template_triples(asked))
        for triples in asked:
            self._near.add(self._near.own(triples))

    def see(self, row: Row) -> None:
        """Look a training row up."""
        if row.part != "train" or not self._held.size:
            return
        found = self._held.find(keys_of("", row.messages))
        if found is None:
            near = next(self._near.near(self._near.own(self._of(_asked(row)))), None)
            if near is None:
                return
            file, line = self._places[near]
        elif found[0] in ("prefix", "text"):
            file, _, at = found[1].rpartition(":")
            line = int(at)
        else:
            return
        self._count += 1
        if len(self._pairs) < MOST_PAIRS:
            self._pairs.append((file, line, row.source, row.line))

    def problems(self) -> Iterator[Problem]:
        """Yield the finding with its first pairs of lines."""
        message = (
            f"{self._count:,} training prompts equal held-out ones but for case, signs or a word or two, or begin them"
        )
        yield from pairs_problem(self._lint, message, self._pairs)


def _asked(row: Row) -> Sequence[Message]:
    return row.messages[: prompt_end("".join([message.letter for message in row.messages]))]


LEAK_ALIKE = Lint(
    code="leak_alike",
    level="hint",
    practice="A test question that was trained with another comma, or a greeting before it, is no new question.",
    formula="a training prompt has the letters and digits of one in the validation or test part, or one of the two "
    "is the beginning of the other, or their word triples are as alike as those of near_dup; equal prompts are leak's",
    source="Sainz et al. 2023, NLP Evaluation in Trouble: On the Need to Measure Data Contamination",
    check=_AlikeLeak,
    fix="`ftspec data overlap` lists the lines; split by a field that keeps them together",
)

EVAL_OVERLAP = Lint(
    code="eval_overlap",
    level="warning",
    practice="A suite measures what the model can do with questions that it has not seen; items that stand in the "
    "training rows measure memory.",
    formula="a training or validation row has the prompt of an item, begins with it, is its beginning, or has the same "
    "letters and digits (case, signs and white space aside); items of the test part are leak's",
    source="Sainz et al. 2023, NLP Evaluation in Trouble: On the Need to Measure Data Contamination",
    check=None,
    found_by="ftspec.workflows.linting",
    fix="remove the rows, or the items: `ftspec data overlap` lists the lines",
)

EVAL_PROMPT = Lint(
    code="eval_prompt",
    level="warning",
    practice="A tuned model does best under the instructions it was trained with; measured under others it looks worse "
    "than it is, and the difference is laid to training.",
    formula="no arm of a suite that asks the tuned model has the instructions (system and developer texts) of any "
    "training row; silent where the rows have more than 50 different ones",
    source='OpenAI, talk "Fine-Tuning OpenAI Models - Best Practices"',
    check=None,
    found_by="ftspec.workflows.linting",
    fix="use the same text in dataset.messages and in the suite (`{file: ...}` keeps them one)",
)


def instructions(messages: Iterable[Any]) -> str:
    """Return the system and developer texts of a conversation (shapes or plain dictionaries), joined."""
    texts = []
    for message in messages:
        plain = isinstance(message, Mapping)
        role = message.get("role") if plain else {"s": "system", "d": "developer"}.get(message.letter)
        if role in ("system", "developer"):
            content = message.get("content") if plain else message.content
            texts.append(content if isinstance(content, str) else text_of(content))
    return "\n".join(texts).strip()
