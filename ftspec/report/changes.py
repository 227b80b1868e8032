"""A review for a terminal."""

from collections.abc import Iterator
from itertools import groupby

from ftspec.report import words
from ftspec.report.markdown.escape import scrubbed, shorten, visible
from ftspec.report.style import columns, paint
from ftspec.workflows.changes import Changes, Run

_STYLE = {
    "new": "green",
    "removed": "red",
    "retrain": "yellow",
    "re-score": "cyan",
    "metadata": "dim",
    "renamed": "dim",
}


def change_lines(changes: Changes, *, colour: bool) -> Iterator[str]:
    """Yield the review: headline, runs, cost, scores, data, fields, gates."""
    yield paint(f"{changes.base.name} → {changes.head.name}", "dim", colour) + f"   {words.headline(changes)}"
    if not changes.quiet:
        yield from _runs(changes, colour)
        yield _line("cost", words.cost(changes), colour)
        yield from _scores(changes, colour)
        yield from _data(changes, colour)
        yield from _fields(changes, colour)
    yield from _warnings(changes, colour)
    for gate in changes.gates:
        word = paint("passed", "green", colour) if gate.passed else paint("FAILED", "red", colour)
        yield _line("gate", f"{gate.name} {word}: {_safe(gate.detail)}", colour)


def _safe(text: str, most: int = 400) -> str:
    """Escape what could drive a terminal, or a CI runner that obeys its log."""
    return shorten(visible(text), most)


def _line(name: str, text: str, colour: bool) -> str:
    return f"{paint(name.ljust(7), 'dim', colour)} {text}"


def _runs(changes: Changes, colour: bool) -> Iterator[str]:
    def key(run: Run) -> tuple[object, ...]:
        return run.experiment, run.kind, run.reasons, run.rows_old, run.rows_new

    rows = []
    for _, group in groupby(sorted(changes.runs, key=lambda run: run.experiment), key):
        runs = list(group)
        one = runs[0]
        labels = words.listed([_safe(run.label, 60) for run in runs])
        renamed = f" (was {_safe(one.old_name or '')})" if one.old_name else ""
        learned = words.change(one.learned_old, one.learned_new)
        rows.append(
            [
                f"  {paint(one.kind, _STYLE[one.kind], colour)}",
                f"{_safe(one.experiment)} x{len(runs)}",
                f"{words.why(one)}{renamed}",
                f"{words.change(one.rows_old, one.rows_new)} rows",
                f"{learned} tokens learned",
                labels,
            ]
        )
    yield from columns(rows[:200])
    if len(rows) > 200:
        yield f"  and {len(rows) - 200:,} more lines: --json shows all"


def _scores(changes: Changes, colour: bool) -> Iterator[str]:
    for suite in changes.suites[:50]:
        yield _line(
            "scores", f"{_safe(suite.suite)} of {_safe(suite.experiment)} {_safe(words.comparable(suite))}", colour
        )
    if not changes.suites:
        yield _line("scores", "every suite is unchanged: old and new scores compare", colour)
    for known in changes.known[:50]:
        old = "not yet" if known.old is None else f"{known.old:.3f}"
        new = "not yet" if known.new is None else f"{known.new:.3f}"
        name = f"{_safe(known.experiment)}/{_safe(known.run)} {_safe(known.suite)} {_safe(known.metric)}"
        if known.comparable:
            yield _line("known", f"{name}: {old} → {new}", colour)
        else:
            which = f"{old} by the old suite" if known.old is not None else f"{new} by the new suite"
            yield _line("known", f"{name}: {which}, not comparable", colour)


def _data(changes: Changes, colour: bool) -> Iterator[str]:
    for data in changes.data[:50]:
        old, new = data.old, data.new
        learned = ""
        if new is not None:
            before = old or new
            learned = f"   messages learned {words.change(before.learned_messages, new.learned_messages)}"
            learned += f"   tokens learned {words.change(before.learned_tokens, new.learned_tokens)}"
        yield _line(
            "data",
            f"{_safe(data.experiment)} ({words.plural(len(data.runs), 'run')}): {words.rows(data)}{learned}",
            colour,
        )
        for sample in data.samples:
            for sign, text, style in (("-", sample.old, "red"), ("+", sample.new, "green")):
                if text is not None:
                    shown = paint(f"{sign} {_safe(scrubbed(text), 200)}", style, colour)
                    yield f"          {sample.kind} {_safe(sample.where)}  {shown}"
    for found in changes.overlaps:
        if found.introduced:
            first = ", ".join(_safe(place) for place in found.places[:3])
            text = f"{found.introduced:,} train rows newly repeat items of {_safe(found.suite)}"
            text += f" ({words.overlap(found)}): {first}"
            yield _line("overlap", paint(text, "red", colour), colour)


def _fields(changes: Changes, colour: bool) -> Iterator[str]:
    for group in changes.fields[:50]:
        yield _line("spec", f"{_safe(group.experiment)}: the same in {words.plural(len(group.runs), 'run')}", colour)
        for field in group.fields[:50]:
            old = "nothing" if field.old is None else _safe(scrubbed(field.old), 120)
            new = "nothing" if field.new is None else _safe(scrubbed(field.new), 120)
            where = paint(_safe(field.where), "dim", colour)
            values = f"{paint(old, 'red', colour)} → {paint(new, 'green', colour)}"
            yield f"          {_safe(field.path)}: {values}   {where}"


def _warnings(changes: Changes, colour: bool) -> Iterator[str]:
    for notice in changes.notices:
        yield _line("note", _safe(notice), colour)
    for trouble in changes.troubles:
        if trouble.severity == "error":
            words_ = f"{_safe(trouble.experiment)} of {trouble.side}: {_safe(trouble.place)} {_safe(trouble.message)}"
            yield _line("problem", paint(f"{words_} [{_safe(trouble.code)}]", "red", colour), colour)
