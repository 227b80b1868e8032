"""Committed JSON that merges well: sections of entries, one entry a line, each in RFC 8785 canonical form."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ftspec.spec.errors import DataError

_CONFLICT = b"<<<<<<< "
_MARK = re.compile(rb"<{7}|>{7}|={7}|\|{7}")
_HEAD = re.compile(rb'\{"schema":([0-9]{1,9})')
_SECTION = re.compile(rb'"([a-z_]+)":\[(?:\]\}?)?')
_END = re.compile(rb"\]?\}?")


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
    _refuse_conflict(content, file, rewrite)
    return _of_schema(_decoded(content, file, rewrite), schema, file, rewrite)


def load_united(content: bytes, schema: int, *, file: str, rewrite: str) -> dict[str, Any]:
    """Return the same for a file that git merges by keeping the lines of both sides (`merge=union`, gitattributes(5)).

    Such lines lack a comma here and there, or come twice: entries are read line by line, equal ones once, none is lost.
    """
    _refuse_conflict(content, file, rewrite)
    found = _by_line(content)
    return _of_schema(_decoded(content, file, rewrite) if found is None else found, schema, file, rewrite)


def both_sides(content: bytes) -> bytes:
    """Take out conflict markers, keeping the lines of either side but not those of their common ancestor (diff3)."""
    kept, ancestor = [], False
    for line in content.splitlines(keepends=True):
        mark = _MARK.match(line)
        if mark is None and not ancestor:
            kept.append(line)
        elif mark is not None:
            ancestor = mark[0] == b"|" * 7
    return b"".join(kept)


def _refuse_conflict(content: bytes, file: str, rewrite: str) -> None:
    if content.startswith(_CONFLICT) or b"\n" + _CONFLICT in content:
        raise DataError("merge_conflict", "the file holds a merge conflict", file=file, fix=f"write it anew: {rewrite}")


def _decoded(content: bytes, file: str, rewrite: str) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DataError(
            "broken_file", f"not valid JSON: {error}", file=file, fix=f"write it anew: {rewrite}"
        ) from error


def _by_line(content: bytes) -> dict[str, Any] | None:
    """Read a file as `dump_entries` lays it out, section by section; None where a line is nothing of it."""
    schemas: list[int] = []
    sections: dict[str, dict[bytes, Any]] = {}
    section: dict[bytes, Any] | None = None
    for line in content.splitlines():
        text = line.strip().removesuffix(b",")
        if not text or _END.fullmatch(text):
            continue
        if (head := _HEAD.fullmatch(text)) is not None:
            schemas.append(int(head[1]))
        elif (named := _SECTION.fullmatch(text)) is not None:
            section = sections.setdefault(named[1].decode(), {})
        elif section is None:
            return None
        else:
            try:
                section[text] = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError):
                return None
    found: dict[str, Any] = {name: list(entries.values()) for name, entries in sections.items()}
    return {"schema": max(schemas), **found} if schemas else None


def _of_schema(value: Any, schema: int, file: str, rewrite: str) -> dict[str, Any]:
    found = value.get("schema") if isinstance(value, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise DataError("broken_file", "it has no schema number", file=file, fix=f"write it anew: {rewrite}")
    if found > schema:
        message = f"written by a newer version (schema {found}, this one reads up to {schema})"
        raise DataError("newer_version", message, file=file, fix="install that version of ftspec")
    return value  # type: ignore[no-any-return]
