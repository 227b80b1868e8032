"""What the learned answers say: work put off, and things that the prompt does not know."""

import re
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from itertools import compress

from ftspec.data.chat import text_of
from ftspec.data.lint.definition import Hit, Lint, RowCheck, Subject, quoted, rowwise
from ftspec.data.lint.reading import Row
from ftspec.spec.errors import Problem

_TALK = 'OpenAI, talk "Fine-Tuning OpenAI Models - Best Practices"'


def learned(row: Row) -> Iterator[tuple[int, str]]:
    """Yield number and text of every learned message that has a text."""
    bits = [bit == "1" for bit in row.mask]
    for n, message in compress(enumerate(row.messages), bits):
        if text := text_of(message.content):
            yield n, text


_LATER = ("tomorrow", "later", "next week", "in the morning", "tonight", "get back to you", "come back to you")
_PUT_OFF = re.compile(
    r"\b(?:i|we)(?:['’]ll| will|['’]m going to|['’]re going to| am going to| are going to)\b[^.!?\n]{0,60}?"
    r"\b(?:tomorrow|later(?! than)|next week|in the morning|tonight|(?:get|come) back to you)\b",
    re.IGNORECASE,
)


def put_off(text: str) -> re.Match[str] | None:
    """Return where a text says that the speaker will act at another time."""
    low = text.casefold()
    return _PUT_OFF.search(text) if any(word in low for word in _LATER) else None


def _deferral(row: Row) -> Hit | None:
    for n, text in learned(row):
        if found := put_off(text):
            return Hit(f"messages[{n}].content", quoted(text, found.start()))
    return None


DEFERRAL = Lint(
    code="deferral",
    level="warning",
    practice="A model learns the manners of its data: trained on chats between people it promises to do the work "
    "tomorrow instead of doing it.",
    formula="a learned message holds `I` or `we` + will / am going to + at most 60 characters of the same sentence + "
    "tomorrow, later, tonight, next week, in the morning, get or come back to you",
    source=_TALK,
    check=rowwise(_deferral, "put the work off"),
    fix="leave such rows out, or give these messages weight 0 with a rule (match: content_regex)",
    rates=(0.0, 0.0, 0.0),
    masked=True,
)

_WORD = re.compile(r"[^\W\d_][\w'’-]*|\d[\d.,]*\d")
_SENTENCE_END = re.compile(r"(?:^|[.!?:\n\"“(*#>-])\s*$")
_MIN_NEW = 3
_TEMPLATE_ROWS = 3


def new_names(text: str, known: str) -> list[str]:
    """Return names (capitalised inside a sentence) that `known` does not hold, and with them numbers of four digits.

    Numbers alone are no facts: an answer may have worked them out.
    """
    low = known.casefold()
    found: dict[str, None] = {}
    named = False
    for match in _WORD.finditer(text):
        word = match.group()
        if word[0].isdigit():
            candidate = sum(c.isdigit() for c in word) >= 4
        else:
            candidate = word[0].isupper() and len(word) > 2 and not _SENTENCE_END.search(text, 0, match.start())
        if candidate and word.casefold().removesuffix("'s").removesuffix("’s") not in low:
            found[word] = None
            named = named or not word[0].isdigit()
    return list(found) if named else []


class _NewFacts(RowCheck):
    """Answers that repeat are labels or templates, so hits wait until all rows were seen."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        super().__init__(lint, lambda row: None, "name things that their prompts do not")
        self._answers: Counter[bytes] = Counter()
        self._waiting: list[tuple[bytes, str, int, Hit]] = []

    def see(self, row: Row) -> None:
        """Look at every learned message against all that stands before it."""
        self.seen += 1
        for n, text in learned(row):
            if row.messages[n].letter != "a":
                continue
            answer = blake2b(text.encode(), digest_size=8).digest()
            self._answers[answer] += 1
            if self._answers[answer] >= _TEMPLATE_ROWS:
                continue
            known = " ".join([text_of(m.content) for m in row.messages[:n]] + [(row.tools or b"").decode()])
            new = new_names(text, known)
            if len(new) >= _MIN_NEW:
                hit = Hit(f"messages[{n}].content", ", ".join(new[:5]))
                self._waiting.append((answer, row.source, row.line, hit))
                return

    def problems(self) -> Iterator[Problem]:
        """Yield the finding, without answers that repeat."""
        kept = [(s, n, hit) for answer, s, n, hit in self._waiting if self._answers[answer] < _TEMPLATE_ROWS]
        self.rows, self.count = kept, len(kept)
        yield from super().problems()


NEW_FACTS = Lint(
    code="new_facts",
    level="hint",
    practice="Fine-tuning teaches form, not knowledge: a model trained to state facts that its prompt does not hold "
    "learns to make facts up. Put what it must know into the prompt, and use retrieval.",
    formula=f"a learned answer that occurs in fewer than {_TEMPLATE_ROWS} rows holds {_MIN_NEW} or more distinct "
    "capitalised words inside a sentence or numbers of four digits or more that stand nowhere before it, at least one "
    "of them a word",
    source=f"{_TALK}; Gekhman et al. 2024, Does Fine-Tuning LLMs on New Knowledge Encourage Hallucinations?",
    check=_NewFacts,
    fix="give the facts in the prompt (retrieval), or answer that they are not known",
    rates=(0.0, 0.0, 0.2),
    masked=True,
)
