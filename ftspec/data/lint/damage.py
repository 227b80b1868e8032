"""Text that was damaged on its way: wrongly decoded characters, control characters, keys that overwrite each other."""

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

from ftspec.data.chat import text_of
from ftspec.data.lint.definition import Hit, Lint, Subject, also, quoted, rowwise
from ftspec.data.lint.reading import Row
from ftspec.spec.errors import Problem

# UTF-8 read as Windows-1252: a lead byte's letter and a continuation byte's sign. U+FFFD: bytes nobody could decode.
_BROKEN = re.compile(
    "\ufffd"
    "|[\u00c3\u00c2][\u0080-\u00bf\u0152\u0153\u0160\u0161\u017d\u017e\u0178\u2013\u2014\u2018-\u201e\u2020-\u2022\u2026\u2030\u2039\u203a\u20ac\u2122]"
    "|\u00e2(?:\u20ac|\u0080)[\u0080-\u00bf\u0153\u02dc\u2122\u201c\u201d\u00a6\u00a2]"
    "|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
# What a canonical line must hold for any of these: escapes of control characters, DEL, or the bytes of those letters.
_SIGNS = (b"\\u00", b"\\b", b"\\f", b"\x7f", b"\xef\xbf\xbd", b"\xc3\x83", b"\xc3\x82", b"\xc3\xa2")


def _broken(row: Row) -> Hit | None:
    if not any(sign in row.data for sign in _SIGNS):
        return None
    for n, message in enumerate(row.messages):
        text = text_of(message.content)
        if found := _BROKEN.search(text):
            return Hit(f"messages[{n}].content", f"{ascii(found.group())[1:-1]} in {quoted(text, found.start(), 40)}")
    return None


BROKEN_TEXT = Lint(
    code="broken_text",
    level="warning",
    practice="A model reproduces what it sees: damaged apostrophes and accents are learned like any other text, and "
    "cost more tokens.",
    formula="a text holds U+FFFD, the two or three characters that UTF-8 makes when read as Windows-1252, or a control "
    "character other than tab, newline and return (half a surrogate pair is an error)",
    source="Unicode 16, section 3.9, U+FFFD substitution; WHATWG Encoding, windows-1252",
    check=rowwise(_broken, "hold damaged text"),
    fix="export again as UTF-8, or repair the text at its source",
    rates=(0.0, 0.0, 0.0),
)


class _TwiceError(ValueError):
    """A key that an object names twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return made


class _DupKeys:
    """Reads the JSON lines of the sources again: rendered rows no longer show it."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        self._lint, self._subject = lint, subject

    def see(self, row: Row) -> None:
        """Rendered rows are not looked at."""

    def problems(self) -> Iterator[Problem]:
        """Yield one finding for each file that has such rows."""
        for source in self._subject.prepared.sources:
            if not source.path.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
                continue
            path = self._subject.root / source.path
            if not path.is_file():  # a fetched source lies elsewhere
                continue
            opener: Any = gzip.open if source.path.endswith(".gz") else open
            found: list[tuple[int, str]] = []
            with opener(path, "rb") as stream:
                for number, line in enumerate(stream, 1):
                    try:
                        json.loads(line.removeprefix(b"\xef\xbb\xbf") or b"null", object_pairs_hook=_once)
                    except _TwiceError as error:
                        found.append((number, str(error)))
                    except ValueError:
                        continue
            if found:
                rows = [(source.path, number, Hit("", "")) for number, _ in found]
                message = f"{len(found):,} rows name a key twice, first: {found[0][1]!r}{also(rows[1:], source.path)}"
                yield self._lint.problem(message, "", source.path, found[0][0])


DUP_KEY = Lint(
    code="dup_key",
    level="ignore",
    practice="Every JSON parser keeps the last of two equal keys without a word, so half of what was written is not "
    "what is trained.",
    formula="an object of a JSON-lines source names a key twice (reads the sources a second time)",
    source="RFC 8259, section 4: names within an object should be unique",
    check=_DupKeys,
    fix="remove one of them",
    rates=(0.0, 0.0, 0.0),
)
