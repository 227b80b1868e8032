"""What the data path hands on: rendered parts with their digests, and how to read them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ftspec.data.proof import Proof, proof_from_json
from ftspec.data.writing import PartWriter
from ftspec.spec.errors import Problem


@dataclass(frozen=True)
class Part:
    """One rendered file. `sha256` is hex; `path` lies in the cache, or in a temporary folder without one."""

    role: str
    sha256: str
    bytes: int
    rows: int
    tokens: int
    learned_tokens: int
    messages: int
    learned_messages: int
    path: Path


@dataclass(frozen=True)
class SourceFile:
    """One file that rows came from; `path` is relative to the project, `rows` counts all that are taken of it."""

    path: str
    sha256: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Prepared:
    """A data set, ready to be trained on.

    `parts` holds "train" always, "valid" and "test" where the split has them. `rows` is a JSON-lines file with one
    record per rendered row. `references` are the distinct last assistant texts of the train part with counts, commonest
    first (ties by text), empty beyond 1,000. `overlap` counts prompts that stand in the train part and in another.
    `counter` names the token counter, `exact` says whether counts are exact. `dropped` rows lost by `on_empty: drop`;
    `proof` says what each weight rule did. `content` names the rows and their parts, whatever their weights.
    """

    parts: Mapping[str, Part]
    rows: Path
    sources: tuple[SourceFile, ...]
    references: tuple[tuple[str, int], ...]
    problems: tuple[Problem, ...]
    overlap: int
    counter: str
    exact: bool
    row_format: str
    dropped: int
    proof: Proof
    content: str


def part_json(writer: PartWriter) -> dict[str, Any]:
    """Return the facts of a written part as plain JSON."""
    names = ("role", "rows", "tokens", "learned_tokens", "messages", "learned_messages")
    return {name: getattr(writer, name) for name in names} | {"bytes": writer.size, "sha256": writer.sha256.hexdigest()}


def from_json(body: Any, files: Mapping[str, Path]) -> Prepared:
    """Return the result kept in a manifest. Raises KeyError, TypeError, ValueError where it is another shape."""
    parts = {role: Part(path=files[f"{role}.jsonl"], **facts) for role, facts in body["parts"].items()}
    return Prepared(
        parts=parts,
        rows=files["rows.jsonl"],
        sources=_files_of(body["sources"]),
        references=tuple((text, count) for text, count in body["references"]),
        problems=tuple(Problem(**facts) for facts in body["problems"]),
        overlap=body["overlap"],
        counter=body["counter"],
        exact=body["exact"],
        row_format=body["row_format"],
        dropped=body["dropped"],
        proof=proof_from_json(body["proof"]),
        content=body["content"],
    )


def _files_of(reads: Iterable[tuple[str, str, int, int]]) -> tuple[SourceFile, ...]:
    """Return each file once, in order of its first reading, though several sources may take rows of it."""
    found: dict[str, SourceFile] = {}
    for path, sha256, size, rows in reads:
        before = found[path].rows if path in found else 0
        found[path] = SourceFile(path, sha256, size, before + rows)
    return tuple(found.values())


def items(part: Part) -> Iterator[dict[str, Any]]:
    """Yield the items of the test part: id, messages up to the last assistant turn, reference, metadata.

    `expected_calls` and `tools` are there where the row has tool calls and tool definitions.
    """
    yield from read_rows(part)


def read_rows(part: Part) -> Iterator[dict[str, Any]]:
    """Yield the rendered rows of a part as plain dictionaries."""
    decode = msgspec.json.Decoder().decode
    with part.path.open("rb") as lines:
        for line in lines:
            yield decode(line)
