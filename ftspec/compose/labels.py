"""Labels of points: `epochs=3,lr=0.2`. Short, stable, unique, safe as folder names.

A label depends on the axes and on the point's own values alone: adding a value to an axis never renames an old run.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

MAX_VALUE = 32
MAX_LABEL = 120
DEFAULT = "default"

# The fixed table; changing a line renames runs in every table and comment.
NAMES = {
    "hyperparameters.batch_size": "batch",
    "hyperparameters.learning_rate": "rate",
    "hyperparameters.learning_rate_multiplier": "lr",
    "hyperparameters.n_epochs": "epochs",
    "model": "model",
    "seed": "seed",
    "weights": "weights",
}

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_READ_AS_OTHER = re.compile(r"true|false|null|nan|inf|[-+.]?\d.*", re.IGNORECASE)


def names(keys: Sequence[str]) -> dict[str, str]:
    """Return the short name of each axis: from the table, else its last parts, as many as tell the axes apart."""
    short = {key: NAMES[key] for key in keys if key in NAMES}
    others = [key for key in keys if key not in NAMES]
    for key in others:
        parts = key.split(".")
        for count in range(1, len(parts) + 1):
            tail = ".".join(parts[-count:])
            same = [other for other in others if f".{other}".endswith(f".{tail}")]
            if same == [key] and tail not in NAMES.values():
                break
        short[key] = _slug(tail) if not _SAFE.fullmatch(tail) else tail
    return short


def value_name(value: Any) -> str:
    """Return a value as a part of a label. Different values get different names."""
    if isinstance(value, str):
        if _SAFE.fullmatch(value) and len(value) <= MAX_VALUE and not _READ_AS_OTHER.fullmatch(value):
            return value
        return _with_hash(value, value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, (int, float)):
        text = repr(value)
        return text if len(text) <= MAX_VALUE else _with_hash(text, value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return _with_hash("+".join(value), value)
    return _with_hash(json.dumps(value), value)


def label(coordinates: Mapping[str, Any], short: Mapping[str, str]) -> str:
    """Return the label of a point: its swept keys in axis order."""
    if not coordinates:
        return DEFAULT
    text = ",".join(f"{short[key]}={value_name(value)}" for key, value in coordinates.items())
    if len(text) <= MAX_LABEL:
        return text
    return f"{text[: MAX_LABEL - 9].rstrip(',=.-')}-{_hash(text)}"


def _with_hash(text: str, value: Any) -> str:
    slug = _slug(text)[: MAX_VALUE - 9].rstrip("-._")
    return f"{slug}-{_hash(value)}" if slug else _hash(value)


def _slug(text: str) -> str:
    return _OTHER.sub("-", text).strip("-._")


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]
