"""The rendered data of a run in another tool's dialect, each row read back to prove that its mask is the same."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ftspec.data.dialects import DIALECTS, CannotSayError, Dialect
from ftspec.data.lint.reading import Row, rows
from ftspec.data.read_back import prove
from ftspec.spec.errors import DataError, UsageError
from ftspec.storage import replacing
from ftspec.workflows.dataset import Data

SCHEMA = 1
_encode = msgspec.json.Encoder(order="sorted").encode
_FILES = {"train": "train.jsonl", "valid": "valid.jsonl"}


@dataclass(frozen=True)
class Exported:
    """What was written: rows read, rows written (more where masks are exploded), learned messages, by part."""

    dialect: Dialect
    folder: Path
    rows: dict[str, int]
    written: dict[str, int]
    learned: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": SCHEMA,
            "dialect": self.dialect.name,
            "options": self.dialect.options,
            "exploded": self.dialect.exploded,
            "folder": str(self.folder),
            "parts": {
                part: {"rows": self.rows[part], "written": self.written[part], "learned_messages": self.learned[part]}
                for part in self.rows
            },
        }


def export(data: Data, dialect: str, folder: Path) -> Exported:
    """Write train and validation in a dialect. Raises UsageError, DataError `mask` for a mask it has no words for."""
    if dialect not in DIALECTS:
        raise UsageError("no_dialect", f"there is no dialect {dialect!r}", fix=f"known: {', '.join(DIALECTS)}")
    if data.prepared.row_format != "chat":
        message = f"{data.prepared.row_format} rows say by their form what is learned"
        raise UsageError("no_dialect", message, fix="take the files of the run as they are")
    chosen = DIALECTS[dialect]
    found: dict[str, Counter[str]] = {"rows": Counter(), "written": Counter(), "learned": Counter()}
    for part, name in _FILES.items():
        if part not in data.prepared.parts:
            continue
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / name) as stream:
            for row, made in _written(data, part, chosen):
                stream.write(b"".join(_encode(one) + b"\n" for one in made))
                found["rows"][part] += 1
                found["written"][part] += len(made)
                found["learned"][part] += row.mask.count("1")
    return Exported(chosen, folder, dict(found["rows"]), dict(found["written"]), dict(found["learned"]))


def _written(data: Data, part: str, dialect: Dialect) -> Iterator[tuple[Row, list[dict[str, Any]]]]:
    for row in rows(data.prepared, (part,)):
        canonical = msgspec.json.decode(row.data)
        canonical["messages"] = [
            {key: value for key, value in message.items() if key != "weight"} for message in canonical["messages"]
        ]
        try:
            made = list(dialect.rows(canonical, row.mask))
        except CannotSayError as error:
            fix = "choose another dialect, or a policy that learns assistant messages only"
            raise DataError("mask", str(error), file=row.source, line=row.line, fix=fix) from None
        prove(dialect.name, made, canonical, row.mask, row.place)
        yield row, made
