"""Errors and warnings as lines: `file:line:col: path: what (got ...); what to do [code]`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ftspec.report.style import paint
from ftspec.spec.errors import Problem

_COLOUR = {"error": "red", "warning": "yellow", "hint": "cyan", "info": "cyan"}


def problem_lines(problems: Iterable[Problem], *, colour: bool) -> Iterator[str]:
    """Yield one line a problem, with control characters made visible: messages quote what users wrote.

    Advice of several lines is YAML to copy: it follows as an indented block. The same mistake in many lines of a file
    is told in full three times, then as a list of lines.
    """
    for problem, more in _gathered(problems):
        word = paint(f"{problem.severity}:", _COLOUR.get(problem.severity, "red"), colour)
        site = f"{paint(visible(problem.site), 'bold', colour)}: " if problem.site else ""
        path = f"{visible(problem.path)}: " if problem.path else ""
        first, *block = problem.fix.split("\n")
        fix = f"; {paint(visible(first), 'cyan', colour)}" if first else ""
        code = paint(f"[{problem.code}]", "dim", colour)
        if more:
            yield f"{word} {paint(visible(problem.file), 'bold', colour)}: the same in {_lines(more)} {code}"
            continue
        yield f"{word} {site}{path}{visible(problem.told)}{fix} {code}"
        for line in block:
            yield f"    {visible(line)}"


def warnings_counted(problems: Iterable[Problem]) -> str:
    """Return `3 warnings (few_rows, leak 2)`, or nothing where there is none."""
    codes = Counter(problem.code for problem in problems if problem.severity == "warning")
    if not codes:
        return ""
    kinds = ", ".join(code if count == 1 else f"{code} {count}" for code, count in sorted(codes.items()))
    return f"{codes.total()} warning{'s' if codes.total() > 1 else ''} ({kinds})"


_FULL = 3


def _gathered(problems: Iterable[Problem]) -> Iterator[tuple[Problem, tuple[int, ...]]]:
    """Yield each problem alone, or the fourth of many alike with the lines of all from there on."""
    found = [(problem, replace(problem, line=0, column=0)) for problem in problems]
    lines: dict[Problem, list[int]] = {}
    for problem, kind in found:
        lines.setdefault(kind, []).append(problem.line)
    told: Counter[Problem] = Counter()
    for problem, kind in found:
        told[kind] += 1
        if told[kind] <= _FULL or len(lines[kind]) <= _FULL + 1 or not problem.line:
            yield problem, ()
        elif told[kind] == _FULL + 1:
            yield problem, tuple(lines[kind][_FULL:])


def _lines(lines: Iterable[int]) -> str:
    """Return `lines 4 to 17, 21 and 30 more`."""
    spans: list[list[int]] = []
    for line in sorted(set(lines)):
        if spans and line == spans[-1][1] + 1:
            spans[-1][1] = line
        else:
            spans.append([line, line])
    shown = [f"{first}" if first == last else f"{first} to {last}" for first, last in spans[:20]]
    rest = sum(last - first + 1 for first, last in spans[20:])
    return "lines " + ", ".join(shown) + (f" and {rest} more" if rest else "")


def visible(text: str) -> str:
    """Escape control and bidi characters, so that quoted input cannot drive the terminal; newlines become spaces."""
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if character == "\n":
        return " "
    if character == "\t":
        return "\\t"
    if (
        code < 32
        or 127 <= code < 160
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
        or 0xD800 <= code <= 0xDFFF
    ):
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return character
