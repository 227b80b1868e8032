"""What an arm answered: one row of `responses.jsonl` an answer, and how a chat completion is read into it."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ftspec.evals.items import Item
from ftspec.storage import write_atomic
from ftspec.wire.errors import BadAnswer, read_error


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one answer as the provider counts them."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of an arm to an item. No times, no provider ids: equal answers are equal bytes.

    `text` is None where the model wrote none (tool calls only). `error` is set where there is no answer; then all else
    is None. `tool_calls` hold `{type, function: {name, arguments}}`, arguments as the model's own JSON text.
    """

    id: str
    arm: str
    sample: int
    key: str
    text: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    fingerprint: str | None = None
    error: str | None = None


class _Function(msgspec.Struct):
    name: str
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    function: _Function


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    model: str | None = None
    system_fingerprint: str | None = None
    usage: Usage | None = None


_decoder = msgspec.json.Decoder(_Completion)
_rows = msgspec.json.Decoder(Response)
encode = msgspec.json.Encoder().encode


def read_completion(body: bytes, *, id: str, arm: str, sample: int, key: str) -> Response:
    """Read a chat completion. Raises BadAnswer for a body that is none: HTML, an error body, no choices.

    A refusal is the model's text. A content filter of the host is no answer of the model: an error.
    """
    try:
        completion = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad_answer(body, error) from error
    if not completion.choices:
        raise BadAnswer("bad_answer", "the host answered without choices")
    choice = completion.choices[0]
    if choice.finish_reason == "content_filter":
        return Response(id=id, arm=arm, sample=sample, key=key, error="content_filter: the host withheld the answer")
    message = choice.message
    calls = [
        {"type": "function", "function": {"name": call.function.name, "arguments": call.function.arguments}}
        for call in message.tool_calls or ()
    ]
    return Response(
        id=id,
        arm=arm,
        sample=sample,
        key=key,
        text=message.content if message.content is not None else message.refusal,
        tool_calls=calls or None,
        finish_reason=choice.finish_reason,
        usage=completion.usage,
        model=completion.model,
        fingerprint=completion.system_fingerprint,
    )


def _bad_answer(body: bytes, error: Exception) -> BadAnswer:
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return BadAnswer("bad_answer", "the host answered with a success status and no JSON")
    if isinstance(raw, dict) and raw.get("error"):
        code, message, _ = read_error(raw)
        return BadAnswer(code or "bad_answer", f"the host answered an error with a success status: {message}")
    return BadAnswer("bad_answer", f"the host answered no chat completion: {error}")


def read_responses(path: Path) -> list[Response]:
    """Read a `responses.jsonl`; the later row of an answer wins, a torn last line is left out, a missing file is empty.

    Raises msgspec.DecodeError for a complete line that is no row.
    """
    found: dict[tuple[str, str, int], Response] = {}
    if path.exists():
        with path.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    row = _rows.decode(line)
                    found[row.arm, row.id, row.sample] = row
    return list(found.values())


def in_order(responses: Iterable[Response], items: Iterable[Item], arms: Iterable[str]) -> list[Response]:
    """Sort rows by arm, item and sample, in the suite's order; rows of unknown arms or items are dropped."""
    item_rank = {item.id: rank for rank, item in enumerate(items)}
    arm_rank = {arm: rank for rank, arm in enumerate(arms)}
    kept = [row for row in responses if row.id in item_rank and row.arm in arm_rank]
    return sorted(kept, key=lambda row: (arm_rank[row.arm], item_rank[row.id], row.sample))


def write_rows(path: Path, rows: Iterable[Any]) -> None:
    """Replace a JSON-lines file by these rows in one step, so that its bytes do not depend on who answered first."""
    write_atomic(path, b"".join(encode(row) + b"\n" for row in rows))


def majority_responses(arm: str, items: Iterable[Item], answer: str, samples: int = 1) -> list[Response]:
    """Return the answers of the arm that always says the commonest training label; no model is asked."""
    return [
        Response(id=item.id, arm=arm, sample=sample, key="majority", text=answer)
        for item in items
        for sample in range(samples)
    ]


def sample_of(response: Response, *, parse: str = "text") -> Mapping[str, Any]:
    """Return what `{{ sample.x }}` sees; a path that the model left empty is absent."""
    sample: dict[str, Any] = {}
    if response.text is not None:
        sample["output_text"] = response.text
        if parse == "json":
            with suppress(msgspec.DecodeError, UnicodeEncodeError, RecursionError):
                sample["output_json"] = msgspec.json.decode(response.text)
    if response.tool_calls:
        sample["output_tools"] = response.tool_calls
    return sample
