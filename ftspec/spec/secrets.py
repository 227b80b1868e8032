"""What a secret looks like: the published formats of keys, for everything that looks for them or takes them out.

A key is told in two lengths: `WHOLE` for what says that a key is there, `PART` for what is kept or shown, where the
beginning of one is too much already. Formats: https://docs.github.com/en/code-security/secret-scanning and the key
pages of OpenAI, Anthropic, AWS, GitLab, Slack, Google and Hugging Face; JSON Web Tokens are RFC 7519.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple


class KeyFormat(NamedTuple):
    """Keys of one kind. `literal` stands in each of them (a search for it is fast), `head` is how they begin, a regular
    expression; then come at least `whole` characters out of `letters`, or `part` of one that was cut.
    """

    literal: str
    head: str
    letters: str
    whole: int
    part: int

    def pattern(self, length: int) -> str:
        """Return the regular expression of a key of that length or longer."""
        return rf"(?<![A-Za-z0-9]){self.head}[{self.letters}]{{{length},}}"


KEYS = (
    KeyFormat("sk-", r"sk-(?:ant-|proj-|svcacct-)?", "A-Za-z0-9_-", 20, 8),
    KeyFormat("AKIA", "AKIA", "0-9A-Z", 16, 16),
    KeyFormat("ASIA", "ASIA", "0-9A-Z", 16, 16),
    *(KeyFormat(f"gh{kind}_", f"gh{kind}_", "A-Za-z0-9", 36, 20) for kind in "pousr"),
    KeyFormat("github_pat_", "github_pat_", "A-Za-z0-9_", 40, 20),
    KeyFormat("glpat-", "glpat-", "A-Za-z0-9_-", 20, 16),
    KeyFormat("xox", "xox[abprs]-", "A-Za-z0-9-", 20, 10),
    KeyFormat("AIza", "AIza", "0-9A-Za-z_-", 35, 30),
    KeyFormat("hf_", "hf_", "A-Za-z0-9", 30, 16),
    KeyFormat(".eyJ", r"(?<![_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.", "A-Za-z0-9_-", 10, 0),
)
BLOCK_LITERAL = "PRIVATE KEY"
BLOCK_BEGIN = r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
URL_PASSWORD = re.compile(r"\b([a-z][a-z0-9+.-]{0,30}://)[^\s/:@\"'\\]{1,64}:[^\s/:@\"'\\]{6,64}@[\w.-]+")
_JWT = r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]{10,}"
PART = re.compile("|".join([*(key.pattern(key.part) for key in KEYS), _JWT]))
BLOCK = re.compile(rf"{BLOCK_BEGIN}.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)

_WHOLE = tuple((key.literal, re.compile(key.pattern(key.whole))) for key in KEYS)
_BEGIN = re.compile(BLOCK_BEGIN)
_DISTINCT = 8  # a placeholder such as sk-xxxxxxxxxxxxxxxxxxxxxxxx has few distinct characters
_LITERALS = tuple(literal.encode() for literal in (*(key.literal for key in KEYS), BLOCK_LITERAL))


def may_hold_secrets(data: bytes) -> bool:
    """Tell, fast, whether `secrets` may find something in UTF-8 text."""
    return any(literal in data for literal in _LITERALS) or (b"://" in data and b"@" in data)


def secrets(text: str) -> Iterator[str]:
    """Yield everything in a text that looks like a key, token or password; placeholders do not."""
    for literal, pattern in _WHOLE:
        if literal in text:
            yield from (match[0] for match in pattern.finditer(text) if len(set(match[0])) >= _DISTINCT)
    if BLOCK_LITERAL in text:
        yield from (match[0] for match in _BEGIN.finditer(text))
    if "://" in text and "@" in text:
        yield from (match[0] for match in URL_PASSWORD.finditer(text))
