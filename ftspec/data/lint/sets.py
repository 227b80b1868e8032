"""The data set as a whole: how many rows, how many tasks, how its answers and prompts are spread."""

import heapq
import re
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b

from ftspec.data.chat import text_of
from ftspec.data.lint.definition import Lint, Subject
from ftspec.data.lint.reading import Row
from ftspec.spec.errors import Problem

_TALK = 'OpenAI, talk "Fine-Tuning OpenAI Models - Best Practices"'

FEW_ROWS = Lint(
    code="few_rows",
    level="warning",
    practice="50 to 100 well-made examples are the usual start: improvement shows from there, and doubling the data "
    "tells whether more would help. Hosts refuse fewer than 10 (an error, n_rows).",
    formula="fewer than 50 rows in the training part",
    source=f'OpenAI, guide "Supervised fine-tuning"; {_TALK}',
    check=None,
    found_by="ftspec.data.prepare",
    fix="50 to 100 good examples are a usual start",
)

_SHARE = 0.05
_ROWS = 10


class _Tasks:
    """Counts distinct instructions; digits and white space do not make two of one."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        self._lint = lint
        self._rows = 0
        self._seen: dict[bytes, tuple[int, Row, str]] = {}

    def see(self, row: Row) -> None:
        """Count the instructions of a training row."""
        if row.part != "train":
            return
        self._rows += 1
        text = "\n".join(text_of(m.content) for m in row.messages if m.letter in "sd")
        if not text:
            return
        key = blake2b(re.sub(r"[\d\s]+", " ", text).strip().encode(), digest_size=8).digest()
        count, first, shown = self._seen.get(key, (0, row, text))
        if count or len(self._seen) < 10_000:
            self._seen[key] = (count + 1, first, shown)

    def problems(self) -> Iterator[Problem]:
        """Yield one finding that names the first row of each task."""
        least = max(_ROWS, _SHARE * self._rows)
        tasks = sorted((entry for entry in self._seen.values() if entry[0] >= least), key=lambda e: -e[0])
        if len(tasks) > 1:
            named = ", ".join(f"{count:,} rows as in {row.place}" for count, row, _ in tasks[:5])
            message = f"{len(tasks)} different instructions: {named}"
            yield self._lint.problem(message, "messages[0].content", tasks[0][1].source, tasks[0][1].line)


SEVERAL_TASKS = Lint(
    code="several_tasks",
    level="warning",
    practice="Fine-tune one narrow task at a time: one model for one thing can be measured, and one task's rows do not "
    "pull at the other's.",
    formula=f"two or more distinct instructions (system and developer texts, numbers and white space aside), each in "
    f"at least {_ROWS} rows and {_SHARE:.0%} of the training part",
    source=_TALK,
    check=_Tasks,
    fix="an experiment for each task; or silence this with a reason where one model must do all of them",
)

_CLOSED = 5  # a set of answers is closed when each occurs five times on average
_MOST = 0.6
_FEWEST = 5
_FEWEST_ROWS = 20


def closed_answers(subject: Subject) -> list[tuple[str, int]]:
    """Return the answers of a data set that answers with labels, commonest first; empty for free text and numbers."""
    answers = list(subject.prepared.references)
    total = sum(count for _, count in answers)
    common = sum(count >= _FEWEST for _, count in answers)
    labels = len(answers) > 1 and total >= max(_FEWEST_ROWS, _CLOSED * len(answers)) and 2 * common >= len(answers)
    return answers if labels else []


class _Balance:
    """Looks at the counts of answers that the data path keeps; reads no row."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        self._lint = lint
        self._answers = closed_answers(subject)

    def see(self, row: Row) -> None:
        """Rows are counted already."""

    def problems(self) -> Iterator[Problem]:
        """Yield the finding."""
        total = sum(count for _, count in self._answers)
        if self._lint.code == "unbalanced":
            if self._answers and self._answers[0][1] > _MOST * total:
                text, count = self._answers[0]
                share = f"{count:,} of {total:,} training rows ({count / total:.0%})"
                yield self._lint.problem(f"{share} answer {text[:40]!r}", "dataset")
            return
        rare = [text for text, count in self._answers if count < _FEWEST]
        if rare:
            named = ", ".join(repr(text[:30]) for text in rare[:5])
            yield self._lint.problem(f"{len(rare)} answers have fewer than {_FEWEST} rows: {named}", "dataset")


UNBALANCED = Lint(
    code="unbalanced",
    level="warning",
    practice="A model learns how often each answer comes: where one is most of the data it becomes the answer to "
    "everything, and accuracy hides it.",
    formula=f"answers are a closed set ({_CLOSED} rows or more on average, and for half of them) and one is more than "
    f"{_MOST:.0%} of the training part",
    source='OpenAI, guide "Fine-tuning best practices", balance and diversity of data',
    check=_Balance,
    fix="draw fewer rows of the common answer (sources[].fraction or count), and measure macro f1",
)

RARE_ANSWER = Lint(
    code="rare_answer",
    level="hint",
    practice="An answer seen a few times is not learned and can hardly be measured.",
    formula=f"answers are a closed set and one or more have fewer than {_FEWEST} rows in the training part",
    source='OpenAI, guide "Fine-tuning best practices", balance and diversity of data',
    check=_Balance,
    fix="add rows for these answers, or join them with others",
)

_PROMPTS = 500
_LEAST_PROMPTS = 50
_DISTINCT = 0.35
_WRAPPING = 0.9
_WORD = re.compile(r"\w+")


class _Diversity:
    """Distinct word triples of a fixed number of prompts, so that large and small data sets compare."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        self._lint = lint
        self._kept: list[tuple[int, str]] = []

    def see(self, row: Row) -> None:
        """Keep the prompts with the smallest keys."""
        if row.part != "train":
            return
        drawn = -int(row.key, 16)
        if len(self._kept) < _PROMPTS or drawn > self._kept[0][0]:
            text = " ".join(text_of(m.content) for m in row.messages if m.letter == "u")
            add = heapq.heappush if len(self._kept) < _PROMPTS else heapq.heapreplace
            add(self._kept, (drawn, text))

    def problems(self) -> Iterator[Problem]:
        """Yield the finding."""
        value = distinct_triples([text for _, text in self._kept])
        if value is not None and value < _DISTINCT:
            message = f"of the word triples of {len(self._kept)} prompts {value:.0%} are distinct"
            yield self._lint.problem(message, "dataset")


def distinct_triples(prompts: list[str]) -> float | None:
    """Return distinct / all word triples, those of the wrapping (in 90 % of prompts) left out; None for few prompts."""
    if len(prompts) < _LEAST_PROMPTS:
        return None
    spread: Counter[tuple[str, ...]] = Counter()
    total: Counter[tuple[str, ...]] = Counter()
    for text in prompts:
        words = _WORD.findall(text.casefold())
        triples = list(zip(words, words[1:], words[2:], strict=False))
        total.update(triples)
        spread.update(set(triples))
    wrapping = {triple for triple, n in spread.items() if n >= _WRAPPING * len(prompts)}
    kept = {triple: n for triple, n in total.items() if triple not in wrapping}
    number = sum(kept.values())
    return len(kept) / number if number >= _LEAST_PROMPTS else None


LOW_DIVERSITY = Lint(
    code="low_diversity",
    level="warning",
    practice="Prompts made by filling a few sentences teach these sentences: the model fails on what people really "
    "write.",
    formula=f"distinct word triples / all word triples of the user texts of {_PROMPTS} training rows (fewer than "
    f"{_LEAST_PROMPTS}: silent), those in {_WRAPPING:.0%} of the rows left out, is below {_DISTINCT}",
    source="Li et al. 2016, A Diversity-Promoting Objective Function (distinct-n)",
    check=_Diversity,
    fix="collect real prompts, or let people rephrase the generated ones",
)
