"""The chat form of the embedded models: messages and tools to token ids with a weight each, and answers back.

    <tools> get_weather(city: string, unit?: c|f) Weather now <end>
    <sys> ... <end> <user> ... <end> <asst> <call> get_weather({"city": "Oslo"}) <end> <tool> ... <end> <asst> ... <end>

Messages are dicts in OpenAI's chat form. What the model needs not is left out and documented here: ids of tool calls
(their order decides) and descriptions of single parameters.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ftspec.engine.tokenizer import ASST, CALL, END, SYS, TOOL, TOOLS, USER, Tokenizer
from ftspec.spec.errors import DataError

ROLES = {"system": SYS, "developer": SYS, "user": USER, "assistant": ASST, "tool": TOOL, "function": TOOL}
FUNCTION_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
Message = Mapping[str, Any]


class Span(NamedTuple):
    """Where a message lies in the row: tokens `start` to `stop` (exclusive), of which `learned` have a weight."""

    start: int
    stop: int
    learned: int


class Encoded(NamedTuple):
    """One row. `weights[t]` is the weight of token t as a target; `spans` has one entry a message."""

    ids: list[int]
    weights: list[float]
    spans: list[Span]


class Answer(NamedTuple):
    """A generated answer: `text` (None where there are only calls) and the tool calls in OpenAI's form."""

    text: str | None
    tool_calls: list[dict[str, Any]]


def render(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Any]] | None = None,
    *,
    generation_prompt: bool = False,
) -> Encoded:
    """Encode a conversation; with `generation_prompt` it ends where the assistant is to speak.

    A message's weight (its `weight`; absent: 1 on assistant, 0 otherwise) holds for its text, calls and <end>; role
    tokens and names weigh 0. Raises DataError (`unsupported_content`, `unknown_role`, `broken_message`).
    """
    ids: list[int] = []
    weights: list[float] = []
    spans: list[Span] = []
    if tools:
        ids += [TOOLS, *tokenizer.encode("\n".join(signature(tool) for tool in tools)), END]
        weights += [0.0] * len(ids)
    start = len(ids)
    for message in messages:
        head, body = _blocks(tokenizer, message)
        default = 1 if message["role"] == "assistant" else 0
        weight = message.get("weight")
        value = default if weight is None else weight
        if not isinstance(value, int | float):
            raise DataError("broken_message", f"the weight of a message must be a number, not {value!r}")
        ids += head + body
        weights += [0.0] * len(head) + [float(value)] * len(body)
        spans.append(Span(start, len(ids), len(body) if value > 0 else 0))
        start = len(ids)
    if generation_prompt:
        ids.append(ASST)
        weights.append(0.0)
    return Encoded(ids, weights, spans)


def render_row(tokenizer: Tokenizer, row: Mapping[str, Any]) -> Encoded:
    """Encode a training row: `messages` with optional `tools` (or old `functions`), or `prompt` and `completion`."""
    return render(tokenizer, *conversation(row))


def conversation(row: Mapping[str, Any]) -> tuple[Sequence[Message], Sequence[Mapping[str, Any]] | None]:
    """Messages and tools of a training row. Raises DataError (`broken_row`) for any other shape."""
    if "messages" in row:
        messages = row["messages"]
        if not isinstance(messages, list) or not messages:
            raise DataError("broken_row", "messages must be a list of at least one message")
        tools = row.get("tools")
        if tools is None and isinstance(row.get("functions"), list):
            tools = [{"type": "function", "function": function} for function in row["functions"]]
        if tools is not None and not isinstance(tools, list):
            raise DataError("broken_row", "tools must be a list")
        return messages, tools
    prompt, completion = row.get("prompt"), row.get("completion")
    if isinstance(prompt, str) and isinstance(completion, str):
        return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}], None
    raise DataError("broken_row", "a row has messages, or prompt and completion")


def _blocks(tokenizer: Tokenizer, message: Message) -> tuple[list[int], list[int]]:
    """Ids of one message that are never learned (role, name) and those that its weight rules."""
    role = message.get("role") if isinstance(message, Mapping) else None
    if not isinstance(role, str) or role not in ROLES:
        raise DataError("unknown_role", f"a message has the role {role!r}; known are {', '.join(ROLES)}")
    head = [ROLES[role]]
    name = message.get("name")
    if name is not None and not isinstance(name, str):
        raise DataError("broken_message", "the name of a message must be text")
    if name is not None and role in ("system", "developer", "user", "assistant"):
        head += tokenizer.encode(f"{name}: ")
    body = tokenizer.encode(text_of(message))
    for call in _calls(message):
        body += [CALL, *tokenizer.encode(call)]
    return head, [*body, END]


def text_of(message: Message) -> str:
    """The text of a message's content, which is a string, text parts or absent (then a refusal counts as the text)."""
    content = message.get("content")
    if content is None:
        content = message.get("refusal")
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise DataError("broken_message", "content must be a string or a list of parts")
    texts = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        value = part.get(kind) if isinstance(part, Mapping) and kind in ("text", "refusal") else None
        if not isinstance(value, str):
            raise DataError("unsupported_content", f"the embedded models read text only, not a part of type {kind!r}")
        texts.append(value)
    return "".join(texts)


def _calls(message: Message) -> list[str]:
    """Tool calls as `name(arguments)`, the arguments as they stand in the row."""
    try:
        calls = [call["function"] for call in message.get("tool_calls") or []]
        if message.get("function_call"):
            calls.append(message["function_call"])
        if not all(isinstance(call[key], str) for call in calls for key in ("name", "arguments")):
            raise TypeError
        return [f"{call['name']}({call['arguments']})" for call in calls]
    except (KeyError, TypeError) as error:
        raise DataError("broken_message", "a tool call needs a function with name and arguments, both text") from error


def signature(tool: Mapping[str, Any]) -> str:
    """A function definition as one line: `name(a: string, b?: x|y) description`."""
    function = tool.get("function", tool) if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise DataError("broken_tool", "a tool needs a function with a name")
    parameters = function.get("parameters") or {}
    if not isinstance(parameters, Mapping):
        raise DataError("broken_tool", f"the parameters of {function['name']} must be an object")
    description = " ".join(str(function.get("description") or "").split())
    return f"{function['name']}({_fields(parameters)}) {description}".rstrip()


def _fields(schema: Mapping[str, Any]) -> str:
    required, properties = schema.get("required") or [], schema.get("properties") or {}
    if not isinstance(required, list) or not isinstance(properties, Mapping):
        raise DataError("broken_tool", "parameters need `properties` as an object and `required` as a list")
    return ", ".join(f"{key}{'' if key in required else '?'}: {_type(value)}" for key, value in properties.items())


def _type(schema: Any) -> str:
    """A JSON Schema type in the short form that the models read."""
    if not isinstance(schema, Mapping):
        return "any"
    if isinstance(schema.get("enum"), list):
        return "|".join(str(value) for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"{_type(schema.get('items'))}[]"
    if kind == "object" and schema.get("properties"):
        return "{" + _fields(schema) + "}"
    return "|".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def parse(tokenizer: Tokenizer, ids: Sequence[int]) -> Answer:
    """Read a generated answer (without its <end>): text, then calls. A call without a proper name stays text."""
    parts: list[list[int]] = [[]]
    for token in ids:
        if token == CALL:
            parts.append([])
        else:
            parts[-1].append(token)
    text = tokenizer.decode(parts[0])
    calls: list[dict[str, Any]] = []
    for part in parts[1:]:
        source = tokenizer.decode(part)
        name, bracket, rest = source.partition("(")
        if not FUNCTION_NAME.fullmatch(name.strip()) or not bracket:
            text += source
            continue
        arguments = rest[:-1] if rest.endswith(")") else rest
        function = {"name": name.strip(), "arguments": arguments}
        identity = hashlib.sha256(json.dumps([len(calls), function]).encode()).hexdigest()[:24]
        calls.append({"id": f"call_{identity}", "type": "function", "function": function})
    return Answer(text if text or not calls else None, calls)
