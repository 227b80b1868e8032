"""Baked answers: rows that end with a question get the answer that a teacher gave once, from a committed file.

A line of the file holds the key of the request (teacher, its instructions and parameters, the question), the question
and the answer. Nothing here asks anybody: `ftspec.workflows.baking` does.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from ftspec.data.cache import Cache
from ftspec.data.chat import Assistant, ChatRow
from ftspec.data.issues import BadRowError
from ftspec.data.messages import Mapper, Metadata, Row
from ftspec.spec.dataset import Bake, Dataset, Weights
from ftspec.spec.errors import DataError, Problem
from ftspec.storage import write_atomic


@dataclass(frozen=True)
class Question:
    """One request to the teacher: its key, and the body without the model."""

    key: str
    body: dict[str, Any]


def question(bake: Bake, prompt: str | None, row: ChatRow) -> Question:
    """Return what is asked of the teacher for a row; `prompt` are the teacher's instructions with their file read."""
    messages = msgspec.to_builtins(row.messages)
    if prompt is not None:
        messages = [m for m in messages if m["role"] not in ("system", "developer")]
        messages = [{"role": "system", "content": prompt}, *messages]
    body = {"messages": messages, **bake.params.model_dump(exclude_none=True)}
    if row.tools is not UNSET:
        body["tools"] = msgspec.json.decode(row.tools)
    import rfc8785

    named = rfc8785.dumps({"profile": bake.provider.profile, "model": bake.model, **body})
    return Question(hashlib.sha256(b"ftspec/baked/1\n" + named).hexdigest()[:32], body)


def read_answers(path: Path, shown: str) -> dict[str, str]:
    """Return the kept answers by key, none without a file. Raises DataError with the line for anything else."""
    answers: dict[str, str] = {}
    if not path.is_file():
        return answers
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                entry = msgspec.json.decode(line, type=dict[str, Any])
                answers[str(entry["key"])] = str(entry["answer"])
            except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
                raise DataError("baked", f"no kept answer: {error}", file=shown, line=number) from error
    return answers


def keep_answers(path: Path, kept: bytes, found: Sequence[tuple[Question, str]], bake: Bake) -> bytes:
    """Append answers to the file, whole or not at all; return its bytes."""
    teacher = {"profile": bake.provider.profile, "model": bake.model}
    lines = [
        msgspec.json.encode({"key": asked.key, "teacher": teacher, **asked.body, "answer": answer})
        for asked, answer in found
    ]
    kept += b"".join(line + b"\n" for line in lines)
    write_atomic(path, kept)
    return kept


class BakedRows:
    """Rows of another mapper, questions answered from the file; `missing` are those that it does not hold yet."""

    def __init__(self, mapper: Mapper, bake: Bake, prompt: str | None, answers: Mapping[str, str]) -> None:
        self._mapper, self._bake, self._prompt, self._answers = mapper, bake, prompt, answers
        self.missing: dict[str, Question] = {}

    def __call__(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        """Return the row with its answer. Raises BadRowError."""
        row, metadata = self._mapper(raw, file, line)
        if not isinstance(row, ChatRow) or not row.messages or row.messages[-1].letter == "a":
            return row, metadata
        asked = question(self._bake, self._prompt, row)
        answer = self._answers.get(asked.key)
        if answer is None:
            self.missing[asked.key] = asked
        # A row without its answer is told by `problems`, all of them at once, and nothing of this pass is kept.
        return ChatRow([*row.messages, Assistant(answer or "-")], row.tools, row.parallel_tool_calls), metadata

    def lacks(self) -> list[Problem]:
        """Return what rows lack."""
        return self._mapper.lacks()

    def problems(self) -> list[Problem]:
        """Return the mapper's problems, and how many answers are missing."""
        found = self._mapper.problems()
        if self.missing:
            message = f"{len(self.missing):,} questions have no answer of {self._bake.model} in {self._bake.into} yet"
            found.append(Problem("not_baked", message, "dataset.bake", fix="ftspec run NAME --only data"))
        return found


def unanswered(dataset: Dataset, weights: Weights, root: Path, cache: Path) -> list[Question]:
    """Return what the teacher is still to be asked, each question once. Raises DataError where rows cannot be read."""
    return list(_missing(dataset, weights, root, Cache(cache)))


def _missing(dataset: Dataset, weights: Weights, root: Path, cache: Cache) -> Iterator[Question]:
    from ftspec.data.declared import declared
    from ftspec.data.readers import read
    from ftspec.data.sources import find_inputs

    stated = declared(dataset, weights, root)
    mapper, screens = stated.mapper(), stated.screens()
    for source in find_inputs(dataset, root, cache):
        screen = screens[source.group]
        for line, raw in read(source, screen.columns):
            try:
                if not isinstance(raw, Problem) and screen.keeps(raw, source.path, line):
                    mapper(raw, source.path, line)
            except BadRowError:
                continue  # told when the data is prepared
    yield from mapper.missing.values() if isinstance(mapper, BakedRows) else ()
