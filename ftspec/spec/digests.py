"""Identity: SHA-256 over RFC 8785 canonical JSON, prefixed by kind and schema version.

A digest says what must be done again: `data` (the rendered bytes), `train` (a training), `eval` (a suite's scores).
Golden values stand in tests/spec/test_digests.py; changing one re-identifies every past run, so it needs an
"identity change" line in CHANGELOG.md.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["data", "train", "eval"]
SHORT = 12


def digest(kind: Kind, projection: Any, schema: int = 1) -> str:
    """Return `sha256:<64 hex>` of a plain value. Raises ValueError for what JCS cannot write (NaN, lone surrogates)."""
    import rfc8785

    try:
        canonical = rfc8785.dumps(projection)
    except rfc8785.CanonicalizationError as error:
        raise ValueError(f"cannot be identified: {error}") from error
    return "sha256:" + hashlib.sha256(f"ftspec/{kind}/{schema}\n".encode() + canonical).hexdigest()


def short(value: str) -> str:
    """Return the 12 hex that are shown and used in folder names."""
    return value.removeprefix("sha256:")[:SHORT]


def without_neutral(value: Mapping[str, Any], neutral: Mapping[str, Any]) -> dict[str, Any]:
    """Drop entries equal to their neutral value, so that a new neutral field re-identifies no past run."""
    return {key: entry for key, entry in value.items() if key not in neutral or entry != neutral[key]}


def data_digest(*, train: str, valid: str | None, row_format: str) -> str:
    """Digest of what is trained on: hex sha256 of the rendered train and validation files, and the row format."""
    return digest("data", {"train": train, "valid": valid, "format": row_format})


def train_digest(
    *,
    family: str,
    model: str,
    method: str,
    hyperparameters: Mapping[str, Any],
    seed: int,
    data: str,
    engine: Mapping[str, Any] | None,
) -> str:
    """Digest of one training.

    `hyperparameters` keep `auto` as asked for, never as resolved; unset ones are absent. `engine` is None for hosted
    providers; the embedded one gives name, contract version and the sha256 of the base weights: `tiny` is an alias.
    """
    projection = {
        "family": family,
        "model": model,
        "method": method,
        "hyperparameters": {key: value for key, value in hyperparameters.items() if value is not None},
        "seed": seed,
        "data": data,
    }
    return digest("train", projection | ({"engine": dict(engine)} if engine else {}))
