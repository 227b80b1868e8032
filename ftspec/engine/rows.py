"""Reading a training file as the worker does: every row checked, the first that is wrong named. Imports no numpy."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftspec.engine.bases import Base
from ftspec.engine.template import Encoded, conversation, render
from ftspec.spec.errors import DataError

MIN_ROWS = 10


class FileError(DataError):
    """A file that the job cannot use; `param` names which of the two."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(code, message)
        self.param = param


def read_training(base: Base, path: Path, *, ignore_mask: bool = False) -> list[Encoded]:
    """Rows of a training file. Raises FileError (`invalid_training_file`, `invalid_n_examples`).

    `ignore_mask` trains every assistant message whatever its weight says: a broken host, for probes that must notice.
    """
    found = list(_rows(base, path, "training_file", ignore_mask=ignore_mask))
    if len(found) < MIN_ROWS:
        message = f"Training file has {len(found)} example(s), but must have at least {MIN_ROWS} examples"
        raise FileError("invalid_n_examples", message, "training_file")
    return found


def read_validation(base: Base, path: Path) -> list[Encoded]:
    """Rows of a validation file, at least one. Raises FileError (`invalid_validation_file`, `invalid_n_examples`)."""
    found = list(_rows(base, path, "validation_file"))
    if not found:
        raise FileError("invalid_n_examples", "Validation file has no examples", "validation_file")
    return found


def _rows(base: Base, path: Path, param: str, *, ignore_mask: bool = False) -> Iterator[Encoded]:
    code = f"invalid_{param}"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(code, f"The file cannot be read: {error.strerror}", param) from error
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n"), 1):
        if not content:
            return
        try:
            yield encode_row(base, _parse(line), ignore_mask=ignore_mask)
        except DataError as error:
            problem = error.problems[0]
            message = f"Invalid file format. Example {number}: {problem.message} [{problem.code}]"
            raise FileError(code, message, param) from error


def _parse(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DataError("json", f"not a line of JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError("json", "not a JSON object")
    return row


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def encode_row(base: Base, row: Mapping[str, Any], *, ignore_mask: bool = False) -> Encoded:
    """Check and encode one row. Raises DataError: shape, weight, tokens, weight_all_zero."""
    if "preferred_output" in row or "input" in row:
        raise DataError("format", "this is a preference row; the embedded models train by supervised fine-tuning only")
    messages, tools = conversation(row)
    for message in messages:
        weight = message.get("weight") if isinstance(message, Mapping) else None
        if weight is not None and (type(weight) is not int or weight not in (0, 1)):
            raise DataError("weight", f"weight must be the number 0 or 1, not {weight!r}")
    if ignore_mask:
        messages = [{key: value for key, value in message.items() if key != "weight"} for message in messages]
    encoded = render(base.tokenizer, messages, tools)
    if len(encoded.ids) > base.row_limit:
        raise DataError("tokens", f"{len(encoded.ids)} tokens, but {base.name} learns rows of at most {base.row_limit}")
    if not any(encoded.weights):
        raise DataError("weight_all_zero", "no message of the row is trained")
    return encoded
