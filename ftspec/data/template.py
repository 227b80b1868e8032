"""`{{ field }}`, the one template form: filled in a single pass, inserted text is never looked at again.

A place is a path (`text`, `a.b[0]`, `row["Customer name"]`) or a string literal (`{{ "{{" }}` writes two braces).
There are no filters, no expressions and no code.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ftspec.spec.errors import SpecError

_NAME = r"[A-Za-z_$@][\w$@-]*"
_QUOTED = r'\["(?:[^"\\]|\\.)*"\]'
_PATH = re.compile(rf"(?:{_NAME}|{_QUOTED})(?:\.{_NAME}|\.\d+|\[-?\d+\]|{_QUOTED})*")
_STEP = re.compile(rf"\.?(?P<name>{_NAME})|\.(?P<number>\d+)|\[(?P<index>-?\d+)\]|\[(?P<quoted>\"(?:[^\"\\]|\\.)*\")\]")
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')

Step = str | int
Missing = Callable[[str], Any]


class MissingFieldError(LookupError):
    """A place of a template that the scope does not hold; `path` is as written."""

    def __init__(self, path: str) -> None:
        super().__init__(f"no field {path}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Place:
    """One `{{ path }}`."""

    path: str
    steps: tuple[Step, ...]

    def find(self, scope: Any) -> Any:
        """Return the value at this place. Raises MissingFieldError."""
        value = scope
        for step in self.steps:
            try:
                if isinstance(value, Mapping):
                    value = value[step if isinstance(step, str) else str(step)]
                elif isinstance(value, list | tuple) and isinstance(step, int):
                    value = value[step]
                else:
                    raise MissingFieldError(self.path)
            except (KeyError, IndexError) as error:
                raise MissingFieldError(self.path) from error
        return value


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template: plain text and places, in order."""

    parts: tuple[str | Place, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        """The places alone."""
        return tuple(part for part in self.parts if isinstance(part, Place))

    def render(self, scope: Any, missing: Missing | None = None) -> Any:
        """Fill the places from `scope`; a template that is one place alone keeps the type of its value.

        `missing` is asked for the value of a path that the scope lacks; without it MissingFieldError is raised.
        """
        values = [part if isinstance(part, str) else _find(part, scope, missing) for part in self.parts]
        if len(self.parts) == 1 and isinstance(self.parts[0], Place):
            return values[0]
        return "".join(map(text_of, values))


def _find(place: Place, scope: Any, missing: Missing | None) -> Any:
    try:
        return place.find(scope)
    except MissingFieldError:
        if missing is None:
            raise
        return missing(place.path)


class NoTextError(ValueError):
    """A value without an exact text: a number inside a list or an object that JSON readers would round."""


def text_of(value: Any) -> str:
    """Return a value as text: strings raw, whole numbers in digits, everything else as canonical JSON (RFC 8785).

    Raises NoTextError.
    """
    if isinstance(value, str):
        return value
    try:
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        import rfc8785

        return rfc8785.dumps(value).decode()
    except (ValueError, RecursionError) as error:
        raise NoTextError("a number is too large to be written exactly: make it a text in the data") from error


@lru_cache(maxsize=4096)
def parse(template: str) -> Template:
    """Parse a template. Raises SpecError `template` for an unclosed or malformed place."""
    parts: list[str | Place] = []
    text: list[str] = []
    at = 0
    while (start := template.find("{{", at)) >= 0:
        text.append(template[at:start])
        at = start + 2
        while template[at : at + 1].isspace():
            at += 1
        literal, path = _LITERAL.match(template, at), _PATH.match(template, at)
        inner = literal or path
        end = template.find("}}", at) if inner is None else inner.end()
        while inner is not None and template[end : end + 1].isspace():
            end += 1
        if inner is None or not template.startswith("}}", end):
            raise _malformed(template, start)
        at = end + 2
        if literal is not None:
            text.append(_unquote(literal.group()))
        else:
            parts += ["".join(text)] if "".join(text) else []
            text = []
            parts.append(Place(inner.group(), _steps(inner.group())))
    text.append(template[at:])
    if "".join(text) or not parts:
        parts.append("".join(text))
    return Template(tuple(parts))


def _unquote(literal: str) -> str:
    return literal[1:-1] if literal.startswith("'") else str(json.loads(literal))


def _steps(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for found in _STEP.finditer(path):
        if found["name"] is not None:
            steps.append(found["name"])
        elif found["quoted"] is not None:
            steps.append(str(json.loads(found["quoted"])))
        else:
            steps.append(int(found["number"] or found["index"]))
    return tuple(steps)


def written(steps: Sequence[Step]) -> str:
    """Return steps as a template writes them: `a.b[0]`, `["Customer name"].b`."""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif re.fullmatch(_NAME, step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return text


def place_of(field: str) -> Place:
    """Return the place that a field given by its name or path alone means. Raises SpecError `template`."""
    found = _PATH.fullmatch(field)
    if found is None:
        fix = f"write a name, a path such as a.b[0], or any name in brackets: {written((field,))}"
        raise SpecError("template", f"not a field: {field!r}", fix=fix)
    return Place(field, _steps(field))


def path_or_name(field: str) -> Place:
    """Return the place of a field named in a key of the spec; what is no path is a name."""
    return Place(field, _steps(field) if _PATH.fullmatch(field) else (field,))


def _malformed(template: str, start: int) -> SpecError:
    line = template.count("\n", 0, start) + 1
    piece = template[start : start + 40].split("\n")[0]
    return SpecError(
        "template",
        f"not a field: {piece!r} (line {line} of the text)",
        fix="write {{ field }} or {{ a.b[0] }}; there are no filters; two braces as text are written {{ '{{' }}",
    )


def render(template: str, scope: Mapping[str, Any], *, missing: Missing | None = None) -> Any:
    """Fill `template` from `scope` in one pass; see `Template.render`. Raises SpecError for a malformed template."""
    return parse(template).render(scope, missing)


def fields(template: str) -> list[str]:
    """Return the paths a template asks for, in order, each once. Raises SpecError for a malformed template."""
    return list(dict.fromkeys(place.path for place in parse(template).places))
