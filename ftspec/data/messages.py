"""One raw row to one row of messages: chat rows as they are, other rows through the template of `dataset.messages`."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import UNSET

from ftspec.data import template
from ftspec.data.chat import (
    Assistant,
    ChatRow,
    CompletionRow,
    Developer,
    System,
    Tool,
    User,
    with_metadata,
)
from ftspec.data.fields import Fields
from ftspec.data.issues import BadRowError
from ftspec.data.preference import PreferenceRow
from ftspec.data.readers import json_problem
from ftspec.data.validate import explain, explain_line, find_surrogate
from ftspec.spec.dataset import TemplateMessage
from ftspec.spec.errors import Problem, SpecError

Row = ChatRow | CompletionRow | PreferenceRow
Metadata = dict[str, Any]


class Mapper(Protocol):
    """Makes rows of raw rows."""

    def __call__(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        """Return the row and its declared metadata. Raises BadRowError."""
        ...

    def problems(self) -> list[Problem]:
        """Return what fits no row, once all rows were seen."""
        ...


_FLAGS: dict[str, dict[Any, int]] = {
    "trainable": {True: 1, False: 0},
    "loss": {True: 1, False: 0},
    "train": {True: 1, False: 0},
    "masked": {True: 0, False: 1},
    "loss_weight": {1: 1, 0: 0},
}


class ReadyRows:
    """Chat, completion or preference rows as they are. `flag` names the key that holds weights in the data."""

    def __init__(self, metadata: Sequence[str], flag: str) -> None:
        self._names = tuple(metadata)
        self._flag = flag
        self._chat: Any = with_metadata(ChatRow, self._names)
        self._completion: Any = with_metadata(CompletionRow, self._names)
        self._preference: Any = with_metadata(PreferenceRow, self._names)
        self._decode_chat = msgspec.json.Decoder(self._chat).decode
        self._others = [msgspec.json.Decoder(kind).decode for kind in (self._completion, self._preference)]

    def __call__(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        """Return the row and its declared metadata. Raises BadRowError."""
        if isinstance(raw, dict) or self._flag != "weight":
            return self._from_object(raw, file, line)
        said = ""
        for decode in (self._decode_chat, *self._others):
            try:
                return self._split(decode(raw))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                said = _plain(error) if not said or b'"preferred_output"' in raw else said
        raise BadRowError(explain_line(raw, said, self._names, file, line))

    def problems(self) -> list[Problem]:
        """Return nothing: ready rows are taken as they are."""
        return []

    def _from_object(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        value = row_object(raw, file, line) if isinstance(raw, bytes) else raw
        problems: list[Problem] = []
        if self._flag != "weight":
            value = _with_weights(value, self._flag, file, line, problems)
        if problems:
            raise BadRowError(problems)
        if find_surrogate(value) is not None:
            raise BadRowError(explain(value, "broken Unicode", self._names, file, line))
        row: Any
        try:
            row = msgspec.convert(value, self._kind(value), strict=True)
        except msgspec.MsgspecError as error:
            raise BadRowError(explain(value, _plain(error), self._names, file, line)) from None
        return self._split(row)

    def _kind(self, value: dict[str, Any]) -> Any:
        if "completion" in value:
            return self._completion
        return self._preference if "preferred_output" in value else self._chat

    def _split(self, row: Any) -> tuple[Row, Metadata]:
        """Return the row without its metadata, and the metadata."""
        if not self._names:
            return row, {}
        values = ((name, getattr(row, f"m{n}", UNSET)) for n, name in enumerate(self._names))
        metadata = {name: msgspec.json.decode(value) for name, value in values if value is not UNSET}
        for name in self._names:
            if name in row.__struct_fields__ and getattr(row, name) is not UNSET:
                metadata[name] = msgspec.json.decode(msgspec.json.encode(getattr(row, name)))
        if isinstance(row, ChatRow):
            return ChatRow(row.messages, row.tools, row.parallel_tool_calls), metadata
        if isinstance(row, PreferenceRow):
            return PreferenceRow(row.input, row.preferred_output, row.non_preferred_output), metadata
        return CompletionRow(row.prompt, row.completion), metadata


def _plain(error: Exception) -> str:
    """Return msgspec's message in our form of paths."""
    return str(error).replace("`$.", "`").replace(" - at ", ", at ")


def row_object(raw: bytes, file: str, line: int) -> dict[str, Any]:
    """Return a raw row as an object. Raises BadRowError."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        broken = json_problem(raw, file, line)
        raise BadRowError([broken] if broken else explain_line(raw, _plain(error), (), file, line)) from None
    if not isinstance(value, dict):
        raise BadRowError([Problem("json", "a row is an object", file=file, line=line)])
    return value


def _with_weights(row: dict[str, Any], flag: str, file: str, line: int, problems: list[Problem]) -> dict[str, Any]:
    """Return the row with its flags of another tool as `weight`; both keys in one message are an error."""
    messages = row.get("messages")
    if not isinstance(messages, list):
        return row
    renamed = []
    for n, message in enumerate(messages):
        if isinstance(message, dict) and flag in message:
            message = dict(message)
            value, path = message.pop(flag), f"messages[{n}].{flag}"
            number = flag == "loss_weight"
            known = (
                isinstance(value, int | float) and not isinstance(value, bool) if number else isinstance(value, bool)
            )
            if "weight" in message:
                problems.append(Problem("weight", f"weight and {flag} in one message", path, file, line))
            elif value is not None and (not known or value not in _FLAGS[flag]):
                fix = "only 0 and 1 can be trained" if number else "write true or false"
                problems.append(Problem("weight", f"{flag} is {value!r}", path, file, line, fix=fix))
            elif value is not None:
                message["weight"] = _FLAGS[flag][value]
        renamed.append(message)
    return row | {"messages": renamed}


class _Recipe(NamedTuple):
    """One message of the template, parsed; `texts` are the fields that become strings."""

    role: str
    content: template.Template | None
    calls: template.Template | None
    texts: dict[str, template.Template]
    weight: int | None


class TemplateRows:
    """Rows whose messages are made by `dataset.messages`; `metadata` names fields kept beside the row.

    `tools` is a template of one field that holds the row's tool definitions, None where rows have none of their own.
    """

    def __init__(
        self, messages: Sequence[TemplateMessage], metadata: Sequence[str], tools: str | None, fields: Fields
    ) -> None:
        self._names = tuple(metadata)
        self._tools = template.parse(tools) if tools is not None else None
        self._fields = fields
        self._recipes: list[_Recipe] = []
        wrong: list[Problem] = []
        for n, message in enumerate(messages):
            try:
                self._recipes.append(_recipe(n, message))
            except SpecError as error:
                wrong += error.problems
        if wrong:
            raise SpecError.many(wrong)

    def __call__(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        """Return the row and its declared metadata. Raises BadRowError with every missing field at once."""
        scope = self._fields(row_object(raw, file, line) if isinstance(raw, bytes) else raw, file, line)
        problems: list[Problem] = []
        messages = [_fill(n, recipe, scope, file, line, problems) for n, recipe in enumerate(self._recipes)]
        tools = self._row_tools(scope, file, line, problems)
        if problems:
            raise BadRowError(problems)
        row = ChatRow(messages)
        if tools is not None:
            row.tools = msgspec.Raw(msgspec.json.encode(tools))
        return row, {name: scope[name] for name in self._names if name in scope}

    def problems(self) -> list[Problem]:
        """Return the values of `dataset.replace` that no row has."""
        return self._fields.problems()

    def _row_tools(self, scope: dict[str, Any], file: str, line: int, problems: list[Problem]) -> Any:
        """Return the row's own tools, None where its field is null or empty."""
        if self._tools is None:
            return None
        try:
            return self._tools.render(scope) or None
        except template.MissingFieldError as error:
            problems.append(Problem("missing_field", f"no field {error.path}", "tools", file, line))
            return None


def _recipe(n: int, message: TemplateMessage) -> _Recipe:
    def parse(key: str, text: Any) -> template.Template | None:
        if text is None:
            return None
        try:
            return template.parse(str(text))
        except SpecError as error:
            wrong = error.problems[0]
            raise SpecError(wrong.code, wrong.message, path=f"dataset.messages[{n}].{key}", fix=wrong.fix) from None

    texts = {"name": parse("name", message.name), "tool_call_id": parse("tool_call_id", message.tool_call_id)}
    return _Recipe(
        message.role,
        parse("content", message.content),
        parse("tool_calls", message.tool_calls),
        {key: found for key, found in texts.items() if found is not None},
        message.weight,
    )


def _fill(n: int, recipe: _Recipe, scope: dict[str, Any], file: str, line: int, problems: list[Problem]) -> Any:
    """Return one message, or None after adding to `problems`."""
    before = len(problems)

    def filled(found: template.Template) -> Any:
        for place in found.places:
            try:
                if place.find(scope) is None:
                    problems.append(Problem("null_field", f"field {place.path} is null", "", file, line))
            except template.MissingFieldError:
                has = ", ".join(list(scope)[:8])
                near = get_close_matches(place.path, [str(key) for key in scope], n=1)
                fix = f"did you mean {near[0]}?" if near else ""
                message = f"no field {place.path} (the row has: {has})"
                problems.append(Problem("missing_field", message, "", file, line, fix=fix))
        return found.render(scope, lambda path: "") if len(problems) == before else None

    plain: dict[str, Any] = {}
    try:
        plain |= {key: template.text_of(filled(found)) for key, found in recipe.texts.items()}
        if recipe.content is not None:
            content = filled(recipe.content)
            plain["content"] = content if _is_parts(content) else template.text_of(content)
    except template.NoTextError as error:
        problems.append(Problem("number", str(error), f"messages[{n}]", file, line))
        return None
    if recipe.calls is not None:
        plain["tool_calls"] = filled(recipe.calls)
    if len(problems) > before:
        return None
    if (hit := find_surrogate(plain)) is not None:
        message = f"character {hit[1] + 1} is half of a surrogate pair (broken Unicode)"
        problems.append(Problem("surrogate", message, f"messages[{n}].{hit[0]}", file, line))
        return None
    plain["role"] = recipe.role
    try:
        made = msgspec.convert(plain, _KINDS[recipe.role], strict=True)
    except msgspec.MsgspecError as error:
        wrong = explain({"messages": [plain]}, _plain(error), (), file, line)
        problems += [replace(one, path=one.path.replace("messages[0]", f"messages[{n}]", 1)) for one in wrong]
        return None
    made.weight = recipe.weight
    return made


def _is_parts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(p, dict) and "type" in p for p in value)


_KINDS: dict[str, type[Any]] = {
    "system": System,
    "developer": Developer,
    "user": User,
    "assistant": Assistant,
    "tool": Tool,
}
