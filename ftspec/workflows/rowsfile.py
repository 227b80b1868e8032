"""`experiments/NAME.rows`: keys, masks and token counts of rows whose source lies outside git, small enough to commit.

One JSON header line (schema, counter, sections of role, data digest, rows), then per row: 8 bytes row key, 8 bytes
prompt key, message count, one byte of weight per message, tokens and learned tokens; numbers as LEB128 varints. No text
is in it, but the key of a short text can be guessed: leave the file out where that matters, the row diff is lost then.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ftspec.compose import Project
from ftspec.spec.errors import DataError, UsageError
from ftspec.storage import write_atomic
from ftspec.workflows.sides import DataSide, RowFact

SCHEMA = 1
MAX_ROWS = 50_000
KEY = 8


def rows_path(project: Project, name: str) -> Path:
    """Where an experiment's rows lie."""
    return project.experiments / f"{name}.rows"


def dump_rows(sets: Sequence[DataSide]) -> bytes | None:
    """Return the file of some data sets; None beyond 50,000 rows."""
    sections, body = [], bytearray()
    for data in {data.digest: data for data in sets}.values():
        rows = data.rows or ()
        for role in ("train", "valid", "test"):
            mine = [row for row in rows if row.part == role]
            if mine:
                sections.append({"data": data.digest, "role": role, "rows": len(mine)})
                for row in mine:
                    body += bytes.fromhex(row.row) + bytes.fromhex(row.prompt)
                    body += _varint(len(row.weights)) + row.weights.encode("ascii")
                    body += _varint(row.tokens) + _varint(row.learned)
    if sum(section["rows"] for section in sections) > MAX_ROWS:  # type: ignore[misc]
        return None
    head = {"schema": SCHEMA, "counter": sets[0].counter if sets else "", "sections": sections}
    return json.dumps(head, sort_keys=True, separators=(",", ":")).encode() + b"\n" + bytes(body)


def load_rows(content: bytes, *, file: str = "rows") -> dict[str, tuple[RowFact, ...]]:
    """Return the rows of each data digest. Raises DataError for anything else than what `dump_rows` wrote."""
    head, _, body = content.partition(b"\n")
    try:
        sections = json.loads(head)
        if sections["schema"] != SCHEMA:
            raise DataError("newer_version", f"schema {sections['schema']}, this ftspec reads {SCHEMA}", file=file)
        found: dict[str, list[RowFact]] = {}
        at = 0
        for section in sections["sections"]:
            rows = found.setdefault(str(section["data"]), [])
            for number in range(int(section["rows"])):
                row, at = _row(body, at, str(section["role"]), number)
                rows.append(row)
        if at != len(body):
            raise ValueError("bytes are left over")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise DataError("broken_file", f"not a rows file: {error}", file=file, fix="write it anew") from error
    return {digest: tuple(rows) for digest, rows in found.items()}


def _row(body: bytes, at: int, role: str, number: int) -> tuple[RowFact, int]:
    if len(body) < at + 2 * KEY:
        raise ValueError("it ends inside a row")
    row, prompt = body[at : at + KEY].hex(), body[at + KEY : at + 2 * KEY].hex()
    size, at = _read_varint(body, at + 2 * KEY)
    weights = body[at : at + size].decode("ascii")
    if len(weights) != size or set(weights) - {"0", "1"}:
        raise ValueError("a weight is neither 0 nor 1")
    tokens, at = _read_varint(body, at + size)
    learned, at = _read_varint(body, at)
    return RowFact(role, row, prompt, weights, i=number, learned=learned, tokens=tokens), at


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
        if shift > 35:
            raise ValueError("a number is too long")


def outside_git(project: Project, paths: Sequence[str]) -> list[str]:
    """Return those of some paths that git will not hold as they are: ignored, kept by git LFS, URLs.

    None of them where there is no repository: nothing is reviewed there.
    """
    from ftspec.compose.repository import Repository

    try:
        held = Repository.find(project.root).held()
    except UsageError:
        return []
    return [path for path in paths if path not in held]


def write_rows(project: Project, name: str, sets: Sequence[DataSide]) -> tuple[Path, ...]:
    """Write the rows of data sets with a source outside git; return the file where its bytes changed.

    Where git holds all of the data, or there is too much of it, an older file is removed: it would tell of other rows.
    """
    outside = set(outside_git(project, [path for data in sets for path in data.sources]))
    wanted = [data for data in sets if outside & set(data.sources)]
    content = dump_rows(wanted) if wanted else None
    path = rows_path(project, name)
    if content is None:
        path.unlink(missing_ok=True)
        return ()
    if path.is_file() and path.read_bytes() == content:
        return ()
    write_atomic(path, content)
    return (path,)


def read_rows_file(project: Project, name: str) -> dict[str, tuple[RowFact, ...]]:
    """Return an experiment's committed rows by data digest, none where there is no file. Raises DataError."""
    path = rows_path(project, name)
    if not path.is_file():
        return {}
    return load_rows(path.read_bytes(), file=os.path.relpath(path, project.root))
