"""The forms a row can have: what is checked of it, its canonical line, its keys, its tokens. Many rows at a time.

Every form takes rows of one file, checks them all before anything is kept, and raises BadRowError where one is wrong:
the caller then gives them one by one, which tells the bad ones and keeps the others.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from ftspec.data.calls import call_problems
from ftspec.data.chat import ChatRow, CompletionRow, text_of
from ftspec.data.counting import Counting
from ftspec.data.index import ANSWER, KEY, NO_ANSWER, RowIndex
from ftspec.data.issues import BadRowError
from ftspec.data.order import Shape, shape_of
from ftspec.data.preference import PreferenceRow, preference_problems
from ftspec.data.tools import Tools
from ftspec.spec.errors import Problem

_HEAD = b'{"messages":['
CHAT_HEAD = len(_HEAD)  # where the first message begins in a canonical chat line
_MOST_SHAPES = 10_000
_encoder = msgspec.json.Encoder(order="sorted")
encode, _encode_lines = _encoder.encode, _encoder.encode_lines


class Form(Protocol):
    """One form of rows, with the index and the counts that its rows go into."""

    name: str

    def add(self, rows: Sequence[Any], file: str, lines: Sequence[int]) -> list[bytes]:
        """Check, key and count rows; return their canonical lines. Raises BadRowError; nothing is kept then."""
        ...


class ChatForm:
    """Conversations."""

    name = "chat"

    def __init__(self, index: RowIndex, counting: Counting | None, tools: Tools) -> None:
        self._index, self._counting, self._tools = index, counting, tools
        self._shapes: dict[str, Shape] = {}

    def add(self, rows: Sequence[ChatRow], file: str, lines: Sequence[int]) -> list[bytes]:
        """Check, key and count rows; return their canonical lines. Raises BadRowError."""
        messages: list[Any] = [message for row in rows for message in row.messages]
        sizes = [len(row.messages) for row in rows]
        letters = "".join([message.letter for message in messages])
        contents = [message.content for message in messages]
        shapes, tools = self._check(rows, letters, contents, file, lines)
        given = _take_weights(messages)
        pieces = _encode_lines(messages).split(b"\n")  # a line break inside a text is escaped
        made: list[bytes] = []
        keys: list[bytes] = []
        prompts: list[bytes] = []
        answers: list[bytes] = []
        first = 0
        for row, size, shape, own in zip(rows, sizes, shapes, tools, strict=True):
            data = _HEAD + b",".join(pieces[first : first + size]) + _tail(row.parallel_tool_calls, own)
            asked = b",".join([pieces[first + n] for n in shape.asked])
            made.append(data)
            keys.append(blake2b(data, digest_size=KEY).digest())
            prompts.append(blake2b(asked, digest_size=KEY).digest())
            answers.append(_answer_key(contents[first + shape.last]))
            first += size
        self._index.extend(sizes, map(len, pieces[:-1]), letters.encode(), given, keys, prompts, answers)
        if self._counting is not None:
            self._counting.add_chats(messages, contents, sizes, tools)
        return made

    def _check(
        self, rows: Sequence[ChatRow], letters: str, contents: Sequence[Any], file: str, lines: Sequence[int]
    ) -> tuple[list[Shape], list[bytes | None]]:
        """Return the shape and the canonical tools of every row. Raises BadRowError with what is wrong with one."""
        shapes: list[Shape] = []
        tools: list[bytes | None] = []
        empty = None in contents
        first = 0
        for row, line in zip(rows, lines, strict=True):
            end = first + len(row.messages)
            order = letters[first:end]
            shape = self._shapes.get(order) or self._shape(order)
            problems = [Problem(code, message, path, file, line) for code, message, path in shape.wrong]
            if empty and None in contents[first:end]:
                problems += _without_content(row.messages, file, line)
            own = None
            try:
                own = self._tools.of(row.tools)
            except ValueError as error:
                problems.append(Problem("tools", str(error), "tools", file, line))
            if not problems and (shape.answers or [message for message in row.messages if message.tool_calls]):
                problems = call_problems(row.messages, own, file, line)
            if problems:
                raise BadRowError(problems)
            shapes.append(shape)
            tools.append(own)
            first = end
        return shapes, tools

    def _shape(self, letters: str) -> Shape:
        shape = shape_of(letters)
        if len(self._shapes) < _MOST_SHAPES:
            self._shapes[letters] = shape
        return shape


class CompletionForm:
    """Prompts with their completions."""

    name = "completion"

    def __init__(self, index: RowIndex, counting: Counting | None) -> None:
        self._index, self._counting = index, counting

    def add(self, rows: Sequence[CompletionRow], file: str, lines: Sequence[int]) -> list[bytes]:
        """Check, key and count rows; return their canonical lines. Raises BadRowError."""
        for row, line in zip(rows, lines, strict=True):
            if not row.completion:
                raise BadRowError([Problem("completions", "the completion is empty", "completion", file, line)])
        made = [encode({"completion": row.completion, "prompt": row.prompt}) for row in rows]
        count = len(rows)
        self._index.extend(
            [2] * count,
            [0] * 2 * count,
            b"ua" * count,
            b".." * count,
            [_key(data) for data in made],
            [_key(encode(row.prompt)) for row in rows],
            [_answer_key(row.completion) for row in rows],
        )
        if self._counting is not None:
            for row in rows:
                self._counting.add_completion(row.prompt, row.completion)
        return made


class PreferenceForm:
    """Questions with the answer that is wanted and the one that is not."""

    name = "preference"

    def __init__(self, index: RowIndex, counting: Counting | None, tools: Tools) -> None:
        self._index, self._counting, self._tools = index, counting, tools

    def add(self, rows: Sequence[PreferenceRow], file: str, lines: Sequence[int]) -> list[bytes]:
        """Check, key and count rows; return their canonical lines. Raises BadRowError."""
        tools = [self._checked(row, file, line) for row, line in zip(rows, lines, strict=True)]
        return [self._add(row, own) for row, own in zip(rows, tools, strict=True)]

    def _checked(self, row: PreferenceRow, file: str, line: int) -> bytes | None:
        problems = preference_problems(row, file, line)
        own = None
        try:
            own = self._tools.of(row.input.tools)
        except ValueError as error:
            problems.append(Problem("tools", str(error), "tools", file, line))
        if problems:
            raise BadRowError(problems)
        return own

    def _add(self, row: PreferenceRow, tools: bytes | None) -> bytes:
        asked, messages = row.input, row.messages
        pieces = [encode(message) for message in asked.messages]
        wanted, other = encode(row.preferred_output), encode(row.non_preferred_output)
        question = _HEAD + b",".join(pieces) + _tail(asked.parallel_tool_calls, tools)
        data = b'{"input":' + question + b',"non_preferred_output":' + other + b',"preferred_output":' + wanted + b"}"
        letters = "".join([message.letter for message in messages])
        prompt = b",".join(piece for piece, letter in zip(pieces, letters, strict=False) if letter not in "sd")
        size = len(letters)
        answer = _answer_key(row.preferred_output[0].content)
        self._index.extend([size], [0] * size, letters.encode(), b"." * size, [_key(data)], [_key(prompt)], [answer])
        if self._counting is not None:
            self._counting.add_chats(messages, [message.content for message in messages], [size], [tools])
        return data


FORMS: dict[type[Any], str] = {
    ChatRow: ChatForm.name,
    CompletionRow: CompletionForm.name,
    PreferenceRow: PreferenceForm.name,
}


def forms(index: RowIndex, counting: Counting | None, tools: bytes | None) -> dict[str, Form]:
    """Return all forms by name over one index; `tools` are those of `dataset.tools`, canonical."""
    shared = Tools(tools)
    made = ChatForm(index, counting, shared), CompletionForm(index, counting), PreferenceForm(index, counting, shared)
    return {form.name: form for form in made}


def _without_content(messages: Sequence[Any], file: str, line: int) -> list[Problem]:
    text = "an assistant message needs content, tool_calls or a refusal"
    return [
        Problem("content", text, f"messages[{n}].content", file, line)
        for n, message in enumerate(messages)
        if message.content is None and not message.tool_calls and message.refusal is None
    ]


def _take_weights(messages: Sequence[Any]) -> bytes:
    """Remove the weights in the data and return them, one of `.01` per message."""
    weights = [message.weight for message in messages]
    if weights.count(None) == len(weights):
        return b"." * len(weights)
    for message in messages:
        message.weight = None
    return b"".join([b"." if weight is None else b"1" if weight else b"0" for weight in weights])


def _tail(parallel: bool | None, tools: bytes | None) -> bytes:
    """Return what follows the messages in a canonical line."""
    if parallel is None and tools is None:
        return b"]}"
    middle = b"" if parallel is None else b',"parallel_tool_calls":' + encode(parallel)
    return b"]" + middle + (b"" if tools is None else b',"tools":' + tools) + b"}"


def _key(data: bytes) -> bytes:
    return blake2b(data, digest_size=KEY).digest()


def _answer_key(content: Any) -> bytes:
    """Return 8 bytes for the last assistant text, zeros for none."""
    if content is None:
        return NO_ANSWER
    text = content if isinstance(content, str) else text_of(content)
    return blake2b(text.encode(), digest_size=ANSWER).digest()
