"""Names that the embedded server gives out; to a client every id is opaque."""

import hashlib
import re
import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_STEP = re.compile(r"^(?P<model>.+):ckpt-step-(?P<step>[0-9]{1,9})$")


def new_id(prefix: str) -> str:
    """Return `<prefix>` and 24 random letters and digits, as the API's ids look."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(24))


def derived_id(prefix: str, *parts: str | int) -> str:
    """Return an id that follows from its parts, for objects that are derived from others and not stored."""
    digest = hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()
    return prefix + digest[:24]


def tuned_model_id(base: str, job_id: str, suffix: str | None) -> str:
    """Return `ft:<base>:embedded:<suffix>:<8 characters>`; what could not stand in the name becomes a dash."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", suffix or "")
    return f"ft:{base}:embedded:{safe}:{hashlib.sha256(job_id.encode()).hexdigest()[:8]}"


def checkpoint_model_id(model: str, step: int) -> str:
    """Return the id of a checkpoint that is not the job's last."""
    return f"{model}:ckpt-step-{step}"


def split_checkpoint(model: str) -> tuple[str, int | None]:
    """Return (tuned model id, step or None)."""
    match = _STEP.match(model)
    return (match["model"], int(match["step"])) if match else (model, None)
