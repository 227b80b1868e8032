"""The body of a job's create call, built from a profile's facts, and the guard rails on its final form."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from ftspec.spec.errors import Problem
from ftspec.spec.profile import Profile

KEY, ATTEMPT, TRAIN = "ftspec_key", "ftspec_attempt", "ftspec_train"

# An absolute rate above this destroys any model; a multiplier below the other is surely an absolute rate.
# Both from the published defaults of four hosts, 1e-5 to 4.7e-4, and of one, 1.8 and 2.0 times a hidden base.
MAX_ABSOLUTE_RATE = 5e-3
MIN_MULTIPLIER = 1e-3

_RATES = ("learning_rate_multiplier", "learning_rate")
_PLAIN = ("n_epochs", "batch_size")


def both_rates(asked: Mapping[str, Any]) -> Problem | None:
    """The problem of two rates at once; `auto` counts as set."""
    if not all(asked.get(key) is not None for key in _RATES):
        return None
    return Problem(
        "two_rates",
        "learning_rate and learning_rate_multiplier are both set",
        path="hyperparameters.learning_rate",
        fix="keep one of them; `learning_rate_multiplier: null` takes the other back",
    )


def misplaced_rate(profile: Profile, asked: Mapping[str, Any]) -> Problem | None:
    """The problem of a rate of the wrong kind: nothing here converts one into the other."""
    wrong = "learning_rate" if profile.rate.semantics == "multiplier" else "learning_rate_multiplier"
    value = asked.get(wrong)
    if value is None or value == "auto":
        return None
    if wrong == "learning_rate":
        right = "a multiplier of its own rate: set hyperparameters.learning_rate_multiplier"
    else:
        right = "an absolute rate: set hyperparameters.learning_rate"
    return Problem(
        "wrong_rate_kind",
        f"{profile.id} does not take {wrong}: {value}",
        path=f"hyperparameters.{wrong}",
        fix=f"it takes {right}; no number is portable between hosts",
    )


def hyperparameter_fields(profile: Profile, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the host's own fields for what is asked. `auto` is sent or left out as the host wants it."""
    fields: dict[str, Any] = {}
    for key, value in asked.items():
        if value is None or (value == "auto" and profile.hyperparameters.auto == "omit"):
            continue
        if key in _RATES:
            if value == "auto" and profile.rate.semantics == "absolute":
                continue
            fields[profile.rate.field] = value
        else:
            fields[key] = value
    return fields


def job_body(
    profile: Profile,
    *,
    model: str,
    method: str,
    hyperparameters: Mapping[str, Any],
    seed: int,
    suffix: str | None,
    metadata: Mapping[str, str],
    training_file: str,
    validation_file: str | None,
    identity: Mapping[str, str],
) -> dict[str, Any]:
    """Return the body of `POST /fine_tuning/jobs`. `identity` maps KEY, ATTEMPT and TRAIN to their values."""
    fields = hyperparameter_fields(profile, hyperparameters)
    body: dict[str, Any] = {"model": model, "training_file": training_file}
    if validation_file is not None:
        body["validation_file"] = validation_file
    if profile.hyperparameters.location == "method":
        body["method"] = {"type": method, method: {"hyperparameters": fields}}
    else:
        body["hyperparameters"] = fields
    body["seed"] = seed
    body["suffix"] = job_suffix(profile, suffix, identity[KEY])
    if profile.job.metadata != "no":
        body["metadata"] = {**metadata, **identity}
    return body | profile.job.extra_body


def job_suffix(profile: Profile, suffix: str | None, key: str) -> str:
    """Return `<user part>-<key[:8]>`, the user part cut to what the host takes."""
    mark = key[:8]
    if suffix is None:
        return mark
    user = suffix.replace(".", "-") if profile.job.suffix.allowed == "no_dots" else suffix
    return f"{user[: profile.job.suffix.max - len(mark) - 1]}-{mark}"


def normalised_sha256(body: Mapping[str, Any], files: Mapping[str, str]) -> str:
    """Digest of what is asked for, equal in every attempt: file ids become content digests (`files` maps them);
    suffix and metadata, which only name the attempt, are left out.
    """
    import rfc8785

    plain = {key: value for key, value in body.items() if key not in ("suffix", "metadata")}
    for role in ("training_file", "validation_file"):
        if role in plain:
            plain[role] = "sha256:" + files[plain[role]]
    return hashlib.sha256(rfc8785.dumps(plain)).hexdigest()


def guard(profile: Profile, body: Mapping[str, Any]) -> list[Problem]:
    """Return what is dangerous or impossible in a final request body, wherever in it the numbers stand."""
    found: list[Problem] = []
    for place, fields in _hyperparameter_blocks(body):
        for key, value in fields.items():
            found += _guard_field(profile, place, key, value)
    return found


def _hyperparameter_blocks(body: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    if isinstance(block := body.get("hyperparameters"), Mapping):
        yield "hyperparameters", block
    method = body.get("method")
    if isinstance(method, Mapping):
        for kind, options in method.items():
            if isinstance(options, Mapping) and isinstance(block := options.get("hyperparameters"), Mapping):
                yield f"method.{kind}.hyperparameters", block


def _guard_field(profile: Profile, place: str, key: str, value: Any) -> Iterable[Problem]:
    path = f"{place}.{key}"
    if key not in (*_PLAIN, profile.rate.field, *profile.hyperparameters.extra):
        yield Problem("unknown_hyperparameter", f"{profile.id} has no hyperparameter {key!r}", path=path)
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        if value != "auto" and key in (*_PLAIN, profile.rate.field):
            yield Problem("invalid_value", f"{key} must be a number or auto, got {value!r}", path=path)
        return
    if key == "batch_size" and profile.batch.unit != "examples":
        yield Problem("batch_unit", f"batch_size of {profile.id} counts {profile.batch.unit}, not examples", path=path)
    if (limits := profile.hyperparameters.limits.get(key)) is not None and not limits[0] <= value <= limits[1]:
        text = f"{profile.id} takes {limits[0]:g} to {limits[1]:g}"
        yield Problem("out_of_limits", f"{key} {value:g} is outside what {text}", path=path)
    if key == profile.rate.field:
        yield from _guard_rate(profile, path, float(value))


def _guard_rate(profile: Profile, path: str, value: float) -> Iterable[Problem]:
    rate = profile.rate
    if not value > 0 or value == float("inf"):
        yield Problem("invalid_value", f"a rate must be a positive number, got {value}", path=path)
    elif rate.semantics == "absolute" and value > MAX_ABSOLUTE_RATE:
        yield Problem(
            "rate_too_high",
            f"{value:g} would be an absolute learning rate on {profile.id}",
            path=path,
            fix=f"it looks like a multiplier; give a rate of at most {MAX_ABSOLUTE_RATE:g}",
        )
    elif rate.semantics == "multiplier" and value < MIN_MULTIPLIER:
        yield Problem(
            "looks_absolute",
            f"a multiplier of {value:g} looks like an absolute learning rate",
            path=path,
            fix=f"give a multiplier of at least {MIN_MULTIPLIER:g}",
        )
    elif rate.advised is not None and not rate.advised[0] <= value <= rate.advised[1]:
        seen = ", ".join(f"{model} {number:g}" for model, number in rate.auto_resolved.items())
        yield Problem(
            "unusual_rate",
            f"{value:g} is outside the advised {rate.advised[0]:g} to {rate.advised[1]:g}",
            path=path,
            fix=f"source: {rate.source}; auto was seen to resolve to {seen or 'numbers not known'}",
            severity="warning",
        )
