"""Small exercises made of generated text: each rewards copying, finding a value or keeping a format, and has an answer.

An exercise is a system line and a function that makes questions under it, so that several turns can share one system
line. None of them ever abstains: that is left for fine-tuning to teach.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from ftspec.engine.streams import Stream
from ftspec.engine.words import WORDS, any_value, any_word, pseudo_name

Ask = Callable[[], tuple[str, str]]
VERBS = (
    ("lives in", "Where does {} live?"),
    ("works as", "What does {} do?"),
    ("likes", "What does {} like?"),
    ("won", "What did {} win?"),
    ("is from", "Where is {} from?"),
    ("owns", "What does {} own?"),
)
DEEDS = ("won", "lost", "bought", "sold", "played", "made", "found", "saw", "sent")
PREPOSITIONS = ("in", "at", "for", "with", "near", "to")
ACTIONS = ("send", "order", "book", "call", "set", "find", "open", "move", "read", "start")
CONTEXT_LINES = (
    "Answer the question from the context.",
    "Answer.",
    "Read the text and answer.",
    "Answer from the facts.",
)


class Exercise(NamedTuple):
    """The system line and the maker of (user, assistant) pairs."""

    system: str
    ask: Ask


def compact(value: object) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"))


def copy(r: Stream, size: int) -> Exercise:
    """Repeat the text."""

    def ask() -> tuple[str, str]:
        text = " ".join(any_word(r) for _ in range(r.between(2, 10 * size)))
        return text, text

    return Exercise(r.choice(["Repeat the text.", "Copy.", "Say the same."]), ask)


def record(r: Stream, size: int) -> Exercise:
    """Find the value of a key in a record."""

    def ask() -> tuple[str, str]:
        keys = r.sample(WORDS, r.between(2, 5 * size))
        values = [any_value(r) for _ in keys]
        wanted = r.below(len(keys))
        text = "; ".join(f"{key}: {value}" for key, value in zip(keys, values, strict=True))
        return f"{text}. {keys[wanted]}?", values[wanted]

    return Exercise(r.choice(["Answer from the record.", "Look it up."]), ask)


def write_json(r: Stream, size: int) -> Exercise:
    """Turn pairs into JSON, the keys as they come."""
    dump = compact if r.uniform() < 0.5 else json.dumps

    def ask() -> tuple[str, str]:
        keys = r.sample(WORDS, r.between(1, 4 * size))
        values = [any_value(r) for _ in keys]
        text = ", ".join(f"{key} {value}" for key, value in zip(keys, values, strict=True))
        fields = [int(value) if value.isdigit() else value for value in values]
        return text, dump(dict(zip(keys, fields, strict=True)))

    return Exercise("Write JSON." if dump is compact else "Write JSON with spaces.", ask)


def chosen_fields(r: Stream, size: int) -> Exercise:
    """Turn a record into JSON with the named keys in the named order."""
    keys = r.sample(WORDS, r.between(2, 3 + size))
    wanted = r.sample(keys, r.between(1, len(keys)))

    def ask() -> tuple[str, str]:
        values = {key: any_value(r) for key in keys}
        text = r.choice([", ", "; ", " "]).join(f"{key} {values[key]}" for key in r.shuffle(list(keys)))
        return text, json.dumps({key: int(values[key]) if values[key].isdigit() else values[key] for key in wanted})

    return Exercise(f"Write JSON with {', '.join(wanted)}.", ask)


def context(r: Stream, size: int) -> Exercise:
    """One kind of fact about several names, one question."""

    def ask() -> tuple[str, str]:
        verb, question = r.choice(VERBS)
        names = [pseudo_name(r) for _ in range(r.between(1, 4 * size))]
        values = [any_value(r) for _ in names]
        wanted = r.below(len(names))
        facts = " ".join(f"{name} {verb} {value}." for name, value in zip(names, values, strict=True))
        return f"{facts} Question: {question.format(names[wanted])}", values[wanted]

    return Exercise(r.choice(CONTEXT_LINES), ask)


def labels(r: Stream, size: int) -> Exercise:
    """Labels taught by examples inside the question."""
    known = r.sample(WORDS, r.between(2, 4))

    def ask() -> tuple[str, str]:
        seen = {any_word(r): r.choice(known) for _ in range(r.between(3, 6 * size))}
        wanted = r.choice(list(seen))
        return "; ".join(f"{key} -> {label}" for key, label in seen.items()) + f"; {wanted} ->", seen[wanted]

    return Exercise(f"Labels: {', '.join(known)}.", ask)


def reverse(r: Stream, size: int) -> Exercise:
    """Reverse the parts and join them."""
    separator = r.choice(["-", "/", ", ", " ", "; ", "."])
    between = r.choice([" ", ", ", " and ", "/"])

    def ask() -> tuple[str, str]:
        parts = [any_value(r) for _ in range(r.between(2, 3 + size))]
        return between.join(parts), separator.join(parts[::-1])

    return Exercise(f'Reverse and join with "{separator}".', ask)


def call_text(r: Stream, size: int) -> Exercise:
    """A command becomes a call with arguments, written as text."""
    key, verbs = r.choice(WORDS), r.sample(ACTIONS, 3)
    keys = r.sample(["item", "who", "where", "name", "what", "to", "from"], 2)

    def ask() -> tuple[str, str]:
        a, b, c = (any_value(r) for _ in range(3))
        verb = r.choice(verbs)
        arguments = {keys[0]: a, keys[1]: b, key: int(c) if c.isdigit() else c}
        return f"{verb} {a} for {b} with {key} {c}", f"{verb}({json.dumps(arguments)})"

    return Exercise(f"Call a tool with {keys[0]}, {keys[1]}.", ask)


def member(r: Stream, size: int) -> Exercise:
    """Is the word in the list?"""

    def ask() -> tuple[str, str]:
        items = [any_word(r) for _ in range(r.between(2, 5 * size))]
        word = r.choice(items) if r.uniform() < 0.5 else any_word(r)
        return f"{' '.join(items)} | {word}", "yes" if word in items else "no"

    return Exercise("Is the word in the list? Answer yes or no.", ask)


def casing(r: Stream, size: int) -> Exercise:
    """Upper case or capitals."""
    upper = r.uniform() < 0.5

    def ask() -> tuple[str, str]:
        text = " ".join(any_word(r) for _ in range(r.between(1, 4 * size)))
        return text, text.upper() if upper else text.title()

    return Exercise("Write in upper case." if upper else "Capitalize each word.", ask)


def who_what_where(r: Stream, size: int) -> Exercise:
    """Facts of three parts and one question about any of them."""

    def ask() -> tuple[str, str]:
        return facts_with(r, r.between(1, 3 + size))[0]()

    return Exercise(r.choice(CONTEXT_LINES), ask)


def facts_with(r: Stream, n: int) -> tuple[Ask, Ask]:
    """Askers over n facts: the first repeats the facts before each question, the second asks alone."""
    names, things = [pseudo_name(r) for _ in range(n)], [any_value(r) for _ in range(n)]
    places = [pseudo_name(r) for _ in range(n)]
    verb, preposition = r.choice(DEEDS), r.choice(PREPOSITIONS)
    facts = " ".join(f"{a} {verb} {b} {preposition} {c}." for a, b, c in zip(names, things, places, strict=True))

    def alone() -> tuple[str, str]:
        i = r.below(n)
        return r.choice(
            [
                (f"What did {names[i]} do?", f"{verb} {things[i]}"),
                (f"Who {verb} {things[i]}?", names[i]),
                (f"Where was {names[i]}?", places[i]),
                (f"Who was {preposition} {places[i]}?", names[i]),
                (f"What was {preposition} {places[i]}?", things[i]),
            ]
        )

    def after_facts() -> tuple[str, str]:
        question, answer = alone()
        return f"{facts} Question: {question}", answer

    return after_facts, alone


KINDS: tuple[Callable[[Stream, int], Exercise], ...] = (
    copy,
    record,
    write_json,
    chosen_fields,
    context,
    labels,
    reverse,
    call_text,
    member,
    casing,
)
