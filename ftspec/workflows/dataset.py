"""Looking at the data of an experiment: conversations with what is learned, sums, balance, overlap."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ftspec.compose import Point, Project, load
from ftspec.data import Prepared
from ftspec.data.chat import ROLE, text_of
from ftspec.data.lint.overlap import Overlap
from ftspec.data.lint.reading import Row, rows
from ftspec.data.proof import Proof
from ftspec.data.weights import FROM_DATA
from ftspec.evals.suites import resolve
from ftspec.spec.errors import UsageError
from ftspec.workflows.choose import point_of
from ftspec.workflows.prepared import prepare_data

SCHEMA = 1
PARTS = {"train": "train", "valid": "validation", "test": "test"}
_MOST_ANSWERS = 10_000
_CLOSED = 5  # labels occur five times on average, or the answers are free text
_BINS = 12


@dataclass(frozen=True)
class Data:
    """The rendered data of one run of an experiment."""

    project: Project
    name: str
    point: Point
    prepared: Prepared

    @property
    def proof(self) -> Proof:
        """What each weight rule did."""
        return self.prepared.proof


def open_data(project: Project, name: str, overrides: Sequence[str] = (), label: str | None = None) -> Data:
    """Return the data of the first run, or of the one with this label. Raises what composing and preparing raise."""
    composed = load(project, name, overrides)
    point = composed.points[0] if label is None else point_of(project, composed, label)
    return Data(project, name, point, prepare_data(project, point.experiment))


@dataclass(frozen=True)
class Message:
    """One message as it is shown; `by` names who decided its weight, empty in the test part."""

    role: str
    text: str
    calls: tuple[str, ...]
    learned: bool
    by: str


@dataclass(frozen=True)
class Conversation:
    """One rendered row."""

    source: str
    line: int
    part: str
    number: int
    tokens: int
    learned: int
    mask: str
    messages: tuple[Message, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return asdict(self)


def conversations(
    data: Data, part: str = "train", *, most: int | None = 5, row: int | None = None, rule: str | None = None
) -> Iterator[Conversation]:
    """Yield rows of a part in order: all, the first `most`, number `row`, or those in which `rule` decides a message.

    Raises UsageError for a part, a row or a rule that there is not.
    """
    _check(data, part, row, rule)
    names = [one.name for one in data.point.experiment.weights.rules]
    preset = f"preset {data.point.experiment.weights.train_on}"
    wanted = None if rule is None else FROM_DATA if rule == "data" else names.index(rule)
    shown = 0
    for found in rows(data.prepared, (part,)):
        record = found.record
        if (row is not None and record.i != row) or (wanted is not None and wanted not in (record.by or ())):
            continue
        yield _conversation(found, names, preset)
        shown += 1
        if row is not None or (most is not None and shown >= most):
            return


def _check(data: Data, part: str, row: int | None, rule: str | None) -> None:
    prepared = data.prepared
    if part not in prepared.parts:
        known = ", ".join(prepared.parts)
        raise UsageError("no_part", f"the data of {data.name} has no part {part!r}", fix=f"it has: {known}")
    size = prepared.parts[part].rows
    if row is not None and not 0 <= row < size:
        raise UsageError("no_row", f"the {part} part has no row {row}", fix=f"rows are numbered 0 to {size - 1}")
    names = [one.name for one in data.point.experiment.weights.rules]
    if rule is not None and rule != "data" and rule not in names:
        known = ", ".join(["data", *names])
        raise UsageError("no_rule", f"the weights of {data.name} have no rule {rule!r}", fix=f"rules: {known}")


def _conversation(row: Row, names: Sequence[str], preset: str) -> Conversation:
    record, tested = row.record, row.part == "test"
    deciders = record.by or [-2] * len(row.messages)
    messages = []
    for n, message in enumerate(row.messages):
        by = deciders[n] if n < len(deciders) else -2
        name = names[by] if by >= 0 else "(data)" if by == FROM_DATA else preset
        calls = [f"{call.function.name}({call.function.arguments})" for call in message.tool_calls or ()]
        learned = not tested and n < len(row.mask) and row.mask[n] == "1"
        text = text_of(message.content) or (message.refusal or "")
        messages.append(Message(ROLE[message.letter], text, tuple(calls), learned, "" if tested else name))
    return Conversation(
        row.source, row.line, row.part, record.i, record.tokens, record.learned, row.mask, tuple(messages)
    )


@dataclass(frozen=True)
class Spread:
    """How a number is spread over rows: quantiles (nearest rank) and a histogram of equal steps from 0 to `high`."""

    low: int
    p5: int
    median: int
    p95: int
    high: int
    bins: tuple[int, ...]


@dataclass(frozen=True)
class PartStats:
    """Sums over one part. `answers` are its labels with counts, commonest first, empty for free text."""

    part: str
    rows: int
    messages: int
    learned_messages: int
    tokens: int
    learned_tokens: int
    row_tokens: Spread
    distinct_answers: int | None
    answers: tuple[tuple[str, int], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        shown = asdict(self)
        shown["answers"] = [{"answer": answer, "rows": count} for answer, count in self.answers]
        return shown


def spread(values: Sequence[int]) -> Spread:
    """Return quantiles and a histogram of at least one number."""
    ranked = sorted(values)
    high = ranked[-1]
    bins = [0] * _BINS
    for value in ranked:
        bins[min(_BINS - 1, value * _BINS // max(1, high))] += 1

    def quantile(percent: int) -> int:
        return ranked[max(0, -(-percent * len(ranked) // 100) - 1)]

    return Spread(ranked[0], quantile(5), quantile(50), quantile(95), high, tuple(bins))


def part_stats(data: Data, part: str) -> PartStats:
    """Return the sums of one part."""
    facts = data.prepared.parts[part]
    tokens: list[int] = []
    answers: Counter[str] = Counter()
    for row in rows(data.prepared, (part,)):
        tokens.append(row.record.tokens)
        if len(answers) <= _MOST_ANSWERS:
            last = next((m for m in reversed(row.messages) if m.letter == "a"), None)
            answers[text_of(last.content) if last is not None else ""] += 1
    many = len(answers) > _MOST_ANSWERS
    closed = not many and len(answers) * _CLOSED <= len(tokens)
    return PartStats(
        part=part,
        rows=facts.rows,
        messages=facts.messages,
        learned_messages=facts.learned_messages,
        tokens=facts.tokens,
        learned_tokens=facts.learned_tokens,
        row_tokens=spread(tokens or [0]),
        distinct_answers=None if many else len(answers),
        answers=tuple(sorted(answers.items(), key=lambda pair: (-pair[1], pair[0]))) if closed else (),
    )


def stats(data: Data) -> list[PartStats]:
    """Return the sums of every part."""
    return [part_stats(data, part) for part in data.prepared.parts]


def data_overlaps(data: Data) -> list[Overlap]:
    """Return what stands on both sides: train, validation, test, and every suite with items of its own."""
    from ftspec.workflows.overlap import all_overlaps

    experiment = data.point.experiment
    suites = [
        resolve(
            name,
            suite,
            references=dict(data.prepared.references),
            train=data.prepared.parts["train"],
            root=data.project.root,
        )
        for name, suite in experiment.evals.items()
        if suite.data.path is not None
    ]
    return all_overlaps(data.prepared, suites)


def proof_json(proof: Proof) -> Mapping[str, Any]:
    """Return the proof table in the stable shape of docs/json.md."""
    return asdict(proof)
