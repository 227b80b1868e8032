"""Committed JSON that merges well: sections of entries, one entry a line, each in RFC 8785 canonical form."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ftspec.spec.errors import DataError

_CONFLICT = b"<<<<<<< "


def dump_entries(schema: int, sections: Mapping[str, Sequence[Any]]) -> bytes:
    """Return `{"schema": N, section: [entries]}` with one line per entry. Raises ValueError for NaN and the like."""
    import rfc8785

    parts = [f'{{"schema":{schema}']
    for name, entries in sections.items():
        try:
            lines = [rfc8785.dumps(entry).decode() for entry in entries]
        except rfc8785.CanonicalizationError as error:
            raise ValueError(f"{name}: cannot be written as canonical JSON: {error}") from error
        parts.append(f'"{name}":[\n' + ",\n".join(lines) + "\n]" if lines else f'"{name}":[]')
    return (",\n".join(parts) + "}\n").encode()


def load_entries(content: bytes, schema: int, *, file: str, rewrite: str) -> dict[str, Any]:
    """Return the decoded sections. `rewrite` is the command that writes the file anew.

    Raises DataError: a merge conflict, no JSON, another shape, or a schema that only a newer version reads.
    """
    if content.startswith(_CONFLICT) or b"\n" + _CONFLICT in content:
        raise DataError("merge_conflict", "the file holds a merge conflict", file=file, fix=f"write it anew: {rewrite}")
    try:
        value = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DataError(
            "broken_file", f"not valid JSON: {error}", file=file, fix=f"write it anew: {rewrite}"
        ) from error
    found = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise DataError("broken_file", "it has no schema number", file=file, fix=f"write it anew: {rewrite}")
    if found > schema:
        message = f"written by a newer version (schema {found}, this one reads up to {schema})"
        raise DataError("newer_version", message, file=file, fix="install that version of ftspec")
    return value  # type: ignore[no-any-return]
