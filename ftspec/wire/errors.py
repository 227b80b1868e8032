"""Error bodies of the API, and what a failed call means for a run: five classes."""

import re
from enum import StrEnum
from typing import Any

from ftspec.spec.errors import ProviderError


class ErrorClass(StrEnum):
    """What a run does about a failed call."""

    HUMAN = "human"  # stop the sweep and say why: a key, money or a permission is missing
    PARK = "park"  # a daily limit: park the run, the same command goes on later
    DATA = "data"  # the request or its data is wrong: fail the run, never retry
    MISSING = "missing"  # not there, or not there yet
    TRANSIENT = "transient"  # back off; before a repeated POST look first


class ExceptionKind(StrEnum):
    """What was raised, in words that need no SDK import."""

    STATUS = "status"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    BAD_ANSWER = "bad_answer"


class BadAnswer(ProviderError):  # noqa: N818 - the wire note's name for a 2xx that carries no object
    """A success status whose body is not the object asked for: HTML, an error body, no id."""


HUMAN_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "invalid_api_key",
        "account_deactivated",
        "idempotency_key_reused",
    }
)
PARK_CODES = frozenset({"daily_rate_limit_exceeded"})
DATA_CODES = frozenset({"invalid_training_file", "invalid_validation_file", "invalid_n_examples"})
MISSING_CODES = frozenset({"model_not_found", "file_not_found", "not_found"})
TRANSIENT_CODES = frozenset({"rate_limit_exceeded", "file_not_ready", "server_error"})

_BY_CODE = {
    **dict.fromkeys(HUMAN_CODES, ErrorClass.HUMAN),
    **dict.fromkeys(PARK_CODES, ErrorClass.PARK),
    **dict.fromkeys(DATA_CODES, ErrorClass.DATA),
    **dict.fromkeys(MISSING_CODES, ErrorClass.MISSING),
    **dict.fromkeys(TRANSIENT_CODES, ErrorClass.TRANSIENT),
}
_HUMAN_STATUS = frozenset({401, 402, 403})
_MISSING_STATUS = frozenset({404, 410})
_TRANSIENT_STATUS = frozenset({408, 409, 425, 429})

_DAILY = re.compile(r"\b(?:per|a) day\b|\bdaily\b|\bRPD\b", re.IGNORECASE)
_ABSENT = re.compile(
    r"\b(?:file|model)\b.*\bdo(?:es)? not exist\b|\bno such (?:file|model)\b", re.IGNORECASE | re.DOTALL
)
_NOT_READY = re.compile(r"\bfile\b.*\bnot ready\b", re.IGNORECASE | re.DOTALL)


def classify(
    status: int | None = None, code: str | None = None, kind: str | None = None, message: str = ""
) -> ErrorClass:
    """Return the class of a failed call: by `code`, then by HTTP `status` (and message), then by exception `kind`.

    `kind` is a value of ExceptionKind. Raises ValueError where nothing is known: no bug of ours counts as weather.
    """
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code]
    if status is not None and status >= 400:
        return _by_status(status, message)
    if kind in (ExceptionKind.TIMEOUT, ExceptionKind.CONNECTION, ExceptionKind.BAD_ANSWER) or status is not None:
        return ErrorClass.TRANSIENT
    raise ValueError(f"nothing to classify: status={status!r} code={code!r} kind={kind!r}")


def _by_status(status: int, message: str) -> ErrorClass:
    if status in _HUMAN_STATUS:
        return ErrorClass.HUMAN
    if status in _MISSING_STATUS:
        return ErrorClass.MISSING
    if status == 429 and _DAILY.search(message):
        return ErrorClass.PARK
    if status in _TRANSIENT_STATUS or status >= 500:
        return ErrorClass.TRANSIENT
    if status == 400 and _ABSENT.search(message):
        return ErrorClass.MISSING
    if status == 400 and _NOT_READY.search(message):
        return ErrorClass.TRANSIENT
    return ErrorClass.DATA


def error_body(
    message: str, *, code: str | None = None, param: str | None = None, type: str = "invalid_request_error"
) -> dict[str, Any]:
    """Return the JSON body of an error answer; all four keys are always there."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def read_error(body: Any) -> tuple[str | None, str, str | None]:
    """Return (code, message, param) of an error body in any known shape; code None where the body has none.

    Understands OpenAI's `{"error": {...}}`, the same without its envelope, and `{"detail": ...}`.
    """
    if not isinstance(body, dict):
        return None, str(body)[:500] if body else "", None
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return None, str(inner), None
    code, param = inner.get("code"), inner.get("param")
    message = inner.get("message") or inner.get("detail") or ""
    return (None if code is None else str(code)), str(message), (None if param is None else str(param))
