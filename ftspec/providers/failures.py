"""A failed call as one of our errors: its class, what it says, and what to do. Knows nothing of the SDK."""

import re
from dataclasses import dataclass
from typing import Any

from ftspec.spec.errors import Exit, ProviderError
from ftspec.spec.profile import Profile
from ftspec.wire.errors import ErrorClass, classify

_UNANSWERED = ("timeout", "connection", "bad_answer")


@dataclass(frozen=True)
class Failure:
    """What is known of a failed call. `kind` is a value of wire's ExceptionKind."""

    kind: str
    status: int | None = None
    code: str | None = None
    message: str = ""
    param: str | None = None
    retry_after: float | None = None

    @property
    def error_class(self) -> ErrorClass:
        """What a run does about it."""
        return classify(self.status, self.code, self.kind, self.message)

    @property
    def ambiguous(self) -> bool:
        """Whether a POST that failed so may still have been committed. Refusals (4xx but 408, 409) were not."""
        if self.kind in _UNANSWERED or self.status is None:
            return True
        return self.status >= 500 or self.status in (408, 409)

    def to_json(self) -> dict[str, Any]:
        """Return it for the journal."""
        return {"kind": self.kind, "status": self.status, "code": self.code, "message": self.message[:2000]}


class CallFailed(ProviderError):  # noqa: N818 - named after what happened, as BadAnswer is
    """A call that a host refused or did not answer. `failure` says how; its class decides the exit code."""

    def __init__(self, code: str, message: str, *, failure: Failure | None = None, **place: Any) -> None:
        super().__init__(code, message, **place)
        self.failure = failure or Failure("connection")
        if self.error_class is ErrorClass.DATA:
            self.exit_code = Exit.INVALID
        elif self.error_class is ErrorClass.MISSING:
            self.exit_code = Exit.FAILED

    @property
    def error_class(self) -> ErrorClass:
        """What a run does about it."""
        return self.failure.error_class


_ADVICE = {
    "insufficient_quota": "buy credit or raise the limit at the host, then give the same command again",
    "billing_hard_limit_reached": "raise the spend limit at the host, then give the same command again",
    "billing_not_active": "activate billing at the host, then give the same command again",
    "organization_spend_limit_exceeded": "raise the organisation's spend limit, then give the same command again",
    "project_spend_limit_exceeded": "raise the project's spend limit, then give the same command again",
    "idempotency_key_reused": "another request used this key: start a new attempt",
}


def call_failed(profile: Profile, what: str, failure: Failure) -> CallFailed:
    """Word a failure: `what` names the call, such as `creating the job`."""
    kind = failure.error_class
    said = failure.message.strip() or _said_nothing(failure)
    code = failure.code or _code(kind, failure)
    return CallFailed(
        code,
        f"{profile.title} failed at {what}: {said}",
        failure=failure,
        path=failure.param or "",
        fix=_fix(profile, kind, failure),
    )


def _said_nothing(failure: Failure) -> str:
    if failure.kind == "timeout":
        return "no answer in time"
    if failure.kind == "connection":
        return "no connection"
    return f"status {failure.status} without a message" if failure.status else "an answer that is not what was asked"


def _code(kind: ErrorClass, failure: Failure) -> str:
    if failure.status in (401, 403):
        return "invalid_key" if failure.status == 401 else "not_permitted"
    return {
        ErrorClass.HUMAN: "provider_refused",
        ErrorClass.PARK: "daily_rate_limit_exceeded",
        ErrorClass.DATA: "invalid_request",
        ErrorClass.MISSING: "not_found",
        ErrorClass.TRANSIENT: "unreachable",
    }[kind]


def _fix(profile: Profile, kind: ErrorClass, failure: Failure) -> str:
    if failure.code in _ADVICE:
        return _ADVICE[failure.code]
    if kind is ErrorClass.HUMAN:
        if failure.status == 403 and (closed := _closed(profile)):
            return closed
        name = profile.address.key
        return f"check the key in ${name} and what it may do" if name else "check the key and what it may do"
    if kind is ErrorClass.PARK:
        return "the run is parked: give the same command again when the day's limit is over"
    if kind is ErrorClass.DATA:
        return "the request or its data is wrong; it is not sent again"
    if kind is ErrorClass.MISSING:
        return "check the name, and that the key belongs to the project which holds it"
    return "nothing is lost: give the same command again"


def _closed(profile: Profile) -> str:
    """What the calendar knows about a host that refuses new jobs."""
    rows = [row for row in profile.lifecycle if row.effect == "create_closed"]
    if not rows:
        return ""
    dates = "; ".join(f"{row.date.isoformat()} {row.note or row.scope.replace('_', ' ')}" for row in rows)
    return f"it may be closed for new jobs ({dates}); another provider takes the same experiment"


_LINE = re.compile(r"\b(?:Example|Line|Row)\s+(\d+)\b", re.IGNORECASE)
_FLAGGED = re.compile(r"\b(?:lines|examples|rows)\b\s*:?\s*((?:\d+\s*(?:,|and)?\s*)+)", re.IGNORECASE)


def lines_named(message: str) -> list[int]:
    """Return the numbers of training rows that a host's message names (`Example 7`, `Flagged lines: 4, 13`), sorted."""
    found = {int(number) for number in _LINE.findall(message)}
    for group in _FLAGGED.findall(message):
        found |= {int(number) for number in re.findall(r"\d+", group)}
    return sorted(found)
