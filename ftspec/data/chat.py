"""One row as it is trained on: frozen shapes that check while they decode, and its canonical bytes.

`Encoder(order="sorted")` equals RFC 8785 for every string and ASCII key, so lines are canonical; `tools` may hold
floats and exotic keys and is therefore kept raw and canonicalised by rfc8785 (`canonical_tools`).
Field names are those of the OpenAI chat format (platform.openai.com/docs/api-reference/fine-tuning/chat-input).
"""

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

Bit = Literal[0, 1]


class Function(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Name and arguments of a call; `arguments` is a JSON text, never re-encoded."""

    name: str
    arguments: str


class ToolCall(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A function call that an assistant makes."""

    id: str
    type: Literal["function"]
    function: Function


class TextPart(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag_field="type", tag="text"):
    """A piece of text inside a content list."""

    text: str


class ImageUrl(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Where an image lies: a URL or a data URL."""

    url: str
    detail: Literal["auto", "low", "high"] | None = None


class ImagePart(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag_field="type", tag="image_url"):
    """An image inside a user's content list."""

    image_url: ImageUrl


class System(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, tag_field="role", tag="system"):
    """Instructions."""

    letter: ClassVar[str] = "s"
    tool_calls: ClassVar[None] = None
    refusal: ClassVar[None] = None
    content: str | list[TextPart]
    name: str | None = None
    weight: Bit | None = None


class Developer(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, tag_field="role", tag="developer"):
    """Instructions, under the newer name."""

    letter: ClassVar[str] = "d"
    tool_calls: ClassVar[None] = None
    refusal: ClassVar[None] = None
    content: str | list[TextPart]
    name: str | None = None
    weight: Bit | None = None


class User(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, tag_field="role", tag="user"):
    """What the user says."""

    letter: ClassVar[str] = "u"
    tool_calls: ClassVar[None] = None
    refusal: ClassVar[None] = None
    content: str | list[TextPart | ImagePart]
    name: str | None = None
    weight: Bit | None = None


class Assistant(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, tag_field="role", tag="assistant"):
    """What the model answers; content may be absent only beside tool calls or a refusal."""

    letter: ClassVar[str] = "a"
    content: str | list[TextPart] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    weight: Bit | None = None


class Tool(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False, tag_field="role", tag="tool"):
    """What a called function returned."""

    letter: ClassVar[str] = "t"
    tool_calls: ClassVar[None] = None
    refusal: ClassVar[None] = None
    content: str | list[TextPart]
    tool_call_id: str
    name: str | None = None
    weight: Bit | None = None


Message = System | Developer | User | Assistant | Tool
ROLE = {"s": "system", "d": "developer", "u": "user", "a": "assistant", "t": "tool"}


class ChatRow(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One conversation."""

    messages: list[Message]
    tools: Raw | UnsetType = UNSET
    parallel_tool_calls: bool | None = None


class CompletionRow(Struct, forbid_unknown_fields=True, gc=False):
    """A prompt and its completion, for base models."""

    prompt: str
    completion: str


RESERVED = frozenset({"messages", "tools", "parallel_tool_calls", "prompt", "completion", "conversations", "functions"})


def with_metadata(base: type[Struct], names: Iterable[str]) -> type[Struct]:
    """Return `base` with declared metadata fields (`m0`, `m1`, ... renamed) kept raw; others stay errors.

    A field that rows of this kind have anyway is not added.
    """
    rename = {f"m{n}": name for n, name in enumerate(names) if name not in base.__struct_fields__}
    if not rename:
        return base
    extra = [(key, Raw | UnsetType, UNSET) for key in rename]
    return msgspec.defstruct(
        f"{base.__name__}WithMetadata", extra, bases=(base,), forbid_unknown_fields=True, rename=rename
    )


def text_of(content: str | list[Any] | None) -> str:
    """Return the text of a message's content; images count as nothing."""
    if isinstance(content, str):
        return content
    return "".join(part.text for part in content or () if isinstance(part, TextPart))


def prompt_end(letters: str) -> int:
    """Return how many messages stand before the last assistant turn (everything after a user message is its turn).

    `letters` is one letter a message (`Message.letter`). A row without an assistant message is prompt altogether.
    """
    last = letters.rfind("a")
    if last < 0:
        return len(letters)
    user = letters.rfind("u", 0, last)
    if user >= 0:
        return user + 1
    return next(n for n, letter in enumerate(letters) if letter not in "sd")
