"""Reading lists page by page. The SDK's own iteration never ends on a host that ignores `after`."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

from ftspec.providers.connect import Connection, Reply
from ftspec.spec.errors import ProviderError
from ftspec.wire.errors import BadAnswer

LIMIT = 100
Fetch = Callable[[Any, dict[str, Any]], Awaitable[Any]]


class PagingLoop(ProviderError):  # noqa: N818 - says what happened, like the other names of failures
    """A host that gives the same items again for another page."""


async def _send(fetch: Fetch, query: dict[str, Any], client: Any) -> Any:
    return await fetch(client, query)


def _page(reply: Reply) -> tuple[list[dict[str, Any]], bool | None]:
    raw = reply.json()
    if not isinstance(raw, dict) or not isinstance(raw.get("data"), list):
        raise BadAnswer("bad_answer", "expected a list of objects")
    items = raw["data"]
    if not all(isinstance(item, dict) and isinstance(item.get("id"), str) for item in items):
        raise BadAnswer("bad_answer", "a list holds something without an id")
    more = raw.get("has_more")
    return items, more if isinstance(more, bool) else None


async def items_of(
    connection: Connection, what: str, fetch: Fetch, *, limit: int = LIMIT
) -> AsyncIterator[dict[str, Any]]:
    """Yield the raw items of a list in the host's order; `fetch(client, query)` sends one request.

    Stops at `has_more: false`, an empty page, or (where `has_more` is missing) a short one. Raises PagingLoop on an id
    that was seen before, or after too many pages; CallFailed.
    """
    seen: set[str] = set()
    after: str | None = None
    for _ in range(connection.pace.page_cap):
        query: dict[str, Any] = {"limit": limit} | ({"after": after} if after is not None else {})
        items, more = await connection.steady(what, partial(_send, fetch, query), _page)
        for item in items:
            if item["id"] in seen:
                raise _loop(connection, what, f"{item['id']} came twice")
            seen.add(item["id"])
            yield item
        if not items or more is False or (more is None and len(items) < limit):
            return
        after = items[-1]["id"]
    raise _loop(connection, what, f"more than {connection.pace.page_cap} pages")


def _loop(connection: Connection, what: str, why: str) -> PagingLoop:
    return PagingLoop(
        "paging_loop",
        f"{connection.profile.title} does not page properly at {what}: {why}",
        fix="the host seems to ignore `after`; tell its operator",
    )
