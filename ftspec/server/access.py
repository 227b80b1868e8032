"""The access log: each POST that reached the app, in `<state>/access.jsonl`, for whoever counts them."""

import time
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ftspec.storage import AppendLog


class AccessLog:
    """ASGI middleware. One line when a POST ends; status null where it was cancelled or failed before an answer.

    POSTs to files and jobs get a line at their arrival too (`"event": "request"`): what is killed within is counted.
    """

    def __init__(self, app: ASGIApp, path: Path) -> None:
        self.app, self.path = app, path
        self._log: AppendLog | None = None

    def _append(self, event: str, scope: Scope, status: int | None) -> None:
        if self._log is None:
            self._log = AppendLog(self.path)
        headers = dict(scope["headers"])
        key = headers.get(b"idempotency-key")
        line = {"event": event, "t": round(time.time(), 3), "method": scope["method"], "path": scope["path"]}
        self._log.append({**line, "key": None if key is None else key.decode("latin-1"), "status": status})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; log it where it is a POST."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        if not scope["path"].endswith("/chat/completions"):
            self._append("request", scope, None)
        status: int | None = None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            self._append("answer", scope, status)

    def close(self) -> None:
        """Close the file; the next POST opens it again."""
        if self._log is not None:
            self._log.close()
            self._log = None
