"""A review for a terminal."""

from collections.abc import Iterator
from itertools import groupby

from ftspec.report import words
from ftspec.report.markdown.escape import scrubbed, shorten, visible
from ftspec.report.style import columns, paint
from ftspec.workflows.review.changes import Changes, Run

_MOST_ERRORS = 10
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
    sides = f"from {_safe(changes.base.name)} to {_safe(changes.head.name)}"
    yield f"{paint(sides, 'dim', colour)}   {words.headline(changes, _safe)}"
    if not changes.quiet:
        yield from _runs(changes, colour)
        yield _line("cost", words.cost(changes, _safe), colour)
        yield from _scores(changes, colour)
        yield from _data(changes, colour)
        yield from _fields(changes, colour)
    yield from _warnings(changes, colour)
    for gate in changes.gates:
        word = paint("passed", "green", colour) if gate.passed else paint("FAILED", "red", colour)
        yield _line("gate", f"{_safe(gate.name)} {word}: {_safe(gate.detail)}", colour)


def _safe(text: str, most: int = 400) -> str:
    """Escape what could drive a terminal, or a CI runner that obeys its log."""
    return shorten(visible(text), most)


def _line(name: str, text: str, colour: bool) -> str:
    return f"{paint(name.ljust(7), 'dim', colour)} {text}"


def _runs(changes: Changes, colour: bool) -> Iterator[str]:
    def key(run: Run) -> tuple[object, ...]:
        done = run.same_training is None, run.trained
        return run.experiment, run.kind, run.reasons, done, run.rows_old, run.rows_new

    rows = []
    paths = {(g.experiment, run): [field.path for field in g.fields] for g in changes.fields for run in g.runs}
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
                f"{words.why(one, _safe, paths.get((one.experiment, one.label), ()))}{renamed}",
                f"{words.change(one.rows_old, one.rows_new)} rows",
                f"{learned} tokens learned",
                labels,
            ]
        )
    yield from columns(rows[:200])
    if len(rows) > 200:
        yield f"  and {len(rows) - 200:,} more lines: --json shows all"


def _scores(changes: Changes, colour: bool) -> Iterator[str]:
    for sentence in list(words.scores(changes, _safe))[:50]:
        yield _line("scores", sentence, colour)
    told = [known for known in changes.known if not known.comparable or known.old != known.new]
    kinds = {(run.experiment, run.label): run.kind for run in changes.runs}
    for known in told[:50]:
        missing = words.score_missing(known, kinds.get((known.experiment, known.run)))
        old, new = (missing if value is None else f"{value:.3f}" for value in (known.old, known.new))
        name = f"{_safe(known.experiment)}/{_safe(known.run)} {_safe(known.suite)} {_safe(known.metric)}"
        yield _line("known", f"{name}: {old} → {new}", colour)
    if len(changes.known) > len(told):
        same = words.plural(len(changes.known) - len(told), "score")
        yield _line("known", f"{same} on file stay as they are", colour)


def _data(changes: Changes, colour: bool) -> Iterator[str]:
    for data in changes.data[:50]:
        runs = words.plural(len(data.runs), "run")
        text = f"{_safe(data.experiment)} ({runs}): {words.rows(data, _safe)}; {words.learned(data, _safe)}"
        yield _line("data", text, colour)
        if places := words.places(data, _safe):
            yield _line("", f"first: {places}", colour)
        for sample in data.samples:
            for sign, learned, style in (("-", sample.old, "red"), ("+", sample.new, "green")):
                if learned is not None:
                    shown = paint(f"{sign} {_safe(scrubbed(learned), 200)}", style, colour)
                    yield f"          {sample.kind} {_safe(sample.where)}  {shown}"
    for found in changes.overlaps:
        if found.introduced:
            first = ", ".join(_safe(place) for place in found.places[:3]) or "unknown"
            text = f"{words.plural(found.introduced, 'train row')} newly repeat items of {_safe(found.suite)}"
            text += f" ({words.overlap(found)}); first lines of this branch: {first}"
            yield _line("overlap", paint(text, "red", colour), colour)


def _fields(changes: Changes, colour: bool) -> Iterator[str]:
    for group in changes.fields[:50]:
        yield _line("spec", f"{_safe(group.experiment)}: the same in {words.plural(len(group.runs), 'run')}", colour)
        for field in group.fields[:50]:
            old = "nothing" if field.old is None else _safe(scrubbed(field.old), 120)
            new = "nothing" if field.new is None else _safe(scrubbed(field.new), 120)
            where = paint(_safe(field.where), "dim", colour)
            values = f"{paint(old, 'red', colour)} → {paint(new, 'green', colour)}"
            yield f"          · {_safe(field.path)}: {values}   {where}"


def _warnings(changes: Changes, colour: bool) -> Iterator[str]:
    for notice in (*changes.beside, *changes.notices):
        yield _line("note", _safe(notice), colour)
    errors = [trouble for trouble in changes.troubles if trouble.severity == "error"]
    for trouble in errors[:_MOST_ERRORS]:
        words_ = f"{_safe(trouble.experiment)} of {trouble.side}: {_safe(trouble.place)} {_safe(trouble.message)}"
        yield _line("problem", paint(f"{words_} [{_safe(trouble.code)}]", "red", colour), colour)
    if len(errors) > _MOST_ERRORS:
        yield _line("", f"and {len(errors) - _MOST_ERRORS:,} more: ftspec validate names them", colour)
    for experiment in changes.experiments:
        if experiment.touched:
            lines = words.touched(experiment, _safe)
            yield _line("", f"lines of {_safe(experiment.name)} that this change touches: {lines}", colour)
