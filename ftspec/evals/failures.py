"""What a failed call means for an eval: wait and try again, note an error for the item, or stop the suite."""

from dataclasses import dataclass
from typing import Any

from ftspec.providers.failures import CallFailed
from ftspec.spec.errors import ProviderError
from ftspec.wire.errors import BadAnswer, ErrorClass, ExceptionKind, classify, read_error

# Names of exceptions of the SDK and its transport: known by name, so that nothing heavy is imported to find out.
_TIMEOUTS = frozenset({"APITimeoutError", "TimeoutError", "TimeoutException"})
_CONNECTIONS = frozenset({"APIConnectionError", "TransportError", "ConnectionError", "EndOfStream"})


@dataclass(frozen=True)
class Failure:
    """A failed call: its class, a stable code, the host's words, and how long the host asks to wait (seconds)."""

    kind: ErrorClass
    code: str
    message: str
    retry_after: float | None = None

    @property
    def words(self) -> str:
        """One line for `error` of a row."""
        return f"{self.code}: {' '.join(self.message.split())[:200]}"


def failure_of(error: Exception) -> Failure | None:
    """Class an exception of `post`; None for one that no provider causes, which is a bug and must not be swallowed."""
    names = {base.__name__ for base in type(error).__mro__}
    if isinstance(error, BadAnswer):
        kind = classify(None, error.code, ExceptionKind.BAD_ANSWER)
        return Failure(kind, error.code, error.problems[0].message)
    if isinstance(error, CallFailed):
        return Failure(error.error_class, error.code, error.problems[0].message, error.failure.retry_after)
    if isinstance(error, ProviderError):
        return Failure(ErrorClass.HUMAN, error.code, error.problems[0].message)
    status = getattr(error, "status_code", None)
    if isinstance(status, int):
        return _of_status(error, status)
    if names & _TIMEOUTS:
        return Failure(ErrorClass.TRANSIENT, "timeout", str(error) or "no answer in time")
    if names & _CONNECTIONS:
        return Failure(ErrorClass.TRANSIENT, "connection", str(error) or "the connection broke")
    return None


def _of_status(error: Any, status: int) -> Failure:
    body_code, body_message, _ = read_error(getattr(error, "body", None))
    code = getattr(error, "code", None) or body_code
    message = body_message or str(error)
    kind = classify(status, code, ExceptionKind.STATUS, message)
    return Failure(kind, code or f"http_{status}", message, _retry_after(error))


def _retry_after(error: Any) -> float | None:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(0.0, float(headers[name]) / unit)
        except (KeyError, TypeError, ValueError):
            continue
    return None
