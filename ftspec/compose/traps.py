"""Plain YAML scalars that do not mean what they look like: `yes`, `010`, `1:30`, `.nan`, a value that ends at a comma.

YAML 1.1 (https://yaml.org/type/) reads them as truth values, octal and base-60 numbers. What is read stays exact, but
nobody meant it, so it is an error with a place.
"""

import re

import yaml

MAX_INT = 2**53 - 1  # the largest that every reader of JSON keeps exact (RFC 7493)
NULL = frozenset({"", "~", "null", "Null", "NULL"})

_BOOL = frozenset({"true", "True", "TRUE", "false", "False", "FALSE"})
_TRUTH = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_ODD_INT = re.compile(r"[-+]?(0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*(:[0-5]?[0-9])+)")
_ODD_FLOAT = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
# OmegaConf's float (it reads 1e-5, which plain YAML 1.1 calls a text).
_FLOAT = re.compile(
    r"[-+]?[0-9]+(_[0-9]+)*\.[0-9_]*([eE][-+]?[0-9]+)?"
    r"|[-+]?[0-9]+(_[0-9]+)*([eE][-+]?[0-9]+)"
    r"|\.[0-9]+(_[0-9]+)*([eE][-+][0-9]+)?"
)


def trap(text: str, flow: bool) -> tuple[str, str] | None:
    """Return (what is wrong, what to do) of a plain scalar; `flow` says that it stands inside { } or [ ]."""
    if _TRUTH.fullmatch(text):
        meant = "true" if yaml.safe_load(text) else "false"
        return f"{text} is read as {meant}", f"write {meant}, or '{text}' for the text"
    if _is_odd(text):
        return f"{text} is read as {_read(text)}", f"write the number in digits, or '{text}' for the text"
    if _is_number(text) and not _fits(text):
        return f"the number {text[:40]} is too large", ""
    if flow and text.count("(") > text.count(")"):
        fix = 'quote the whole of it inside { } and [ ]: "range(1, 4)"'
        return f"the value ends at the comma: {text}", fix
    return None


def is_text(text: str) -> bool:
    """Tell whether a plain scalar is a text for OmegaConf, as the key of a mapping must be."""
    return not (text in NULL or text in _BOOL or _TRUTH.fullmatch(text) or _is_number(text) or _is_odd(text))


def _is_number(text: str) -> bool:
    return bool(_INT.fullmatch(text) or _FLOAT.fullmatch(text))


def _is_odd(text: str) -> bool:
    return bool(_ODD_INT.fullmatch(text) or _ODD_FLOAT.fullmatch(text))


def _read(text: str) -> str:
    try:
        return str(yaml.safe_load(text))
    except (ValueError, yaml.YAMLError):
        return "no number"


def _fits(text: str) -> bool:
    digits = text.replace("_", "")
    if _INT.fullmatch(text):
        return len(digits) < 18 and abs(int(digits)) <= MAX_INT
    return abs(float(digits)) != float("inf")
