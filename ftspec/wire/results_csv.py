"""The result file of a job: a CSV of metrics per step, sent as base64 by some hosts and as plain text by others."""

import base64
import binascii
import csv
import io
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ftspec.spec.errors import DataError

HEADER = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
BOM = b"\xef\xbb\xbf"

_ALIASES = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_accuracy",
    "train_mean_token_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "validation_loss": "valid_loss",
    "valid_accuracy": "valid_accuracy",
    "valid_mean_token_accuracy": "valid_accuracy",
    "validation_mean_token_accuracy": "valid_accuracy",
    "full_valid_loss": "full_valid_loss",
    "full_validation_loss": "full_valid_loss",
    "full_valid_mean_token_accuracy": "full_valid_accuracy",
    "full_validation_mean_token_accuracy": "full_valid_accuracy",
}


@dataclass(frozen=True)
class ResultRow:
    """Metrics of one step; losses are nats a token, accuracies 0..1, None where the cell is empty."""

    step: int
    train_loss: float | None = None
    train_accuracy: float | None = None
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    full_valid_loss: float | None = None
    full_valid_accuracy: float | None = None


def parse_results(raw: bytes) -> list[ResultRow]:
    """Return the rows of a result file: plain or base64, with or without a BOM, OpenAI's or Azure's column names.

    Raises DataError (`results_csv`) that shows the first bytes of what is no such file.
    """
    text = _decode(raw)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = [_ALIASES.get(name.strip().lower(), "") for name in next(lines)]
        if names.count("step") != 1 or any(names.count(name) > 1 for name in set(names) - {""}):
            raise _broken(raw, "a column is missing or stands twice")
        return [_row(names, cells, raw) for cells in lines if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise _broken(raw, str(error)) from error


def format_results(rows: Iterable[Mapping[str, float | None]]) -> str:
    """Return the CSV in OpenAI's form (header of five columns, at most 5 decimals, empty cells for None).

    Each row maps the names of HEADER, or their aliases in metrics events, to numbers.
    """
    out = [",".join(HEADER)]
    for row in rows:
        known = {_ALIASES[name]: value for name, value in row.items() if name in _ALIASES}
        cells = [str(int(known["step"] or 0))]
        cells += [_cell(known.get(_ALIASES[name])) for name in HEADER[1:]]
        out.append(",".join(cells))
    return "\n".join(out) + "\n"


def _cell(value: float | None) -> str:
    return "" if value is None else str(round(value, 5))


def _decode(raw: bytes) -> str:
    data = raw.removeprefix(BOM)
    if not _is_plain(data):
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True).removeprefix(BOM)
        except binascii.Error as error:
            raise _broken(raw, "neither a CSV that starts with `step` nor base64 of one") from error
    if not _is_plain(data):
        raise _broken(raw, "it does not start with `step`")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _broken(raw, "it is not UTF-8") from error


def _is_plain(data: bytes) -> bool:
    return data[:4].lower() == b"step"


def _row(names: list[str], cells: list[str], raw: bytes) -> ResultRow:
    if len(cells) != len(names):
        raise _broken(raw, f"a line has {len(cells)} cells, the header {len(names)}")
    values = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if name}
    try:
        numbers = {name: float(cell) for name, cell in values.items() if cell}
        step = numbers.pop("step")
    except (ValueError, KeyError) as error:
        raise _broken(raw, f"a cell is not a number ({error})") from error
    if not math.isfinite(step) or step != int(step) or step < 0:
        raise _broken(raw, f"step {step} is not a whole number")
    # Azure writes -1 where a step has no validation.
    empty = {name for name, number in numbers.items() if name != "train_loss" and number == -1}
    return ResultRow(int(step), **{name: number for name, number in numbers.items() if name not in empty})


def _broken(raw: bytes, why: str) -> DataError:
    return DataError("results_csv", f"this is not a results file: {why}; it starts with {raw[:40]!r}")
