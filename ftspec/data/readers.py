r"""Reading source files row by row with the line each row starts on: jsonl, json, csv, parquet.

Rows of jsonl files are handed on as bytes, since chat rows are decoded straight into their shapes.
Lines end at `\n` alone: U+2028 is legal inside a JSON string.
"""

import csv
import difflib
import io
import json
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from ftspec.data.compression import ReadError, opened
from ftspec.data.sources import MAX_LINE, InputFile, huge_line
from ftspec.spec.errors import Problem

MAX_JSON = 256 * 1024 * 1024  # a JSON list is read as a whole
_BLOCK = 128 * 1024  # what is read, split, decoded and written at a time stays in the processor's cache
_BOM = b"\xef\xbb\xbf"
_OTHER_DELIMITERS = (";", "\t", "|")


Raw = bytes | dict[str, Any] | Problem


def read(source: InputFile, columns: dict[str, str] | None = None) -> Iterator[tuple[int, Raw]]:
    """Yield `(line, row)`; a row is bytes (jsonl), an object, or the problem of a row that is neither.

    `columns` is kept over the files of one source; see `parquet_rows`. Raises ReadError where the rest of the file
    cannot be read (truncated gzip, broken CSV or JSON, changed meanwhile), DataError where an extra is missing.
    """
    if source.field is not None and source.format != "json":
        message = f"{source.path} is {source.format}: only a JSON object has a field of rows"
        raise ReadError(Problem("field", message, f"{source.where}.field", source.path))
    with opened(source) as stream:
        if source.format == "parquet":
            from ftspec.data.parquet import parquet_rows

            yield from parquet_rows(stream, source.path, {} if columns is None else columns)
        else:
            rows = {"jsonl": _jsonl, "json": _json, "csv": _csv}[source.format](stream, source)
            yield from rows if source.columns is None or source.format == "csv" else _named(rows, source)


def _named(rows: Iterator[tuple[int, Raw]], source: InputFile) -> Iterator[tuple[int, Raw]]:
    """Name the values of rows that are lists."""
    names = source.columns or ()
    for line, row in rows:
        try:
            values = msgspec.json.decode(row) if isinstance(row, bytes) else row
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            yield line, row  # it is told what is broken where rows are decoded
            continue
        if isinstance(values, list) and len(values) == len(names):
            yield line, dict(zip(names, values, strict=True))
        elif isinstance(values, list):
            message = f"{len(values)} values for {len(names)} columns"
            yield line, Problem("columns", message, file=source.path, line=line)
        else:
            fix = "leave `columns` out: objects name their own"
            yield line, Problem("columns", "the row is no list", file=source.path, line=line, fix=fix)


def _jsonl(stream: IO[bytes], source: InputFile) -> Iterator[tuple[int, Raw]]:
    number = 0
    for lines in _blocks(stream):
        for line in lines:
            number += 1
            if number == 1 and line.startswith(_BOM):
                line = line[3:]
            if len(line) > MAX_LINE:
                raise ReadError(huge_line(source.path, number))
            elif line and not line.isspace():
                yield number, line


def _blocks(stream: IO[bytes]) -> Iterator[list[bytes]]:
    r"""Yield lists of whole lines without their `\n`; a line longer than `MAX_LINE` is cut, and then the last."""
    while block := stream.read(_BLOCK):
        if not block.endswith(b"\n"):
            block += stream.readline(MAX_LINE)
        yield block.removesuffix(b"\n").split(b"\n")


def _json(stream: IO[bytes], source: InputFile) -> Iterator[tuple[int, Raw]]:
    path = source.path
    data = stream.read(MAX_JSON + 1).removeprefix(_BOM)
    if len(data) > MAX_JSON:
        message = f"a JSON list is read as a whole, and this one is larger than {MAX_JSON >> 20} MB"
        raise ReadError(Problem("huge_file", message, file=path, fix="write one object a line: format: jsonl"))
    try:
        at, rows = _json_rows(data, source)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ReadError(_json_problem(data, source)) from None
    line = 1 + data.count(b"\n", 0, at)
    for row in rows:
        piece = bytes(row)
        start = data.index(piece, at)
        line += data.count(b"\n", at, start)
        yield line, piece
        at = start + len(piece)
        line += piece.count(b"\n")


def _json_rows(data: bytes, source: InputFile) -> tuple[int, list[msgspec.Raw]]:
    """Return where the list of rows begins, and its rows."""
    if source.field is None:
        return 0, msgspec.json.decode(data, type=list[msgspec.Raw])
    parts = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    if source.field not in parts:
        near = difflib.get_close_matches(source.field, parts, n=1)
        fix = f"did you mean {near[0]}?" if near else f"it has: {', '.join(list(parts)[:8])}"
        message = f"the object has no key {source.field!r}"
        raise ReadError(Problem("field", message, f"{source.where}.field", source.path, fix=fix))
    at = 0
    for key, value in parts.items():
        at = data.index(bytes(value), at)
        if key == source.field:
            break
        at += len(bytes(value))
    return at, msgspec.json.decode(parts[source.field], type=list[msgspec.Raw])


def _json_problem(data: bytes, source: InputFile) -> Problem:
    whole = json_problem(data, source.path)
    if whole is not None:
        return whole
    if source.field is not None:
        return Problem("not_a_list", f"no JSON list under {source.field!r}", f"{source.where}.field", source.path)
    fix = "a .json source is one list; one row a line is format: jsonl; a list under a key is field: KEY"
    return Problem("not_a_list", "the file is not a JSON list", file=source.path, line=1, fix=fix)


def json_problem(data: bytes, path: str, line: int = 1) -> Problem | None:
    """Return what is wrong with a JSON text, with its line and column (characters), or None where it is well formed."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        row, column = data.count(b"\n", 0, error.start), error.start - data.rfind(b"\n", 0, error.start)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        return Problem("not_utf8", message, file=path, line=line + row, column=column, fix="save the file as UTF-8")
    try:
        json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        code, message, fix = _worded(text, error)
        return Problem(code, message, file=path, line=line + error.lineno - 1, column=error.colno, fix=fix)
    except _NotANumberError as error:
        return Problem("json", f"{error} is not JSON", file=path, line=line, fix="leave the value out or write null")
    except RecursionError:
        return Problem("json", "values are nested too deeply", file=path, line=line)
    except ValueError:  # Python reads at most 4,300 digits
        return Problem("json", "a number has too many digits", file=path, line=line, fix="make it a text")
    return None


class _NotANumberError(ValueError):
    """NaN or an infinity."""


def _refuse(name: str) -> None:
    raise _NotANumberError(name)


def _worded(text: str, error: json.JSONDecodeError) -> tuple[str, str, str]:
    if "\x00" in text:
        return "nul", "the text holds NUL characters", "the file is damaged, or saved as UTF-16: save it as UTF-8"
    if error.msg == "Extra data":
        return "json", "more text after the end of the JSON value", "one JSON object a line"
    return "json", f"broken JSON: {error.msg[0].lower()}{error.msg[1:]}", ""


def _csv(stream: IO[bytes], source: InputFile) -> Iterator[tuple[int, Raw]]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        yield from _csv_rows(text, source)
    finally:
        text.detach()


def _csv_rows(text: io.TextIOWrapper, source: InputFile) -> Iterator[tuple[int, Raw]]:
    path = source.path
    csv.field_size_limit(MAX_LINE)
    reader = csv.reader(_bounded(text, path), strict=True, delimiter=source.delimiter or ",")
    start = 1
    try:
        header = list(source.columns) if source.columns else next(reader, [])
        if source.columns is None:
            _check_delimiter(header, "the header", source, 1)
        _check_header(header, path)
        start = reader.line_num + 1
        for values in reader:
            if len(values) == 1 < len(header):
                _check_delimiter(values, "the row", source, start)
            if values:
                yield start, _csv_row(header, values, path, start)
            start = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            raise ReadError(huge_line(path, start)) from error
        worded = "a quote is never closed" if "unexpected end" in str(error) else str(error)
        raise ReadError(Problem("csv", f"broken CSV: {worded}", file=path, line=start)) from error
    except UnicodeDecodeError as error:
        message = f"byte 0x{error.object[error.start]:02x} is not UTF-8"
        fix = "save the file as UTF-8"
        raise ReadError(Problem("not_utf8", message, file=path, line=start, fix=fix)) from error


def _bounded(text: io.TextIOWrapper, path: str) -> Iterator[str]:
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise ReadError(huge_line(path, number))
        yield line


class DelimiterError(ReadError):
    """A CSV file is separated by something else; `found` is what."""

    def __init__(self, problem: Problem, found: str) -> None:
        super().__init__(problem)
        self.found = found


def _check_delimiter(values: list[str], what: str, source: InputFile, line: int) -> None:
    """Raise DelimiterError for a line that is one value and holds another delimiter, where none was given."""
    if len(values) != 1 or source.delimiter is not None:
        return
    counts = {mark: values[0].count(mark) for mark in _OTHER_DELIMITERS}
    mark = max(counts, key=lambda one: counts[one])
    if not counts[mark]:
        return
    shown = values[0] if len(values[0]) <= 60 else values[0][:57] + "..."
    word, written = ("tabs", '"\\t"') if mark == "\t" else (f"`{mark}`", f'"{mark}"')
    message = f"{what} has one column, `{shown}`: it looks separated by {word}, not by commas"
    fix = f"give the source its delimiter: {{path: {source.path}, delimiter: {written}}}"
    raise DelimiterError(Problem("csv", message, file=source.path, line=line, fix=fix), mark)


def _check_header(header: list[str], path: str) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if not any(header) or "" in header or twice:
        message = f"column {twice[0]!r} occurs twice" if twice and twice != [""] else "a column has no name"
        raise ReadError(
            Problem("csv", message, file=path, line=1, fix="the first line of a CSV file names its columns")
        )


def _csv_row(header: list[str], values: list[str], path: str, line: int) -> Raw:
    if len(values) != len(header):
        message = f"{len(values)} values for {len(header)} columns"
        return Problem("csv", message, file=path, line=line, fix="quote values that hold a comma or a line break")
    if any("\x00" in value for value in values):
        return Problem("nul", "the row holds NUL characters", file=path, line=line)
    return dict(zip(header, values, strict=True))
