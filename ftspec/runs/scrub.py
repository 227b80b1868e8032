"""Secrets taken out of text before it is kept: known shapes of keys, and random-looking values beside telling names."""

import math
import re
from collections import Counter

from ftspec.spec.secrets import BLOCK, PART

MARK = "[removed]"
_HEADER = re.compile(r"(?i)((?:proxy-)?authorization|x-api-key|api-key|cookie)(\"?\s*[:=]\s*\"?)([^\r\n\"']+)")
# Repeats are bounded, and none stands where every character may begin one: a line of a megabyte costs its length.
_BESIDE = re.compile(
    r"(?i)((?:key|token|secret|passw(?:or)?d|credential)[A-Za-z0-9_.-]{0,100}[\"']?\s{0,20}[:=]\s{0,20}[\"']?)"
    r"([A-Za-z0-9+/_=.-]{12,})"
)
_URL = re.compile(r"([a-z][a-z0-9+.-]{0,30}://)[^/\s:@\"']{1,200}:[^/\s@\"']{1,200}@")  # any password, a short one too
_ENTROPY = 3.0  # bits a character; words and file names stay below, random base64 and hex above


def scrub(text: str) -> str:
    """Return the text with everything that looks like a secret replaced."""
    text = BLOCK.sub(MARK, text)
    text = PART.sub(MARK, text)
    text = _URL.sub(rf"\1{MARK}@", text)
    text = _HEADER.sub(rf"\1\2{MARK}", text)
    return _BESIDE.sub(lambda found: found[1] + (MARK if _random(found[2]) else found[2]), text)


def _random(value: str) -> bool:
    counts = Counter(value)
    total = len(value)
    entropy = -sum(n / total * math.log2(n / total) for n in counts.values())
    digits = any(c.isdigit() for c in value)
    return entropy >= _ENTROPY and (digits or entropy >= 4.0)
