"""Text of unknown origin as inert Markdown: no control or bidi characters, no mentions, links, tables or HTML.

GitHub Flavored Markdown 0.29 (code spans, tables, fenced code blocks): https://github.github.com/gfm/
"""

import re
import unicodedata

from ftspec.runs.scrub import MARK, scrub

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_RUNS = re.compile("`+")


def visible(text: str) -> str:
    """Write characters that are not seen, or that turn text around, as escapes; newlines too.

    `##[` is escaped since runners of CI obey it anywhere in a log (`##[add-mask]`).
    """
    if not text.isprintable():
        text = "".join(_shown(character) for character in text)
    return text.replace("##[", "\\x23\\x23[")


def _shown(character: str) -> str:
    if character == "\n":
        return "\\n"
    if character.isascii() and character.isprintable():
        return character
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shorten(text: str, most: int) -> str:
    """Cut a text before it is rendered."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def code(text: str, most: int = 100) -> str:
    """Return an inline code span, in which nothing is a mention, a reference, a link or HTML."""
    inner = shorten(visible(text[: most + 1]), most).replace("|", "\\|")
    if not inner.strip():
        return "(empty)"
    longest = max(map(len, _RUNS.findall(inner)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if inner[0] == "`" or inner[-1] == "`" or longest else ""
    return f"{fence}{pad}{inner}{pad}{fence}"


def fenced(lines: list[str], language: str = "", most: int = 400) -> list[str]:
    """Return a fenced block whose fence is longer than any run of backticks inside."""
    inner = [shorten(visible(line[: most + 1]), most) for line in lines]
    longest = max((len(run) for line in inner for run in _RUNS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}{language}", *inner, fence]


# What is shown to everybody is taken out sooner than what is kept: any value beside such a word, and addresses.
_TELLING = re.compile(
    r"(?i:bearer|password|passwd|api[_-]?key|secret|token)\s*[:=]\s*\S+|(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.]+"
)


def scrubbed(text: str, most: int = 2000) -> str:
    """Return the beginning of a text without what looks like a key, a token or an address."""
    return _TELLING.sub(MARK, scrub(shorten(text, most)))
