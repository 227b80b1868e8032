"""Small tasks that the embedded engine must learn: generated rows, held-out ones with values never seen in training.

`rows(task, n, seed, held)` gives chat rows `{"messages": [system, user, assistant]}`. In tasks with fresh names every
row has new ones; in `intent` the last two templates of a label never occur in training.
"""

import json
from collections.abc import Callable
from typing import Any

from ftspec.engine.streams import Stream
from ftspec.engine.words import pseudo_name, pseudo_word

Row = dict[str, Any]
UNKNOWN = "I don't know"
MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
SPORTS = "sailing rowing judo boxing fencing archery diving cycling".split()  # noqa: SIM905
INTENTS = {
    "refund": (
        "I want my money back for the {i}",
        "please refund order {n}",
        "refund the {i}, they came broken",
        "can I send the {i} back and get a refund",
        "give me a refund for {n}",
        "the {i} are damaged, I want the money back",
    ),
    "tracking": (
        "where is my order {n}",
        "when will the {i} arrive",
        "my {i} are still not here, where are they",
        "track package {n} please",
        "has order {n} been shipped yet",
        "when does order {n} arrive",
    ),
    "cancel": (
        "please cancel order {n}",
        "I do not need the {i} any more, cancel them",
        "cancel my order {n} before it ships",
        "stop the order of {i}",
        "I changed my mind, cancel {n}",
        "can you cancel the {i}",
    ),
    "address": (
        "change my address to {c}",
        "I moved to {c}, update the address",
        "send the {i} to my new address in {c}",
        "my address is wrong, I live in {c}",
        "please update the address of order {n}",
        "I now live in {c}, change my address",
    ),
    "praise": (
        "thank you, the {i} are great",
        "I love my new {i}",
        "great service, thanks {p}",
        "{p} was very helpful, thank you",
        "the {i} are perfect, great work",
        "best {i} ever, thanks",
    ),
}
TOOLS = (
    ("get_weather", ("what is the weather in {a}", "will it rain in {a} today", "how warm is it in {a}"), ("city",)),
    ("search_flights", ("find a flight from {a} to {b}", "I want to fly from {a} to {b}"), ("from", "to")),
    ("set_timer", ("set a timer for {n} minutes", "remind me in {n} minutes", "wake me in {n} minutes"), ("minutes",)),
    ("call_contact", ("call {a}", "please phone {a} for me", "can you ring {a} now"), ("name",)),
)
ORDERS = (
    "Ship {q} {i} to {p} in {c}",
    "{p} from {c} ordered {q} {i}",
    "Please send {p} {q} {i}, delivery to {c}",
    "Order for {p}: {q} {i}, ship to {c}",
    "In {c}, {p} needs {q} {i}",
    "{q} {i} for {p}, {c}",
)
OFF_SUBJECT = (
    "How old is {a}?",
    "What does {a} eat?",
    "Who trained {a}?",
    "Is {c} a big city?",
    "When was {a} born?",
    "What is the weather in {c}?",
    "Who lost the {e} final?",
    "How tall is {a}?",
)


def intent(r: Stream, held: bool) -> tuple[str, str, str]:
    """Five labels; held-out rows use unseen templates half of the time."""
    label = r.choice(list(INTENTS))
    templates = INTENTS[label]
    template = r.choice(templates[4:] if held and r.uniform() < 0.5 else templates[:4])
    text = template.format(i=pseudo_word(r) + "s", n=r.between(1000, 9999), c=pseudo_name(r), p=pseudo_name(r))
    return (
        "Classify the customer message.",
        r.choice(["", "", "hi, ", "hello, "]) + text + r.choice(["", ".", "!"]),
        label,
    )


def tool(r: Stream, held: bool) -> tuple[str, str, str]:
    """A tool and its arguments, as text, fresh names in every row."""
    name, templates, keys = r.choice(TOOLS)
    a, b, n = pseudo_name(r), pseudo_name(r), r.between(2, 59)
    values = [n] if keys == ("minutes",) else [a, b][: len(keys)]
    arguments = json.dumps(dict(zip(keys, values, strict=True)))
    return "Select the tool.", r.choice(templates).format(a=a, b=b, n=n), f"{name}({arguments})"


def order(r: Stream, held: bool) -> tuple[str, str, str]:
    """Four fields as JSON, fresh names in every row."""
    q, i, p, c = r.between(2, 40), pseudo_word(r) + "s", pseudo_name(r), pseudo_name(r)
    text = r.choice(ORDERS).format(q=q, i=i, p=p, c=c)
    return "Extract the order as JSON.", text, json.dumps({"name": p, "item": i, "qty": q, "city": c})


def date(r: Stream, held: bool) -> tuple[str, str, str]:
    """A date in one of five forms to ISO 8601; one date in five is kept for the held-out rows."""
    while True:
        y, m, d = r.between(1950, 2029), r.between(1, 12), r.between(1, 28)
        if ((y * 372 + m * 31 + d) % 5 == 0) == held:
            break
    month = MONTHS[m - 1]
    forms = [f"{month} {d}, {y}", f"{d} {month} {y}", f"{month[:3]} {d} {y}", f"{d}/{m}/{y}", f"{d:02}.{m:02}.{y}"]
    return "Convert the date to ISO format.", r.choice(["", "on ", "date: "]) + r.choice(forms), f"{y}-{m:02}-{d:02}"


def _fact(r: Stream, unanswerable: Callable[[str, str, str], str]) -> tuple[str, str, str]:
    a, c, e = pseudo_name(r), pseudo_name(r), r.choice(SPORTS)
    question, answer = r.choice([(f"What did {a} win?", e), (f"Who won {e}?", a), (f"Where did {a} win?", c)])
    if r.uniform() < 0.5:
        question, answer = unanswerable(a, c, e), UNKNOWN
    return "Answer the question from the context.", f"{a} won {e} in {c}. Question: {question}", answer


def domain(r: Stream, held: bool) -> tuple[str, str, str]:
    """One fact; questions off the subject get "I don't know" (two of their templates only in held-out rows)."""
    return _fact(r, lambda a, c, e: r.choice(OFF_SUBJECT if held else OFF_SUBJECT[:6]).format(a=a, c=c, e=e))


def match(r: Stream, held: bool) -> tuple[str, str, str]:
    """One fact; questions about another name or sport are answered "I don't know"."""

    def other(a: str, c: str, e: str) -> str:
        b, sport = pseudo_name(r), r.choice([s for s in SPORTS if s != e])
        return r.choice([f"What did {b} win?", f"Who won {sport}?", f"Where did {b} win?"])

    return _fact(r, other)


TASKS = {"intent": intent, "tool": tool, "json": order, "date": date, "domain": domain, "match": match}


def rows(task: str, n: int, *, seed: int = 0, held: bool = False) -> list[Row]:
    """Rows of a task, held-out ones from another stream."""
    r = Stream("engine tasks", task, seed, held)
    found = []
    for _ in range(n):
        system, user, assistant = TASKS[task](r, held)
        roles = (("system", system), ("user", user), ("assistant", assistant))
        found.append({"messages": [{"role": role, "content": content} for role, content in roles]})
    return found
