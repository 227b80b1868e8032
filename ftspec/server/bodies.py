"""Reading request bodies with a bound on their size."""

from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from ftspec.server.problems import ApiError
from ftspec.wire import limits

JSON_BYTES = 16 * 2**20
UPLOAD_BYTES = limits.FILE_BYTES + 2**20  # the parts' headers come on top of the file


def _too_large(most: int) -> ApiError:
    return ApiError(413, f"The request is larger than {most} bytes.", code="request_too_large")


async def read_json(request: Request) -> Any:
    """Return the decoded body. Raises ApiError 400 for anything but UTF-8 JSON (NaN and lone surrogates too), 413."""
    parts, size = [], 0
    try:
        async for part in bounded(request, JSON_BYTES).stream():
            parts.append(part)
            size += len(part)
    except ClientDisconnect as error:
        raise ApiError(400, "The client went away.", code="invalid_json") from error
    try:
        return msgspec.json.decode(b"".join(parts))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ApiError(400, f"The body is not valid JSON: {error}", code="invalid_json") from error


def bounded(request: Request, most: int) -> Request:
    """Return the request with a body that raises ApiError 413 as soon as it exceeds `most` bytes."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise _too_large(most)
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > most:
            raise _too_large(most)
        return message

    return Request(request.scope, receive)
