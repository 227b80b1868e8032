"""Strict body of `POST /chat/completions`, as far as the embedded server implements it.

What is not implemented is refused by name; only values that change nothing (`presence_penalty: 0`) are let through.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ftspec.spec.errors import Problem
from ftspec.spec.model import Strict
from ftspec.wire import limits
from ftspec.wire.requests import InvalidRequest, Name, parse_body


class TextPart(Strict):
    """The one kind of content part a language model of text can read."""

    type: Literal["text"]
    text: str


Content = str | list[TextPart]


class FunctionCall(Strict):
    """A call as the model wrote it; `arguments` is a JSON string."""

    name: Name
    arguments: str


class ToolCall(Strict):
    """One call of an assistant message."""

    id: Name
    type: Literal["function"]
    function: FunctionCall


class Message(Strict):
    """One message. Which keys are allowed depends on the role."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: Name | None = None
    refusal: str | None = None
    tool_calls: Annotated[list[ToolCall], Field(min_length=1)] | None = None
    tool_call_id: Name | None = None

    @model_validator(mode="after")
    def _fits_role(self) -> "Message":
        if self.tool_calls is not None and self.role != "assistant":
            raise ValueError(f"tool_calls in a message of role {self.role!r}")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("tool_call_id belongs to messages of role 'tool', and to each of them")
        if self.refusal is not None and self.role != "assistant":
            raise ValueError(f"refusal in a message of role {self.role!r}")
        if self.name is not None and self.role == "tool":
            raise ValueError("name in a message of role 'tool'")
        if self.content is None and self.tool_calls is None and self.refusal is None:
            raise ValueError("content is missing")
        return self

    @property
    def text(self) -> str | None:
        """The content as one string; parts are joined as they stand."""
        if self.content is None or isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)

    def plain(self) -> dict[str, Any]:
        """Return the message with content as one string and without empty keys."""
        out: dict[str, Any] = {"role": self.role, "content": self.text}
        out |= {key: value for key in ("name", "refusal", "tool_call_id") if (value := getattr(self, key)) is not None}
        if self.tool_calls is not None:
            out["tool_calls"] = [call.model_dump() for call in self.tool_calls]
        return out


class FunctionDefinition(Strict):
    """A function the model may call; `parameters` is a JSON Schema."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    """One declared tool."""

    type: Literal["function"]
    function: FunctionDefinition


class StreamOptions(Strict):
    """`include_usage` adds one last chunk without choices."""

    include_usage: bool = False


class ChatCompletionCreate(Strict):
    """Body of `POST /chat/completions`. Temperature 0 is greedy and deterministic."""

    model: Name
    messages: Annotated[list[Message], Field(min_length=1)]
    tools: Annotated[list[Tool], Field(min_length=1, max_length=limits.TOOLS)] | None = None
    temperature: Annotated[float, Field(ge=limits.TEMPERATURE[0], le=limits.TEMPERATURE[1])] = 1.0
    top_p: Annotated[float, Field(ge=limits.TOP_P[0], le=limits.TOP_P[1])] = 1.0
    n: Annotated[int, Field(ge=limits.CHOICES[0], le=limits.CHOICES[1])] = 1
    stop: str | Annotated[list[str], Field(max_length=limits.STOP_SEQUENCES)] = []
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=limits.PENALTY[0], le=limits.PENALTY[1])] = 0.0
    frequency_penalty: Annotated[float, Field(ge=limits.PENALTY[0], le=limits.PENALTY[1])] = 0.0
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=limits.TOP_LOGPROBS[0], le=limits.TOP_LOGPROBS[1])] = 0
    stream: bool = False
    stream_options: StreamOptions | None = None

    @field_validator("stop")
    @classmethod
    def _no_empty_stop(cls, stop: str | list[str]) -> str | list[str]:
        if stop == "" or "" in ([stop] if isinstance(stop, str) else stop):
            raise ValueError("an empty stop sequence")
        return stop

    @property
    def limit(self) -> int | None:
        """The most tokens an answer may have; None: up to the model's context."""
        return self.max_completion_tokens if self.max_completion_tokens is not None else self.max_tokens

    @property
    def stops(self) -> list[str]:
        """Stop sequences as a list."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop)


# Keys that are known to the API, absent here, and harmless at these values alone.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "logit_bias": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "tool_choice": ("auto",),
}
# What a client sends back of an answer that it got: empty, so it says nothing.
_ECHOED: dict[str, tuple[Any, ...]] = {"annotations": ([],)}


def parse_chat(body: Any) -> ChatCompletionCreate:
    """Check a decoded chat body: nulls count as absent, neutral values of unimplemented keys are dropped.

    Raises InvalidRequest; `unsupported_parameter` for anything that would otherwise be silently ignored.
    """
    if isinstance(body, dict):
        body = _without(body, _NEUTRAL)
        if isinstance(body.get("messages"), list):
            messages = [_without(item, _ECHOED) if isinstance(item, dict) else item for item in body["messages"]]
            body["messages"] = messages
    request = parse_body(ChatCompletionCreate, body)
    _check_together(request)
    return request


def _without(body: dict[str, Any], neutral: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    def keep(key: str, value: Any) -> bool:
        return value is not None and not any(type(value) is type(n) and value == n for n in neutral.get(key, ()))

    return {key: value for key, value in body.items() if keep(key, value)}


def _check_together(request: ChatCompletionCreate) -> None:
    """Rules over more than one field."""
    found = []
    if request.max_completion_tokens is not None and request.max_tokens is not None:
        found.append(Problem("invalid_value", "Give max_completion_tokens or max_tokens, not both.", path="max_tokens"))
    if "top_logprobs" in request.model_fields_set and not request.logprobs:
        found.append(Problem("invalid_value", "'top_logprobs' needs 'logprobs': true.", path="top_logprobs"))
    if request.stream_options is not None and not request.stream:
        found.append(Problem("invalid_value", "'stream_options' needs 'stream': true.", path="stream_options"))
    for name in ("presence_penalty", "frequency_penalty"):
        if getattr(request, name) != 0:
            message = f"Unsupported parameter: '{name}' other than 0 is not supported here."
            found.append(Problem("unsupported_parameter", message, path=name))
    if found:
        raise InvalidRequest.many(found)
