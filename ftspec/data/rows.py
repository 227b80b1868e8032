"""Sources to canonical rows: every row decoded, checked, keyed, counted and written once, weights left out.

The result depends on sources, template, tools, metadata names and limits alone, so every weight policy, split and sweep
over them shares it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from ftspec.data.calls import call_problems
from ftspec.data.chat import ROLE, ChatRow, CompletionRow, prompt_end, text_of
from ftspec.data.compression import ReadError
from ftspec.data.counting import Counting
from ftspec.data.index import ANSWER, KEY, NO_ANSWER, RowIndex
from ftspec.data.issues import BadRowError, Issues, TooManyBadRowsError
from ftspec.data.messages import Mapper, Row
from ftspec.data.preference import PreferenceInput, PreferenceRow, preference_problems
from ftspec.data.readers import read
from ftspec.data.screen import Screen
from ftspec.data.sources import InputFile
from ftspec.spec.errors import Problem, StorageError

_BUFFER = 1 << 20
_HEAD = b'{"messages":['
FORMS: dict[type[Any], str] = {ChatRow: "chat", CompletionRow: "completion", PreferenceRow: "preference"}
CHAT_HEAD = len(_HEAD)  # where the first message begins in a canonical chat line
encode = msgspec.json.Encoder(order="sorted").encode


@dataclass
class Canonical:
    """The rows of a data set: `lines` is their canonical file without weights, `metadata` one object a row or None."""

    index: RowIndex
    lines: Path
    metadata: Path | None
    row_format: str
    rows_of: list[int] = field(default_factory=list)


class RowsBuilder:
    """Takes rows one by one and writes the canonical file."""

    def __init__(self, lines: Path, metadata: Path | None, counting: Counting | None, tools: bytes | None) -> None:
        self.index = RowIndex()
        self.issues = Issues()
        self.row_format = ""
        self._counting = counting
        self._tools = Raw(tools) if tools is not None else None
        self._tools_memo: dict[bytes, Raw] = {}
        self._shapes: dict[str, Shape] = {}
        self._lines_path, self._metadata_path = lines, metadata
        self._offset = 0

    def build(self, inputs: Sequence[InputFile], mapper: Mapper, screens: Sequence[Screen]) -> Canonical:
        """Read everything; `screens` has one entry a source.

        Raises DataError with the problems of all rows, StorageError where the disk refuses.
        """
        rows_of: list[int] = []
        gave_up = False
        try:
            with self._lines_path.open("wb", _BUFFER) as lines:
                metadata = self._metadata_path.open("wb", _BUFFER) if self._metadata_path else None
                try:
                    for number, source in enumerate(inputs):
                        before = len(self.index)
                        self._read_source(number, source, mapper, screens[source.group], lines, metadata)
                        rows_of.append(len(self.index) - before)
                finally:
                    if metadata is not None:
                        metadata.close()
        except TooManyBadRowsError:
            gave_up = True
        except OSError as error:
            raise StorageError.of(error, self._lines_path) from error
        whole = mapper.lacks()
        if not self.issues.bad_rows:  # what no row has may stand in a row that could not be read
            whole += [*(problem for screen in screens for problem in screen.problems()), *mapper.problems()]
        self.issues.raise_all(whole, gave_up=gave_up)
        if self._counting is not None:
            self._counting.flush()
        return replace(self.good, rows_of=rows_of)

    @property
    def good(self) -> Canonical:
        """The rows so far, those that were bad left out."""
        return Canonical(self.index, self._lines_path, self._metadata_path, self.row_format or "chat")

    def _read_source(
        self, number: int, source: InputFile, mapper: Mapper, screen: Screen, lines: Any, metadata: Any
    ) -> None:
        before, skipped = len(self.index), screen.skipped
        bad = self.issues.bad_rows
        try:
            for line, raw in read(source, screen.columns):
                try:
                    if isinstance(raw, Problem):
                        raise BadRowError([raw])
                    if not screen.keeps(raw, source.path, line):
                        continue
                    row, extra = mapper(raw, source.path, line)
                    data = self._add(row, source.path, line)
                except BadRowError as error:
                    self.issues.add_row(error.problems)
                    continue
                self.index.source.append(number)
                self.index.line.append(line)
                self.index.start.append(self._offset)
                self._offset += len(data) + 1
                lines.writelines((data, b"\n"))
                if metadata is not None:
                    metadata.write(encode(extra) + b"\n")
        except ReadError as failure:
            self.issues.add_row([failure.problem])
        bad = self.issues.bad_rows + self.issues.unmade - bad
        if len(self.index) == before and not bad and screen.skipped == skipped:
            self.issues.add(Problem("empty_file", f"{source.path} holds no rows", f"{source.where}.path", source.path))

    def _add(self, row: Row, file: str, line: int) -> bytes:
        """Check, key and count one row; return its canonical bytes. Nothing is kept of a bad row."""
        form = FORMS[type(row)]
        if form != self.row_format:
            if self.row_format:
                message = f"a {form} row among {self.row_format} rows"
                raise BadRowError([Problem("format", message, "", file, line, fix="all rows have one format")])
            self.row_format = form
        if isinstance(row, ChatRow):
            return self._add_chat(row, file, line)
        if isinstance(row, PreferenceRow):
            return self._add_preference(row, file, line)
        return self._add_completion(row, file, line)

    def _add_chat(self, row: ChatRow, file: str, line: int) -> bytes:
        messages: list[Any] = row.messages
        letters = "".join([m.letter for m in messages])
        given = self._take_weights(messages)
        shape = self._shape(letters)
        problems = _check(shape, messages, file, line)
        tools = self._canonical_tools(row, file, line, problems)
        if not problems and (shape.answers or [m for m in messages if m.tool_calls]):
            problems = call_problems(messages, bytes(tools) if tools is not None else None, file, line)
        if problems:
            raise BadRowError(problems)
        pieces = [encode(m) for m in messages]
        data = _HEAD + b",".join(pieces) + self._tail(row.parallel_tool_calls, tools)
        asked = [pieces[n] for n in shape.asked]
        last = messages[shape.last].content
        index = self.index
        index.size.append(len(messages))
        index.width.extend(map(len, pieces))
        index.letters += letters.encode()
        index.given += given
        index.row_key += blake2b(data, digest_size=KEY).digest()
        index.prompt_key += blake2b(b",".join(asked), digest_size=KEY).digest()
        index.answer_key += answer_key(last if last is None or isinstance(last, str) else text_of(last))
        if self._counting is not None:
            self._counting.add_chat(messages, tools)
        return data

    def _take_weights(self, messages: list[Any]) -> bytes:
        """Remove the weights in the data and return them, one of `.01` per message."""
        weights = [m.weight for m in messages]
        if weights.count(None) == len(weights):
            return b"." * len(weights)
        for message in messages:
            message.weight = None
        return b"".join([b"." if w is None else b"1" if w else b"0" for w in weights])

    def _tail(self, parallel: bool | None, tools: Raw | None) -> bytes:
        """Return what follows the messages in a canonical line."""
        if parallel is None and tools is None:
            return b"]}"
        middle = b"" if parallel is None else b',"parallel_tool_calls":' + encode(parallel)
        return b"]" + middle + (b"" if tools is None else b',"tools":' + bytes(tools)) + b"}"

    def _add_completion(self, row: CompletionRow, file: str, line: int) -> bytes:
        if not row.completion:
            raise BadRowError([Problem("completions", "the completion is empty", "completion", file, line)])
        data = encode({"completion": row.completion, "prompt": row.prompt})
        index = self.index
        index.size.append(2)
        index.letters += b"ua"
        index.given += b".."
        index.width.extend((0, 0))
        index.row_key += blake2b(data, digest_size=KEY).digest()
        index.prompt_key += blake2b(encode(row.prompt), digest_size=KEY).digest()
        index.answer_key += answer_key(row.completion)
        if self._counting is not None:
            self._counting.add_completion(row.prompt, row.completion)
        return data

    def _add_preference(self, row: PreferenceRow, file: str, line: int) -> bytes:
        problems = preference_problems(row, file, line)
        asked = row.input
        tools = self._canonical_tools(asked, file, line, problems)
        if problems:
            raise BadRowError(problems)
        pieces = [encode(message) for message in asked.messages]
        wanted, other = encode(row.preferred_output), encode(row.non_preferred_output)
        question = _HEAD + b",".join(pieces) + self._tail(asked.parallel_tool_calls, tools)
        data = b'{"input":' + question + b',"non_preferred_output":' + other + b',"preferred_output":' + wanted + b"}"
        letters = "".join([message.letter for message in row.messages])
        prompt = b",".join(p for p, letter in zip(pieces, letters, strict=False) if letter not in "sd")
        index = self.index
        index.size.append(len(letters))
        index.width.extend([0] * len(letters))
        index.letters += letters.encode()
        index.given += b"." * len(letters)
        index.row_key += blake2b(data, digest_size=KEY).digest()
        index.prompt_key += blake2b(prompt, digest_size=KEY).digest()
        index.answer_key += answer_key(text_of(row.preferred_output[0].content))
        if self._counting is not None:
            self._counting.add_chat(row.messages, tools)
        return data

    def _shape(self, letters: str) -> "Shape":
        shape = self._shapes.get(letters)
        if shape is None:
            shape = shape_of(letters)
            if len(self._shapes) < 10_000:
                self._shapes[letters] = shape
        return shape

    def _canonical_tools(
        self, row: ChatRow | PreferenceInput, file: str, line: int, problems: list[Problem]
    ) -> Raw | None:
        if row.tools is UNSET:
            return self._tools
        data = bytes(row.tools)
        if self._tools is not None and data != bytes(self._tools):
            message = "the row has tools, and so has dataset.tools"
            problems.append(Problem("tools", message, "tools", file, line, fix="keep one of them"))
        known = self._tools_memo.get(data)
        if known is None:
            try:
                known = Raw(canonical_tools(msgspec.json.decode(data)))
            except ValueError as error:
                problems.append(Problem("tools", str(error), "tools", file, line))
                return None
            if len(self._tools_memo) >= 1000:
                self._tools_memo.clear()
            self._tools_memo[data] = known
        return known


class Shape(NamedTuple):
    """What the order of a row's roles says: what is wrong with it, and where the parts of a row stand.

    `asked` are the messages of the prompt without instructions, `last` is the last assistant message; `answers` says
    whether there are tool messages.
    """

    wrong: list[tuple[str, str, str]]
    asked: tuple[int, ...]
    last: int
    answers: bool


def shape_of(letters: str) -> Shape:
    """Return the shape of a row; `letters` is one role letter a message."""
    asked = tuple(n for n in range(prompt_end(letters)) if letters[n] not in "sd")
    return Shape(structure(letters), asked, letters.rfind("a"), "t" in letters)


def _check(shape: Shape, messages: list[Any], file: str, line: int) -> list[Problem]:
    """Return what is wrong with the order of roles and with assistants' contents."""
    problems = [Problem(code, message, path, file, line) for code, message, path in shape.wrong]
    if None in [m.content for m in messages]:
        for n, message in enumerate(messages):
            if message.content is None and not message.tool_calls and message.refusal is None:
                text = "an assistant message needs content, tool_calls or a refusal"
                problems.append(Problem("content", text, f"messages[{n}].content", file, line))
    return problems


def structure(letters: str) -> list[tuple[str, str, str]]:
    """Return (code, message, path) for an order of roles that cannot be trained on."""
    if not letters:
        return [("messages", "must be a list with at least one message", "messages")]
    if "a" not in letters:
        return [("assistant", "the row has no assistant message", "messages")]
    if not letters.endswith("a"):
        role = ROLE[letters[-1]]
        return [("last_message", f"the last message is {role}, not assistant", f"messages[{len(letters) - 1}].role")]
    return []


def canonical_tools(tools: Any) -> bytes:
    """Return tool definitions as RFC 8785 JSON. Raises ValueError for anything but a list of function definitions."""
    import rfc8785

    if not isinstance(tools, list) or not 1 <= len(tools) <= 128:
        raise ValueError("tools must be a list of 1 to 128 function definitions")
    for n, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ValueError(f'tools[{n}] is not {{"type": "function", "function": {{"name": ...}}}}')
    try:
        return rfc8785.dumps(tools)
    except (rfc8785.CanonicalizationError, UnicodeError) as error:
        raise ValueError(f"tools cannot be written as canonical JSON: {error}") from error


def answer_key(text: str | None) -> bytes:
    """Return 8 bytes for the last assistant text, zeros for none."""
    return blake2b(text.encode(), digest_size=ANSWER).digest() if text is not None else NO_ANSWER
