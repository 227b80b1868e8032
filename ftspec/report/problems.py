"""Errors and warnings as lines: `file:line:col: path: what (got ...); what to do [code]`."""

from collections.abc import Iterable, Iterator

from ftspec.report.style import paint
from ftspec.spec.errors import Problem

_COLOUR = {"error": "red", "warning": "yellow", "hint": "cyan", "info": "cyan"}


def problem_lines(problems: Iterable[Problem], *, colour: bool) -> Iterator[str]:
    """Yield one line a problem, with control characters made visible: messages quote what users wrote.

    Advice of several lines is YAML to copy: it follows as an indented block.
    """
    for problem in problems:
        word = paint(f"{problem.severity}:", _COLOUR.get(problem.severity, "red"), colour)
        site = f"{paint(visible(problem.site), 'bold', colour)}: " if problem.site else ""
        path = f"{visible(problem.path)}: " if problem.path else ""
        first, *block = problem.fix.split("\n")
        fix = f"; {paint(visible(first), 'cyan', colour)}" if first else ""
        yield f"{word} {site}{path}{visible(problem.message)}{fix} {paint(f'[{problem.code}]', 'dim', colour)}"
        for line in block:
            yield f"    {visible(line)}"


def visible(text: str) -> str:
    """Escape control and bidi characters, so that quoted input cannot drive the terminal; newlines become spaces."""
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    code = ord(character)
    if character == "\n":
        return " "
    if (
        code < 32
        or 127 <= code < 160
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
        or 0xD800 <= code <= 0xDFFF
    ):
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return character
