"""A reproduction for a terminal: what it was made from, each level's verdict, and what is another one now."""

from collections.abc import Iterator
from pathlib import Path

from ftspec.report.problems import visible
from ftspec.report.style import paint
from ftspec.runs.surroundings import Difference
from ftspec.workflows.reproduction.verdicts import Reproduction, Subject, Verdict

_COLOUR = {"reproduced": "green", "differs": "red", "impossible": "red", "inconclusive": "yellow"}


def reproduction_lines(found: Reproduction, *, colour: bool) -> Iterator[str]:
    """Yield the verdicts level by level, run by run, what is another one than then, and the worst verdict last."""
    for note in found.notes:
        yield paint(visible(note), "dim", colour)
    for subject in found.subjects:
        yield from _subject(found, subject, colour)
    for note in _shared(found):
        yield f"note       {visible(note)}"
    for one in dict.fromkeys(one for subject in found.subjects for one in subject.differences):
        yield from _difference(one, colour)
    last = found.verdict
    yield f"verdict    {_word(last, colour)}   level {found.level}, exit code {int(last.exit_code)}"


def _subject(found: Reproduction, subject: Subject, colour: bool) -> Iterator[str]:
    name = f"{found.experiment} / {subject.label}" if subject.label else found.experiment
    yield paint(visible(name), "bold", colour)
    for verdict in subject.verdicts:
        head = f"  {verdict.level:<10} {_word(verdict, colour)}"
        yield head + (f"   {visible(verdict.what[0])}" if verdict.what else "")
        yield from (f"             {visible(text)}" for text in verdict.what[1:])
    if subject.attempt:
        yield f"  attempt    {visible(_short(subject.attempt))}"
    shared = _shared(found)
    yield from (f"  note       {visible(note)}" for note in subject.notes if note not in shared)


def _shared(found: Reproduction) -> list[str]:
    """Notes that every run has are told once."""
    runs = [subject for subject in found.subjects if subject.label]
    if len(runs) < 2:
        return []
    return [note for note in runs[0].notes if all(note in subject.notes for subject in runs)]


def _difference(one: Difference, colour: bool) -> Iterator[str]:
    matters = "may matter" if one.matters else "no matter"
    text = f"{one.name}: {one.recorded} then, {one.now} now; {matters}: {one.why}"
    yield f"{paint('differs', 'dim', colour)}    {visible(text)}"


def _short(path: str) -> str:
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _word(verdict: Verdict, colour: bool) -> str:
    return paint(verdict.shown, _COLOUR[verdict.word], colour)
