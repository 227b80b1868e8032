"""Rows of Parquet files, by pyarrow (extra `ftspec[parquet]`), batch by batch; a row's line is its number from 1."""

import base64
import datetime
import decimal
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from ftspec.data.compression import ReadError
from ftspec.data.extras import extra
from ftspec.spec.errors import Problem

_BATCH = 512


def parquet_rows(stream: IO[bytes], path: str, columns: dict[str, str]) -> Iterator[tuple[int, Any]]:
    """Yield `(number, row)`: JSON bytes of rows that hold `messages`, else an object.

    `columns` are those of the first file of the source, filled in by it: another file with other columns or types is
    refused. Nulls inside of structs are left out, since a struct has the keys of all rows. Dates become ISO texts,
    decimals their digits, bytes base64. Raises ReadError.
    """
    pyarrow, parquet = extra("pyarrow", "parquet", path), extra("pyarrow.parquet", "parquet", path)
    try:
        file = parquet.ParquetFile(stream)
        _check_columns(file.schema_arrow, path, columns)
        number = 0
        for batch in file.iter_batches(batch_size=_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, _ready(row) if "messages" in row else {k: _plain(v) for k, v in row.items()}
    except (pyarrow.ArrowException, EOFError) as error:
        problem = Problem(
            "parquet", f"not a readable Parquet file: {error}", file=path, fix="copy or download it again"
        )
        raise ReadError(problem) from error


def _check_columns(schema: Any, path: str, columns: dict[str, str]) -> None:
    mine = {field.name: str(field.type) for field in schema}
    if len(mine) < len(schema):
        twice = next(name for name in schema.names if schema.names.count(name) > 1)
        raise ReadError(Problem("parquet", f"column {twice!r} occurs twice", file=path))
    if not columns:
        columns.update(mine)
        return
    other = [f"no column {name!r}" for name in columns if name not in mine]
    other += [f"a column {name!r} more" for name in mine if name not in columns]
    other += [f"{k!r} is {mine[k]}, not {kind}" for k, kind in columns.items() if k in mine and mine[k] != kind]
    if other:
        message = f"the columns differ from those of the source's first file: {', '.join(other[:5])}"
        fix = "write it with the same columns, or make it a source of its own"
        raise ReadError(Problem("parquet_columns", message, file=path, fix=fix))


def _ready(row: dict[str, Any]) -> bytes:
    return msgspec.json.encode({key: _plain(value) for key, value in row.items() if value is not None})


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)
