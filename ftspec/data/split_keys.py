"""What the split goes by: one key a row, equal keys stay in one part."""

from collections.abc import Iterator, Sequence

import msgspec

from ftspec.data.forms import encode
from ftspec.data.rows import Canonical
from ftspec.data.sources import InputFile
from ftspec.spec.errors import DataError


def split_keys(by: str, inputs: Sequence[InputFile], canonical: Canonical) -> list[bytes]:
    """Return the key of every row. Raises DataError where rows lack the field that `by` names."""
    if by == "row":
        return canonical.index.row_keys()
    if by == "prompt":
        return canonical.index.prompt_keys()
    return list(_first_users(canonical)) if by == "first_user" else _field_keys(by, inputs, canonical)


def _field_keys(by: str, inputs: Sequence[InputFile], canonical: Canonical) -> list[bytes]:
    assert canonical.metadata is not None
    keys: list[bytes] = []
    missing: list[int] = []
    with canonical.metadata.open("rb") as lines:
        for row, line in enumerate(lines):
            value = msgspec.json.decode(line).get(by)
            keys.append(encode(value))
            if value is None:
                missing.append(row)
    if missing:
        index = canonical.index
        rows = "every row lacks" if len(missing) == len(keys) else f"{len(missing):,} of {len(keys):,} rows lack"
        file, line_number = inputs[index.source[missing[0]]].path, index.line[missing[0]]
        message = f"{rows} the field {by}, which the split goes by (first {file}:{line_number})"
        raise DataError("missing_field", message, path="dataset.split.by")
    return keys


def _first_users(canonical: Canonical) -> Iterator[bytes]:
    """Yield the content of every row's first user message as its key."""
    with canonical.lines.open("rb") as lines:
        for line in lines:
            row = msgspec.json.decode(line)
            messages = row.get("messages") or [{"role": "user", "content": row.get("prompt")}]
            yield encode(next((m.get("content") for m in messages if m["role"] == "user"), None))
