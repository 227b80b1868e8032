"""The conversations that make a base: every feature of the chat template, filled with generated exercises.

About a third are questions that always have an answer, a quarter have several turns, a tenth call tools, a twentieth
are long (up to about 250 tokens).
"""

import json
from collections.abc import Callable
from typing import Any

from ftspec.engine.exercises import KINDS, Exercise, context, facts_with, who_what_where
from ftspec.engine.streams import Stream
from ftspec.engine.words import WORDS, any_value, any_word, pseudo_name

Row = dict[str, Any]
TYPES = ("string", "string", "integer", "boolean")


def example(r: Stream) -> Row:
    """One training row: `messages`, with `tools` where there are some."""
    kind = r.uniform()
    if kind < 0.68:
        return single(r)
    if kind < 0.83:
        return several(r)
    if kind < 0.87:
        return follow_up(r)
    if kind < 0.90:
        return taught_labels(r)
    return tools(r)


def exercise(r: Stream) -> Exercise:
    """One exercise; three in ten are questions about facts. One in twelve is long."""
    size = 2 if r.uniform() < 1 / 12 else 1
    if r.uniform() < 0.3:
        return r.choice([who_what_where, who_what_where, context])(r, size)
    return r.choice(KINDS)(r, size)


def single(r: Stream) -> Row:
    """One question; one in eight has no system message, as rows of prompt and completion have none."""
    system, ask = exercise(r)
    question, answer = ask()
    if r.uniform() < 0.125:
        return {"messages": [said("user", f"{system} {question}"), said("assistant", answer)]}
    return {"messages": [opening(r, system), said("user", question), said("assistant", answer)]}


def several(r: Stream) -> Row:
    """Pairs of the same exercise in one conversation, as a prompt with examples has them."""
    system, ask = exercise(r)
    messages = [] if r.uniform() < 0.1 else [opening(r, system)]
    budget = 220
    for _ in range(r.choice([2, 2, 2, 3, 3, 4, 5, 6])):
        question, answer = ask()
        budget -= (len(question) + len(answer)) // 2
        if budget < 0 and len(messages) > 2:
            break
        messages += [said("user", question), said("assistant", answer)]
    return {"messages": messages}


def follow_up(r: Stream) -> Row:
    """Facts once, then two or three questions about them."""
    first, later = facts_with(r, r.between(2, 4))
    messages = [opening(r, "Answer the question from the context.")]
    for ask in [first, *[later] * r.between(1, 2)]:
        question, answer = ask()
        messages += [said("user", question), said("assistant", answer)]
    return {"messages": messages}


def taught_labels(r: Stream) -> Row:
    """Labels taught by the turns before, which are not learned; the last question repeats one within other words."""
    known = r.sample(WORDS, r.between(2, 4))
    words = r.sample(WORDS, r.between(3, 6))
    label = {word: known[i] if i < len(known) else r.choice(known) for i, word in enumerate(words)}
    messages = [opening(r, r.choice(["Classify the message.", "Give the label.", "Label the text."]))]
    for word in words:
        taught = said("assistant", label[word]) | {"weight": 0}
        messages += [said("user", f"{any_word(r)} {word} {any_word(r)}"), taught]
    word = r.choice(words)
    messages += [said("user", f"{any_word(r)} {word} {any_word(r)}"), said("assistant", label[word])]
    return {"messages": messages}


def tools(r: Stream) -> Row:
    """One to three functions, a request that names one; then perhaps its result and an answer that uses it."""
    names = r.sample(WORDS, r.between(1, 3))
    functions = [function(r, name) for name in names]
    chosen = r.choice(functions)
    keys = list(chosen["parameters"]["properties"])
    arguments = {key: value(r, chosen["parameters"]["properties"][key]["type"]) for key in keys}
    told = ", ".join(f"{key} {json.dumps(v) if not isinstance(v, str) else v}" for key, v in arguments.items())
    verb = chosen["name"].replace("_", " ")
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": chosen["name"], "arguments": json.dumps(arguments)},
    }
    messages: list[Row] = [opening(r, r.choice(["Use the tools.", "You may call tools.", "Help the user."]))]
    messages += [said("user", r.choice([f"{verb} with {told}", f"please {verb}: {told}", f"{told}, {verb}"]))]
    messages += [{"role": "assistant", "content": None, "tool_calls": [call]}]
    if r.uniform() < 0.5:
        messages += result(r)
    return {"messages": messages, "tools": [{"type": "function", "function": item} for item in functions]}


def function(r: Stream, name: str) -> Row:
    """A function definition with one to three parameters."""
    keys = r.sample(WORDS, r.between(1, 3))
    properties = {key: {"type": r.choice(TYPES)} for key in keys}
    verb = r.choice(["get", "find", "set", "send", "make", "show"])
    description = r.choice(["", f"{verb} the {name}", f"{verb} {r.choice(WORDS)}"])
    parameters = {"type": "object", "properties": properties, "required": keys[: r.between(1, len(keys))]}
    return {"name": f"{verb}_{name}", "description": description, "parameters": parameters}


def value(r: Stream, kind: str) -> Any:
    """A value of a JSON type."""
    if kind == "integer":
        return r.below(r.choice([10, 100, 10000]))
    return r.uniform() < 0.5 if kind == "boolean" else any_value(r)


def result(r: Stream) -> list[Row]:
    """What a tool returned, and the answer: one of its values."""
    keys = r.sample(WORDS, r.between(1, 3))
    found = {key: any_value(r) for key in keys}
    wanted = keys[0]
    answer: Callable[[str], str] = r.choice([lambda v: v, lambda v: f"The {wanted} is {v}.", lambda v: f"It is {v}."])
    returned = {"role": "tool", "tool_call_id": "call_1", "content": json.dumps(found)}
    return [returned, said("assistant", answer(found[wanted]))]


def opening(r: Stream, system: str) -> Row:
    """The system line, one time in ten under the developer role."""
    return said("developer" if r.uniform() < 0.1 else "system", system)


def said(role: str, content: str) -> Row:
    """One message."""
    return {"role": role, "content": content}


def named(r: Stream, row: Row) -> Row:
    """Give the users of a row a name."""
    name = pseudo_name(r)
    return row | {"messages": [m | {"name": name} if m["role"] == "user" else m for m in row["messages"]]}


def rows(r: Stream, n: int) -> list[Row]:
    """Return n rows; one in forty has named users."""
    return [named(r, example(r)) if r.uniform() < 0.025 else example(r) for _ in range(n)]
