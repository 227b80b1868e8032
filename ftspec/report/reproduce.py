"""A reproduction for a terminal: what it was made from, each level's verdict, and what is another one now."""

from collections.abc import Iterator

from ftspec.report.problems import visible
from ftspec.report.style import paint
from ftspec.workflows.verdicts import Reproduction, Subject, Verdict

_COLOUR = {"reproduced": "green", "differs": "red", "impossible": "red", "inconclusive": "yellow"}


def reproduction_lines(found: Reproduction, *, colour: bool) -> Iterator[str]:
    """Yield the verdicts level by level, run by run, and the worst of them last."""
    for note in found.notes:
        yield paint(visible(note), "dim", colour)
    for subject in found.subjects:
        yield from _subject(found, subject, colour)
    last = found.verdict
    yield f"verdict {_word(last, colour)}   level {found.level}, exit code {int(last.exit_code)}"


def _subject(found: Reproduction, subject: Subject, colour: bool) -> Iterator[str]:
    name = f"{found.experiment} / {subject.label}" if subject.label else found.experiment
    yield paint(visible(name), "bold", colour)
    for verdict in subject.verdicts:
        head = f"  {verdict.level:<10} {_word(verdict, colour)}"
        yield head + (f"   {visible(verdict.what[0])}" if verdict.what else "")
        yield from (f"             {visible(text)}" for text in verdict.what[1:])
    if subject.attempt:
        yield f"  attempt    {visible(subject.attempt)}"
    for note in subject.notes:
        yield f"  note       {visible(note)}"
    for one in subject.differences:
        matters = "may matter" if one.matters else "no matter"
        text = f"{one.name} {one.recorded} then, {one.now} now: {matters}, {one.why}"
        yield "  " + paint("now         "[:11], "dim", colour) + visible(text)


def _word(verdict: Verdict, colour: bool) -> str:
    return paint(verdict.shown, _COLOUR[verdict.word], colour)
