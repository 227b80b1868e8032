"""How hosts differ from the API throughout: requests and answers bent accordingly, for the middleware in `faults`."""

import base64
import json
import re
import time
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.types import Scope

from ftspec.server.jobs import FAULT_SCOPE
from ftspec.wire.responses import TERMINAL


class Quirk(StrEnum):
    """How a host may differ from the API throughout."""

    NO_HAS_MORE = "no_has_more"
    AFTER_IGNORED = "after_ignored"
    FILTER_IGNORED = "filter_ignored"
    METADATA_UNSUPPORTED = "metadata_unsupported"  # neither kept nor shown
    LISTING_LAGS = "listing_lags"
    UNKNOWN_STATUS = "unknown_status"  # jobs that run are "pending"
    NULL_ERROR = "null_error"
    NULL_HYPERPARAMETERS = "null_hyperparameters"
    PLAIN_CSV = "plain_csv"
    OTHER_EVENT_IDS = "other_event_ids"  # ft-event-
    KEY_IGNORED = "key_ignored"
    MASK_IGNORED = "mask_ignored"  # trains on every assistant turn
    FINGERPRINT_MOVES = "fingerprint_moves"  # another system_fingerprint under the same model name


def bent_scope(scope: Scope, quirks: frozenset[Quirk]) -> Scope:
    """Return the request as a host with these quirks understands it."""
    ignored = [b"idempotency-key"] if Quirk.KEY_IGNORED in quirks else []
    query = []
    for key, value in parse_qsl(scope["query_string"].decode(), keep_blank_values=True):
        if key == "after" and Quirk.AFTER_IGNORED in quirks:
            continue
        if key.startswith("metadata") and quirks & {Quirk.FILTER_IGNORED, Quirk.METADATA_UNSUPPORTED}:
            continue
        query.append((key, value.replace("ft-event-", "ftevent-") if Quirk.OTHER_EVENT_IDS in quirks else value))
    bent = dict(scope)
    bent["headers"] = [(name, value) for name, value in scope["headers"] if name not in ignored]
    bent["query_string"] = urlencode(query).encode()
    if Quirk.MASK_IGNORED in quirks:
        bent[FAULT_SCOPE] = "mask_ignored"
    return bent


def bent_body(scope: Scope, content_type: str, body: bytes, quirks: frozenset[Quirk], lag: float) -> bytes:
    """Return the body of a 200 answer as a host with these quirks gives it; its listings lag by `lag` seconds."""
    if Quirk.PLAIN_CSV in quirks and re.search(r"/files/file-metrics-\w+/content$", scope["path"]):
        return base64.b64decode(body)
    if not content_type.startswith("application/json"):
        return body
    value = json.loads(body)
    listing = scope["method"] == "GET" and scope["path"].endswith(("/jobs", "/files"))
    if Quirk.LISTING_LAGS in quirks and listing:
        value["data"] = [item for item in value["data"] if item["created_at"] < time.time() - lag]
    return json.dumps(_bent(value, quirks)).encode()


def _bent(value: Any, quirks: frozenset[Quirk]) -> Any:
    """An answer as a host with these quirks gives it; lists are bent item by item."""
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("data"), list):
        value["data"] = [_bent(item, quirks) for item in value["data"]]
        if Quirk.NO_HAS_MORE in quirks:
            value.pop("has_more", None)
    if value.get("object") == "fine_tuning.job.event" and Quirk.OTHER_EVENT_IDS in quirks:
        value["id"] = value["id"].replace("ftevent-", "ft-event-")
    if value.get("object") == "chat.completion" and Quirk.FINGERPRINT_MOVES in quirks:
        value["system_fingerprint"] = f"{value['system_fingerprint']}_moved"
    if value.get("object") != "fine_tuning.job":
        return value
    if Quirk.UNKNOWN_STATUS in quirks and value["status"] not in TERMINAL:
        value["status"] = "pending"
    if Quirk.NULL_ERROR in quirks and value["error"] is None:
        value["error"] = {"code": None, "message": None, "param": None}
    if Quirk.NULL_HYPERPARAMETERS in quirks:
        value["hyperparameters"] = None
    if Quirk.METADATA_UNSUPPORTED in quirks:
        value.pop("metadata", None)
    return value


def without_metadata(body: bytes) -> bytes:
    """Return the body of a job request as a host without metadata reads it."""
    try:
        value = json.loads(body)
        value.pop("metadata", None)
    except (ValueError, AttributeError):
        return body
    return json.dumps(value).encode()
