"""`/chat/completions`: one answer, or the same as server-sent events."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ftspec.server.bodies import read_json
from ftspec.server.models import Models
from ftspec.server.problems import ApiError
from ftspec.server.state import Generator
from ftspec.wire.chat import ChatCompletionCreate, parse_chat
from ftspec.wire.ids import new_id

BREAKDOWNS = (None, "internal_error", "generator_failed", "broken_base", "broken_weights", "digest_mismatch")


class Chat:
    """The endpoint of `/chat/completions`."""

    def __init__(self, models: Models, generator: Generator) -> None:
        self.models, self.generator = models, generator

    async def create(self, request: Request) -> Response:
        """`POST /chat/completions`."""
        wanted = parse_chat(await read_json(request))
        model, digest = self.models.for_generation(wanted.model)
        answer = await self.generator.generate(_generation(wanted, model))
        if (error := answer.get("error")) is not None:
            raise _generation_error(error)
        completion = _completion(wanted, answer, digest)
        if not wanted.stream:
            return JSONResponse(completion)
        include_usage = wanted.stream_options is not None and wanted.stream_options.include_usage
        return StreamingResponse(_events(completion, include_usage), media_type="text/event-stream")


def _generation(wanted: ChatCompletionCreate, model: dict[str, Any]) -> dict[str, Any]:
    """The generator's request. Without a seed each request draws its own."""
    return {
        "model": model,
        "messages": [message.plain() for message in wanted.messages],
        "tools": None if wanted.tools is None else [tool.model_dump(exclude_none=True) for tool in wanted.tools],
        "limit": wanted.limit,
        "temperature": wanted.temperature,
        "top_p": wanted.top_p,
        "seed": secrets.randbits(31) if wanted.seed is None else wanted.seed,
        "stop": wanted.stops,
        "n": wanted.n,
        "logprobs": wanted.logprobs,
        "top_logprobs": wanted.top_logprobs,
    }


def _generation_error(error: dict[str, Any]) -> ApiError:
    """What the generator refused is the request's fault, but for its own breakdowns."""
    code = error.get("code")
    return ApiError(400 if code not in BREAKDOWNS else 500, str(error["message"]), code=code, param=error.get("param"))


def _completion(wanted: ChatCompletionCreate, answer: dict[str, Any], digest: str) -> dict[str, Any]:
    choices = []
    for index, choice in enumerate(answer["choices"]):
        message = {"role": "assistant", "content": choice["text"], "refusal": None}
        if choice.get("tool_calls"):
            message["tool_calls"] = choice["tool_calls"]
        choices.append(
            {
                "index": index,
                "finish_reason": choice["finish_reason"],
                "logprobs": _logprobs(choice.get("logprobs")),
                "message": message,
            }
        )
    prompt, completion = answer["prompt_tokens"], answer["completion_tokens"]
    return {
        "id": new_id("chatcmpl-"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": wanted.model,
        "choices": choices,
        "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        "system_fingerprint": answer.get("system_fingerprint") or f"fp_{digest[:12]}",
    }


def _logprobs(found: Any) -> dict[str, Any] | None:
    """As the API has them: `content`, a list of tokens, and no `refusal`."""
    if found is None:
        return None
    return {"content": found["content"] if isinstance(found, dict) else found, "refusal": None}


def _events(completion: dict[str, Any], include_usage: bool) -> Iterator[bytes]:
    """Chunks of a finished answer: role, content and calls, finish reason, usage where asked, the end mark."""
    head = {key: completion[key] for key in ("id", "created", "model", "system_fingerprint")}
    head["object"] = "chat.completion.chunk"
    if include_usage:
        head["usage"] = None

    def chunk(choice: dict[str, Any], delta: dict[str, Any], **more: Any) -> bytes:
        part = {"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": None, **more}
        return _event({**head, "choices": [part]})

    for choice in completion["choices"]:
        message = choice["message"]
        yield chunk(choice, {"role": "assistant", "content": "", "refusal": None})
        if message["content"]:
            yield chunk(choice, {"content": message["content"]}, logprobs=choice["logprobs"])
        for index, call in enumerate(message.get("tool_calls") or []):
            yield chunk(choice, {"tool_calls": [{"index": index, **call}]})
        yield chunk(choice, {}, finish_reason=choice["finish_reason"])
    if include_usage:
        yield _event({**head, "choices": [], "usage": completion["usage"]})
    yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
