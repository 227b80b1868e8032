"""Searching with a user's pattern: compiled once, one second at most (the stdlib `re` knows no time-out)."""

from functools import lru_cache
from typing import Any

TIMEOUT = 1.0


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:
    """Return the compiled pattern. Raises ValueError where it is no regular expression."""
    import regex

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise ValueError(f"not a regular expression: {error}") from error


def search(pattern: str, given: str) -> Any:
    """Return the first match or None. Raises TimeoutError after one second."""
    return compiled(pattern).search(given, timeout=TIMEOUT)
