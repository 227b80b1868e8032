"""Data for people: conversations with what is learned, sums, overlap."""

from collections.abc import Iterable, Iterator, Sequence

from ftspec.data.lint.overlap import LEVELS, Overlap
from ftspec.report.problems import visible
from ftspec.report.style import columns, paint, sparkline
from ftspec.workflows.dataset import PARTS, Conversation, Message, PartStats
from ftspec.workflows.export import Exported
from ftspec.workflows.harvest import Harvest

_MOST_LABELS = 12
_MOST_PAIRS = 5


def conversation_lines(shown: Iterable[Conversation], *, colour: bool) -> Iterator[str]:
    """Yield conversations; what is learned is green on a terminal, and marked with `>` everywhere."""
    for one in shown:
        place = paint(f"{one.source}:{one.line}", "bold", colour)
        learned = "" if one.part == "test" else f"   learned {one.learned:,} of {one.tokens:,} tokens   {one.mask}"
        yield f"{place}   {PARTS[one.part]} row {one.number}{learned}"
        for message in one.messages:
            yield from _message(message, colour)
        yield ""


def _message(message: Message, colour: bool) -> Iterator[str]:
    texts = [*(message.text.rstrip("\n").split("\n") if message.text or not message.calls else ()), *message.calls]
    mark = ">" if message.learned else " "
    style = "green" if message.learned else "dim"
    by = f"   [{message.by}]" if message.by and not message.by.startswith("preset") else ""
    for n, line in enumerate(texts):
        head = message.role if n == 0 else ""
        tail = paint(by, "cyan", colour) if n == len(texts) - 1 else ""
        yield f"{mark} {head:<10} {paint(visible(line), style, colour)}{tail}".rstrip()


def stats_lines(stats: Sequence[PartStats], *, colour: bool) -> Iterator[str]:
    """Yield sums per part, the spread of row lengths and the balance of labels."""
    head = [
        "part",
        "rows",
        "messages",
        "learned",
        "tokens",
        "learned",
        "a row: least",
        "5 %",
        "half",
        "95 %",
        "most",
        "",
    ]
    rows = [[paint(cell, "dim", colour) for cell in head]]
    for one in stats:
        lengths = one.row_tokens
        numbers = (one.rows, one.messages, one.learned_messages, one.tokens, one.learned_tokens)
        quantiles = (lengths.low, lengths.p5, lengths.median, lengths.p95, lengths.high)
        bars = sparkline([float(n) for n in lengths.bins])
        rows.append([PARTS[one.part], *(f"{n:,}" for n in (*numbers, *quantiles)), bars])
    yield from columns(rows, right=frozenset(range(1, 11)))
    if any(one.answers for one in stats):
        yield ""
        yield from _balance(stats, colour)


def _balance(stats: Sequence[PartStats], colour: bool) -> Iterator[str]:
    """One line a label, with its share of each part."""
    counts = {one.part: dict(one.answers) for one in stats if one.answers}
    labels = list(dict.fromkeys(label for one in stats for label, _ in one.answers))
    head = ["answer", *(PARTS[part] for part in counts)]
    rows = [[paint(cell, "dim", colour) for cell in head]]
    totals = {part: sum(found.values()) for part, found in counts.items()}
    for label in labels[:_MOST_LABELS]:
        cells = [_share(found.get(label, 0), totals[part]) for part, found in counts.items()]
        rows.append([visible(label)[:40], *cells])
    yield from columns(rows, right=frozenset(range(1, len(head))))
    if len(labels) > _MOST_LABELS:
        yield f"and {len(labels) - _MOST_LABELS} more answers"


def _share(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / max(1, total):.1f} %)"


def overlap_lines(found: Sequence[Overlap], *, colour: bool) -> Iterator[str]:
    """Yield the table of overlaps, then pairs of lines."""
    if not found:
        yield "nothing to compare: the data has one part, and no suite has items of its own"
        return
    head = ("part", "beside", "rows", *(f"same {level}" for level in LEVELS))
    rows = [[paint(cell, "dim", colour) for cell in head]]
    for one in found:
        cells = [PARTS[one.part], PARTS.get(one.other, f"suite {one.other}"), f"{one.rows:,}"]
        rows.append([*cells, *(f"{one.counts[level]:,}" for level in LEVELS)])
    yield from columns(rows, right=frozenset(range(2, 7)))
    for one in found:
        for level, row, other in one.pairs[:_MOST_PAIRS]:
            yield f"  same {level}   {row}   {other}"
        if len(one.pairs) > _MOST_PAIRS:
            yield f"  ... and {one.total - _MOST_PAIRS:,} more; --json has up to 20 pairs"


def harvest_lines(found: Harvest, path: str) -> Iterator[str]:
    """Yield what was written, and plainly what these rows are."""
    if not found.candidates:
        yield f"{found.run}: all {found.items:,} items passed, nothing to harvest"
        return
    yield f"wrote {path}: {len(found.candidates):,} of {found.items:,} items that {found.run} got wrong"
    if unanswered := sum(candidate.reference is None for candidate in found.candidates):
        yield f"{unanswered:,} of them have no reference: write their answers"
    suites = ", ".join(found.suites)
    yield f"these are held-out items of {suites}: a model trained on them can no longer be tested by it"
    yield "use them as ideas for new rows, or take them out of the suite first; the key `harvest` marks them: no data"
    yield "set accepts it until dataset.metadata names it, and the lints leak, leak_row and eval_overlap tell"


def export_lines(done: Exported) -> Iterator[str]:
    """Yield what was written, what it means, and what the tool must be told."""
    dialect = done.dialect
    for part, rows in done.rows.items():
        more = f" as {done.written[part]:,} (one for each learned message)" if dialect.exploded else ""
        yield f"{PARTS[part]}: {rows:,} rows{more}, {done.learned[part]:,} learned messages"
    yield f"wrote {done.folder}; every row was read back as {dialect.tool} reads it: the masks are the same"
    if dialect.options:
        yield f"tell {dialect.tool}: {dialect.options}"
    if dialect.exploded:
        yield "steps an epoch and the weight of each answer change: scores do not compare one to one with native masks"
