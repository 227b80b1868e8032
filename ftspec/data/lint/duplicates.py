"""Rows that repeat each other: the same row, the same prompt with another answer, and rows that differ in a word.

Near duplicates are found in two steps: rows that share two of their six smallest hashes of word triples (a bottom-k
sketch) are candidates, then the Jaccard index of their triples decides. Triples in more than a tenth of the rows belong
to a template and count for neither.
"""

import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

from ftspec.data.chat import Message, text_of
from ftspec.data.lint.definition import Lint, Subject
from ftspec.data.lint.reading import Row
from ftspec.spec.errors import Problem

MOST_PAIRS = 20
FEW = 0.05  # below this share of the rows repeats are a hint: people do ask the same thing twice


class _Repeated:
    """Counts rows whose key was seen before; with `answers` rows whose prompt was, with another answer."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        self._lint = lint
        self._first: dict[int, tuple[str, int, str]] = {}
        self._same_prompt = lint.code == "conflicting_rows"
        self._pairs: list[tuple[str, int, str, int]] = []
        self._count = self._rows = 0

    def see(self, row: Row) -> None:
        """Compare the key of a training row with all before it."""
        if row.part != "train":
            return
        self._rows += 1
        first = self._first.setdefault(int(row.prompt if self._same_prompt else row.key, 16), _at(row))
        if first[:2] == (row.source, row.line) or (self._same_prompt and first[2] == row.key):
            return
        self._count += 1
        if len(self._pairs) < MOST_PAIRS:
            self._pairs.append((first[0], first[1], row.source, row.line))

    def problems(self) -> Iterator[Problem]:
        """Yield the finding with its first pairs of lines."""
        words = "give another answer to the prompt of an earlier row" if self._same_prompt else "repeat an earlier row"
        mild = self._count < FEW * self._rows
        message = f"{self._count:,} of {self._rows:,} training rows {words}"
        yield from pairs_problem(self._lint, message, self._pairs, mild=mild)


def _at(row: Row) -> tuple[str, int, str]:
    return row.source, row.line, row.key


def pairs_problem(
    lint: Lint, message: str, pairs: list[tuple[str, int, str, int]], *, mild: bool = False
) -> Iterator[Problem]:
    """Yield a finding about pairs of lines (first, later), placed at the first later one."""
    if not pairs:
        return
    shown = [f"{later} as {first if file == other else f'{other}:{first}'}" for other, first, file, later in pairs[:5]]
    more = "; ..." if len(pairs) > len(shown) else ""
    yield lint.problem(f"{message}: line {'; '.join(shown)}{more}", "", pairs[0][2], pairs[0][3], mild=mild)


DUP_ROW = Lint(
    code="dup_row",
    level="warning",
    practice="A row that stands twice is learned twice as often as the others, and is memorised first.",
    formula="two training rows have the same canonical bytes, weights aside; below 5 % of the rows a hint",
    source="Lee et al. 2022, Deduplicating Training Data Makes Language Models Better",
    check=_Repeated,
    fix="leave the repeats out; weigh sources with `fraction` if that was meant",
    rates=(0.0, 0.0, 0.0),
    every=True,
)

CONFLICTING_ROWS = Lint(
    code="conflicting_rows",
    level="warning",
    practice="Two answers to one prompt cannot both be learned: the model ends between them, and its measured score "
    "has a ceiling below 1.",
    formula="two training rows have the same messages before the last assistant turn, instructions aside, and differ; "
    "below 5 % of the rows a hint",
    source="Northcutt et al. 2021, Pervasive Label Errors in Test Sets Destabilize Machine Learning Benchmarks",
    check=_Repeated,
    fix="decide which answer is right",
    rates=(0.0, 0.0, 0.0),
    every=True,
)

_JACCARD = 0.8
_SKETCH = 6
_SHARED = 2
_BUCKET = 50  # rows compared that share one hash
_LEARN_COMMON = 500
_COMMON = 0.1
_LEAST = 4
_WORDS = re.compile(r"\w+")
_MASK = 0xFFFFFFFF


def alike(one: "array[int]", other: "array[int]") -> bool:
    """Whether the Jaccard index of two sets of triples reaches the bar."""
    smaller, larger = sorted((len(one), len(other)))
    if smaller < _JACCARD * larger:
        return False
    shared = len(set(one).intersection(other))
    return shared >= _JACCARD * (len(one) + len(other) - shared)


class Triples:
    """Word triples of texts as numbers of 32 bits."""

    def __init__(self) -> None:
        self._words: dict[str, int] = {}

    def of(self, messages: Iterable[Message]) -> "array[int]":
        """Return the distinct triples of all that is said, instructions aside, in ascending order."""
        text = "\n".join([text_of(m.content) for m in messages if m.letter not in "sd"])
        words, known = _WORDS.findall(text.casefold()), self._words
        numbers = []
        for word in words:
            number = known.get(word)
            if number is None:
                number = zlib.crc32(word.encode())
                if len(known) < 100_000:
                    known[word] = number
            numbers.append(number)
        found = {
            ((a * 0x9E3779B1 ^ b * 0x85EBCA77 ^ c * 0xC2B2AE3D) * 0x27D4EB2F) & _MASK
            for a, b, c in zip(numbers, numbers[1:], numbers[2:], strict=False)
        }
        return array("I", sorted(found))


def template_triples(rows: Sequence["array[int]"]) -> set[int]:
    """Return the triples of a template: in more than a tenth of the first rows, and in 20 of them at least."""
    counts: Counter[int] = Counter()
    for triples in rows[:_LEARN_COMMON]:
        counts.update(triples)
    least = max(20, _COMMON * min(_LEARN_COMMON, len(rows)))
    return {triple for triple, n in counts.items() if n > least}


class Sketches:
    """Rows found again by what they nearly say: candidates by sketch, then the Jaccard index decides."""

    def __init__(self, common: AbstractSet[int]) -> None:
        self._common = common
        self._kept: list[array[int]] = []
        self._buckets: dict[int, list[int]] = {}

    def own(self, triples: "array[int]") -> "array[int]":
        """Return the triples that belong to no template."""
        return array("I", (t for t in triples if t not in self._common))

    def add(self, own: "array[int]") -> None:
        """Hold the next row; too short ones are counted and never found."""
        number = len(self._kept)
        self._kept.append(own)
        for triple in own[:_SKETCH] if len(own) >= _LEAST else ():
            bucket = self._buckets.setdefault(triple, [])
            if len(bucket) < _BUCKET:
                bucket.append(number)

    def near(self, own: "array[int]") -> Iterator[int]:
        """Yield the numbers of the rows that nearly equal one."""
        if len(own) < _LEAST:
            return
        found = Counter(row for triple in own[:_SKETCH] for row in self._buckets.get(triple, ()))
        for number, hashes in found.items():
            if hashes >= _SHARED and alike(self._kept[number], own):
                yield number


class _NearDuplicates:
    """Keeps the triples of every row seen: at most 8 MB of text, so about as much memory."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        self._lint = lint
        self._of = Triples().of
        self._rows: list[tuple[str, int, str]] = []
        self._triples: list[array[int]] = []

    def see(self, row: Row) -> None:
        """Take the word triples of a training row."""
        if row.part == "train":
            self._rows.append(_at(row))
            self._triples.append(self._of(row.messages))

    def problems(self) -> Iterator[Problem]:
        """Yield the finding with its first pairs of lines."""
        pairs = [
            (self._rows[first][0], self._rows[first][1], self._rows[later][0], self._rows[later][1])
            for first, later in self._pairs()
        ]
        message = f"{len(pairs):,} of {len(self._rows):,} training rows differ from an earlier one in a word or two"
        yield from pairs_problem(self._lint, message, pairs, mild=len(pairs) < FEW * len(self._rows))

    def _pairs(self) -> Iterator[tuple[int, int]]:
        """Yield (earlier, later) of every row that nearly equals one before it; equal rows are dup_row's."""
        sketches = Sketches(template_triples(self._triples))
        for later, triples in enumerate(self._triples):
            own = sketches.own(triples)
            key = self._rows[later][2]
            first = next((row for row in sketches.near(own) if self._rows[row][2] != key), None)
            if first is not None:
                yield first, later
            sketches.add(own)


NEAR_DUP = Lint(
    code="near_dup",
    level="warning",
    practice="Rows that differ in a name or a number add little and count double; on both sides of a split they make "
    "a score too good.",
    formula=f"the word triples of two training rows (instructions aside, those in a tenth of the rows left out) have a "
    f"Jaccard index of {_JACCARD} or more; candidates share {_SHARED} of their {_SKETCH} smallest hashes; below 5 % "
    "of the rows a hint",
    source="Broder 1997, On the resemblance and containment of documents; Lee et al. 2022",
    check=_NearDuplicates,
    fix="keep one of each group, or split by a field that keeps them together",
    rates=(0.93, 0.75, 0.0),
)
