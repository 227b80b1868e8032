"""Requests to one REST API: bounded retries, bounded waiting, bounded pages, a token that is sent nowhere else.

Retries follow GitHub's rules (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api): 403 and
429 with `retry-after`, else `x-ratelimit-remaining: 0` with `x-ratelimit-reset`, else a minute; GitLab answers 429 with
`Retry-After` (https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/). Pages are followed by `Link`
headers, as both ask (https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api,
https://docs.gitlab.com/api/rest/#pagination).
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftspec.spec.errors import FtspecError, MissingKeyError, ProviderError, UsageError

if TYPE_CHECKING:
    import httpx2

MAX_PAGES = 100
MAX_ANSWER = 32 * 1024 * 1024
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class ForgeError(FtspecError):
    """The forge refused: a missing permission, a body that it does not take."""


class UnsureError(ProviderError):
    """No answer, or a broken one: what was sent may have been done."""


@dataclass(frozen=True)
class Patience:
    """How often a request is tried, and how many seconds all its waiting may take."""

    tries: int = 5
    seconds: float = 180.0
    first: float = 1.0
    timeout: float = 30.0


@dataclass
class Session:
    """A client of one API. `headers` hold the token; neither they nor it are ever part of a message."""

    base: str
    headers: Mapping[str, str] = field(repr=False)
    forbidden: str = ""
    patience: Patience = Patience()
    sleep: Callable[[float], None] = time.sleep
    _client: "httpx2.Client | None" = field(default=None, repr=False)

    def get(self, path: str, **query: str | int) -> Any:
        """Return decoded JSON, None for 404."""
        answer = self._send("GET", f"{self.base}{path}", query=query, missing=True)
        return None if answer is None else _json(answer)

    def pages(self, path: str, **query: str | int) -> Iterator[Any]:
        """Yield every element of a listing. Raises ForgeError beyond 100 pages, or when a link leads elsewhere."""
        url, asked = f"{self.base}{path}", {"per_page": 100, **query}
        for _ in range(MAX_PAGES):
            answer = self._send("GET", url, query=asked)
            assert answer is not None
            found = _json(answer)
            if not isinstance(found, list):
                raise ForgeError("forge_answer", f"{self.host} answered no list")
            yield from found
            link = answer.links.get("next", {}).get("url")
            if not link:
                return
            if self._origin(link) != self._origin(self.base):
                raise ForgeError("forge_link", f"{self.host} names a next page on another host; nothing was sent there")
            url, asked = link, {}
        raise ForgeError("forge_pages", f"more than {MAX_PAGES * 100:,} comments: looking through them was given up")

    def change(self, method: str, path: str, body: Any = None) -> Any:
        """Send a change that may be sent twice (PATCH, PUT, DELETE) and return its answer, None for 404."""
        answer = self._send(method, f"{self.base}{path}", body=body, missing=True)
        return None if answer is None or not answer.content else _json(answer)

    def create(self, path: str, body: Any) -> Any:
        """POST. Tried again only where the forge said that it did nothing. Raises UnsureError where it may have."""
        answer = self._send("POST", f"{self.base}{path}", body=body, again=False)
        assert answer is not None
        return _json(answer)

    def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            self._client.close()

    @property
    def host(self) -> str:
        """Host name of the API."""
        return self._origin(self.base)[1]

    def _origin(self, url: str) -> tuple[str, str, int | None]:
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(url)
            return parts.scheme, parts.hostname or "", parts.port
        except ValueError:
            return "", "", None

    def _open(self) -> "httpx2.Client":
        if self._client is None:
            import httpx2

            scheme, host, _ = self._origin(self.base)
            if scheme != "https" and not (scheme == "http" and host in _LOCAL):
                raise UsageError("forge_url", "a token is sent over https only", fix="check the address of the API")
            self._client = httpx2.Client(
                headers={"User-Agent": "ftspec", **self.headers},
                timeout=httpx2.Timeout(self.patience.timeout),
                follow_redirects=False,
                trust_env=host not in _LOCAL,
                verify=scheme == "https",  # loads certificates, which plain loopback has no use for
            )
        return self._client

    def _send(
        self,
        method: str,
        url: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Any = None,
        missing: bool = False,
        again: bool = True,
    ) -> "httpx2.Response | None":
        import httpx2

        client, waited = self._open(), 0.0
        for tried in range(self.patience.tries):
            answer: httpx2.Response | None = None
            with suppress(httpx2.TransportError, httpx2.DecodingError):
                answer = client.request(method, url, params=dict(query) if query else None, json=body)
            if answer is not None and len(answer.content) > MAX_ANSWER:
                raise ForgeError("forge_answer", f"{self.host} answered more than {MAX_ANSWER >> 20} MiB")
            if answer is not None and answer.is_success:
                return answer
            if answer is not None and answer.status_code in (404, 410) and missing:
                return None
            wait = _wait(answer)
            if answer is not None and wait is None and answer.status_code < 500:
                raise self._refused(method, answer)
            if wait is None and not again:
                raise UnsureError("forge_unreachable", f"{self.host} gave no clear answer ({_said(answer)})")
            pause = max(self.patience.first * 2.0**tried, wait or 0.0)
            if tried + 1 == self.patience.tries or waited + pause > self.patience.seconds:
                raise self._busy(answer, pause)
            self.sleep(pause)
            waited += pause
        raise AssertionError("unreachable")

    def _refused(self, method: str, answer: "httpx2.Response") -> FtspecError:
        status = answer.status_code
        said = self._hide(_message(answer))
        if status == 401:
            fix = "set a token that is still valid in the environment"
            return MissingKeyError("forge_token", f"{self.host} does not take the token (401{said})", fix=fix)
        fix = self.forbidden if status in (403, 404) else ""
        if 300 <= status < 400:
            fix = "the repository has moved: use its new name"
        return ForgeError("forge_refused", f"{self.host} refused to {_VERBS[method]} ({status}{said})", fix=fix)

    def _hide(self, text: str) -> str:
        for value in self.headers.values():
            text = text.replace(value.removeprefix("Bearer "), "[token]")
        return text

    def _busy(self, answer: "httpx2.Response | None", pause: float) -> ProviderError:
        if answer is not None and answer.status_code in (403, 429):
            message = f"{self.host} asks to wait {round(pause):,} s (rate limit)"
            return ProviderError("forge_rate_limit", message, fix="run the job again later")
        message = f"{self.host} did not answer after {self.patience.tries} tries ({_said(answer)})"
        return ProviderError("forge_unreachable", message, fix="run the job again")


_VERBS = {"GET": "show it", "POST": "take the comment", "PATCH": "change it", "PUT": "change it", "DELETE": "remove it"}


def _wait(answer: "httpx2.Response | None") -> float | None:
    """Return the seconds that a rate-limited answer asks for, None for any other answer."""
    if answer is None:
        return None
    limited = answer.status_code == 429 or (answer.status_code == 403 and _limits(answer))
    after = _number(answer.headers.get("retry-after"))
    if answer.status_code == 503 and after is not None:
        return after
    if not limited:
        return None
    if after is not None:
        return after
    reset = _number(answer.headers.get("x-ratelimit-reset") or answer.headers.get("ratelimit-reset"))
    if reset is not None:
        return max(0.0, reset - time.time()) + 1
    return 60.0


def _limits(answer: "httpx2.Response") -> bool:
    headers = answer.headers
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or "rate limit" in _message(answer)


def _number(text: str | None) -> float | None:
    return float(text) if text is not None and text.strip().isdecimal() else None


def _json(answer: "httpx2.Response") -> Any:
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError) as error:
        raise UnsureError("forge_answer", "the answer is no JSON") from error


def _message(answer: "httpx2.Response") -> str:
    """Return what the forge says, shortened, its control characters and commands for runners taken out."""
    with suppress(ValueError, RecursionError):
        found = json.loads(answer.content)
        text = found.get("message") or found.get("error") if isinstance(found, dict) else None
        if isinstance(text, (str, dict, list)):
            plain = "".join(c if c.isprintable() else " " for c in str(text))[:200]
            return f": {plain.replace('::', ': :').replace('##[', '# #[')}"
    return ""


def _said(answer: "httpx2.Response | None") -> str:
    return "no answer" if answer is None else f"status {answer.status_code}"
