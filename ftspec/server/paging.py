"""List answers: `after` and `limit`, an unknown `after` is 400."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

from starlette.requests import Request

from ftspec.server.problems import invalid

Item = TypeVar("Item")


def page_limit(request: Request, bounds: tuple[int, int], default: int) -> int:
    """Return `?limit=`, checked. Raises ApiError 400."""
    text = request.query_params.get("limit")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9 and bounds[0] <= int(text) <= bounds[1]):
        raise invalid(f"limit must be a whole number from {bounds[0]} to {bounds[1]}, got {text!r}.", "limit")
    return int(text)


def check_query(request: Request, known: Iterable[str]) -> None:
    """Refuse query parameters that would be silently ignored. Raises ApiError 400."""
    for key in request.query_params:
        if key not in known:
            raise invalid(f"Unsupported parameter: '{key}' is not supported here.", key, code="unsupported_parameter")


def after_index(request: Request, ids: Sequence[str]) -> int:
    """Return the index in `ids` where the page starts. Raises ApiError 400 where `?after=` is not among them."""
    after = request.query_params.get("after")
    if after is None:
        return 0
    try:
        return ids.index(after) + 1
    except ValueError:
        raise invalid(f"after={after!r} is not an id of this list.", "after") from None


def list_answer(items: Iterable[Item], limit: int, render: Callable[[Item], dict[str, Any]]) -> dict[str, Any]:
    """Return the page of the first `limit` items."""
    taken = list(islice(items, limit + 1))
    data = [render(item) for item in taken[:limit]]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": len(taken) > limit,
    }
