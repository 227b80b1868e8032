"""A comparison of two arms for a terminal: one line a suite, and the items that they decide differently."""

from collections.abc import Iterator

from ftspec.report.problems import visible
from ftspec.report.style import paint, points
from ftspec.workflows.comparison import Compared, OnSuite
from ftspec.workflows.flips import Flip

VERDICTS = {"better": "green", "worse": "red", "invalid": "red", "not comparable": "yellow"}


def comparison_lines(found: Compared, *, show_flips: bool, colour: bool) -> Iterator[str]:
    """Yield the lines of every suite."""
    for one in found.suites:
        yield from _suite(found, one, colour)
        if show_flips:
            for flip in one.flips:
                yield from _flip(flip, found, colour)
    for name in found.alone:
        yield paint(f"{visible(name)}: only one of the two was scored on it", "dim", colour)
    if not found.suites:
        yield "nothing to compare: no suite has scores of both"


def _suite(found: Compared, one: OnSuite, colour: bool) -> Iterator[str]:
    comparison = one.comparison
    lies = {name: f" (reused: {visible(other)})" for name, other in found.lies}
    names = " -> ".join(f"{visible(name)}{lies.get(name, '')}" for name in (found.baseline, found.arm))
    word = paint(comparison.verdict, VERDICTS.get(comparison.verdict, "bold"), colour)
    parts = [paint(visible(one.suite), "bold", colour), names, visible(comparison.metric)]
    if comparison.difference is not None and comparison.low is not None and comparison.high is not None:
        parts.append(f"{comparison.baseline_value:.2f} -> {comparison.value:.2f}")
        parts.append(points(comparison.difference, comparison.low, comparison.high))
    yield "   ".join([*parts, word])
    yield f"  {paint('why', 'dim', colour)}    {comparison.reason}; {comparison.n} items, {comparison.method}"
    if comparison.missing:
        yield f"  {paint('left', 'dim', colour)}   {len(comparison.missing)} items lack an answer of one of the two"
    yield f"  {paint('flips', 'dim', colour)}  fixed {len(comparison.fixed)}, broke {len(comparison.broke)}"


def _flip(flip: Flip, found: Compared, colour: bool) -> Iterator[str]:
    sign = paint("+ fixed", "green", colour) if flip.kind == "fixed" else paint("- broke", "red", colour)
    yield f"  {sign}  {cut(flip.question, 96)}"
    wanted = f"expected {_quoted(flip.reference)}   " if flip.reference else ""
    said = f"{visible(found.baseline)} {_quoted(flip.before)}   {visible(found.arm)} {_quoted(flip.after)}"
    yield f"           {wanted}{said}"


def _quoted(text: str) -> str:
    return f'"{cut(text)}"'


def cut(text: str, width: int = 48) -> str:
    """Return the beginning of a text on one line, control characters made visible."""
    shown = visible(text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"
