"""Raw rows to rows of messages through the template of `dataset.messages`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from ftspec.data import template
from ftspec.data.chat import Assistant, ChatRow, Developer, System, Tool, User
from ftspec.data.fields import Fields
from ftspec.data.issues import BadRowError
from ftspec.data.lacking import Unmet
from ftspec.data.messages import Metadata, Row, plain_message, row_object
from ftspec.data.validate import explain, find_surrogate
from ftspec.spec.dataset import TemplateMessage
from ftspec.spec.errors import Problem, Problems, SpecError


class _Filled(NamedTuple):
    """One key of a message that is a template, and its place in the spec."""

    key: str
    where: str
    made: template.Template


class _Recipe(NamedTuple):
    """One message of the template, parsed."""

    role: str
    filled: tuple[_Filled, ...]
    weight: int | None


class TemplateRows:
    """Rows whose messages are made by `dataset.messages`; `metadata` names fields kept beside the row.

    `tools` is the field that holds the row's tool definitions, None where rows have none of their own; `by` the field
    that the split goes by, None where it goes by the messages; `unmet` watches for metadata that no row has.
    """

    def __init__(
        self,
        messages: Sequence[TemplateMessage],
        metadata: Sequence[str],
        tools: str | None,
        by: str | None,
        fields: Fields,
        unmet: Unmet,
    ) -> None:
        self._names = tuple(metadata)
        self._by = template.Place(by, (by,)) if by is not None else None
        self._fields = fields
        self._unmet = unmet
        self._lacking = fields.lacking
        problems = Problems()
        self._tools = problems.try_to(lambda: _tools_place(tools)) if tools is not None else None
        recipes = [problems.try_to(lambda n=n, m=m: _recipe(n, m)) for n, m in enumerate(messages)]  # type: ignore[misc]
        problems.raise_as(SpecError)
        self._recipes = [recipe for recipe in recipes if recipe is not None]

    def __call__(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        """Return the row and its declared metadata. Raises BadRowError; fields that are missing are told by `lacks`."""
        row = row_object(raw, file, line) if isinstance(raw, bytes) else raw
        self._lacking.rows[file] += 1
        scope = self._fields(row, file, line)
        self._unmet.see(scope)
        problems: list[Problem] = []
        messages = [self._fill(n, recipe, scope, file, line, problems) for n, recipe in enumerate(self._recipes)]
        tools = self._row_tools(scope, file, line)
        split = self._by is None or self._has("dataset.split.by", self._by, scope, file, line)
        if problems or None in messages or tools is _MISSING or not split:
            raise BadRowError(problems)
        made = ChatRow(messages)
        if tools is not None:
            made.tools = msgspec.Raw(msgspec.json.encode(tools))
        return made, {name: scope[name] for name in self._names if name in scope}

    def lacks(self) -> list[Problem]:
        """Return the fields that no row has, at the template, and those that some rows lack, at the first of them."""
        return self._lacking.problems()

    def problems(self) -> list[Problem]:
        """Return the metadata, and the values of `dataset.replace`, that no row has."""
        return [*self._unmet.problems(), *self._fields.problems()]

    def _row_tools(self, scope: dict[str, Any], file: str, line: int) -> Any:
        """Return the row's own tools, None where its field is null or empty."""
        if self._tools is None:
            return None
        try:
            return self._tools.find(scope) or None
        except template.MissingFieldError:
            self._lacking.missing(_TOOLS, self._tools, scope, file, line)
            return _MISSING

    def _fill(
        self, n: int, recipe: _Recipe, scope: dict[str, Any], file: str, line: int, problems: list[Problem]
    ) -> Any:
        """Return one message, or None after telling why."""
        parts: dict[str, Any] = {}
        whole = True
        for key, where, made in recipe.filled:
            if self._holds(where, made, scope, file, line):
                parts[key] = made.render(scope)
            else:
                whole = False
        if not whole:
            return None
        try:
            return _message(n, recipe, parts, file, line)
        except BadRowError as error:
            problems += error.problems
            return None

    def _holds(self, where: str, made: template.Template, scope: dict[str, Any], file: str, line: int) -> bool:
        """Tell whether a row has every field of a template; what it lacks is taken down."""
        return False not in [self._has(where, place, scope, file, line) for place in made.places]

    def _has(self, where: str, place: template.Place, scope: dict[str, Any], file: str, line: int) -> bool:
        try:
            if place.find(scope) is not None:
                return True
            self._lacking.null(where, place, file, line)
        except template.MissingFieldError:
            self._lacking.missing(where, place, scope, file, line)
        return False


_MISSING: Any = object()
_TOOLS = "dataset.tools.field"


def _tools_place(field: str) -> template.Place:
    try:
        return template.place_of(field)
    except SpecError as error:
        raise SpecError.many([replace(error.problems[0], path=_TOOLS)]) from None


def _recipe(n: int, message: TemplateMessage) -> _Recipe:
    found: list[_Filled] = []
    wrong: list[Problem] = []
    for key in ("name", "tool_call_id", "content", "tool_calls"):
        text = getattr(message, key)
        where = f"dataset.messages[{n}].{key}"
        try:
            found += [_Filled(key, where, template.parse(str(text)))] if text is not None else []
        except SpecError as error:
            wrong.append(replace(error.problems[0], path=where))
    if wrong:
        raise SpecError.many(wrong)
    return _Recipe(message.role, tuple(found), message.weight)


def _message(n: int, recipe: _Recipe, parts: dict[str, Any], file: str, line: int) -> Any:
    """Return a message of its filled parts. Raises BadRowError."""
    plain: dict[str, Any] = {}
    try:
        for key, value in parts.items():
            kept = key == "tool_calls" or (key == "content" and _is_parts(value))
            plain[key] = value if kept else template.text_of(value)
    except template.NoTextError as error:
        raise BadRowError([Problem("number", str(error), f"messages[{n}]", file, line)]) from None
    if (hit := find_surrogate(plain)) is not None:
        message = f"character {hit[1] + 1} is half of a surrogate pair (broken Unicode)"
        raise BadRowError([Problem("surrogate", message, f"messages[{n}].{hit[0]}", file, line)])
    plain["role"] = recipe.role
    try:
        made = msgspec.convert(plain, _KINDS[recipe.role], strict=True)
    except msgspec.MsgspecError as error:
        wrong = explain({"messages": [plain]}, plain_message(error), (), file, line)
        wrong = [replace(one, path=one.path.replace("messages[0]", f"messages[{n}]", 1)) for one in wrong]
        raise BadRowError(wrong) from None
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
