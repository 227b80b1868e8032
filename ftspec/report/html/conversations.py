"""A page of conversations: what is learned stands out, and the proof table says who decided it."""

from collections.abc import Iterable

from ftspec.report.html.markup import Html, element, page, table
from ftspec.report.proof import HEAD, proof_rows, proof_sum
from ftspec.workflows.dataset import PARTS, Conversation, Data, Message

_LEARNED = "border-left: 3px solid var(--good); background: var(--soft); padding: .3rem .8rem; margin: .3rem 0"
_PLAIN = "border-left: 3px solid var(--line); padding: .3rem .8rem; margin: .3rem 0"
_TEXT = "white-space: pre-wrap; overflow-wrap: anywhere"


def conversations_page(data: Data, shown: Iterable[Conversation]) -> str:
    """Return the whole page; it needs nothing but itself. The same data gives the same bytes."""
    proof = data.proof
    head = element(
        "header",
        element("h1", f"{data.name}: what is learned"),
        element("p", f"{data.point.label} · {proof_sum(proof)}", class_="dim"),
        element("p", element("span", "learned text", style=_LEARNED), " stands in green bars; all else is context"),
    )
    numbers = frozenset(range(1, 7))
    rules = element("section", element("h2", "Proof"), table(HEAD, proof_rows(proof), numbers=numbers))
    return page(f"{data.name}: what is learned", head, rules, *map(_row, shown))


def _row(one: Conversation) -> Html:
    learned = "" if one.part == "test" else f" · learned {one.learned:,} of {one.tokens:,} tokens · {one.mask}"
    title = f"{one.source}:{one.line} · {PARTS[one.part]} row {one.number}{learned}"
    return element("section", element("h2", title), *map(_message, one.messages))


def _message(message: Message) -> Html:
    lines = [*([message.text] if message.text else []), *message.calls]
    texts = [element("div", *_lines(line), style=_TEXT) for line in lines]
    by = f" · {message.by}" if message.by else ""
    head = element("div", f"{message.role}{by}", class_="dim")
    return element("div", head, *texts, style=_LEARNED if message.learned else _PLAIN)


def _lines(text: str) -> Iterable[Html]:
    """Lines of their own, since hidden characters (newlines too) are made visible in a text."""
    for line in text.split("\n"):
        yield element("div", line or "\u00a0")
