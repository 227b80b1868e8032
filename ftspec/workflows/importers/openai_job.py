"""The JSON of an OpenAI fine-tuning job (`GET /fine_tuning/jobs/ID`) as an experiment.

Source: platform.openai.com/docs/api-reference/fine-tuning/object.
"""

import re
from collections.abc import Mapping
from typing import Any

from ftspec.spec.errors import DataError, UsageError
from ftspec.workflows.importers.sketch import Reader, Sketch

_HYPERPARAMETERS = ("n_epochs", "batch_size", "learning_rate_multiplier")
_WHOLE = "give the whole answer of GET /fine_tuning/jobs/ID"
_RESULT = "says what became of that job, not what it was"
_REASONS = {
    **dict.fromkeys(
        ("id", "object", "created_at", "finished_at", "estimated_finish", "fine_tuned_model", "organization_id"),
        _RESULT,
    ),
    **dict.fromkeys(("result_files", "status", "trained_tokens", "error"), _RESULT),
    "integrations": "ftspec writes its own metrics; nothing is sent elsewhere",
}


def is_job(content: Any) -> bool:
    """Tell whether a JSON value is a fine-tuning job, or a list of them."""
    if isinstance(content, Mapping) and content.get("object") == "list":
        jobs = content.get("data")
        return isinstance(jobs, list) and bool(jobs) and all(map(is_job, jobs))
    return isinstance(content, Mapping) and content.get("object") == "fine_tuning.job"


def sketch_job(content: Mapping[str, Any], data: str | None) -> Sketch:
    """Say what a job says. `data` is a local copy of its training file, since a file id names nothing here.

    Raises UsageError for a list of several jobs, DataError for what is no whole job.
    """
    if content.get("object") == "list":
        if len(content["data"]) != 1:
            raise UsageError("which_job", f"the file holds {len(content['data'])} jobs", fix="keep one of them")
        content = content["data"][0]
    job = Reader(content)
    notes: list[str] = []
    keys: dict[str, Any] = {"provider": {"profile": "openai"}, "model": _text(job, "model")}
    method = _mapping(job.take("method"), "method")
    kind = str(method.get("type", "supervised"))
    own = _mapping(method.get(kind), f"method.{kind}")
    used = _mapping(job.take("hyperparameters"), "hyperparameters")
    chosen = _mapping(own.get("hyperparameters"), f"method.{kind}.hyperparameters")
    asked = {**used, **chosen}
    if kind != "supervised":
        keys["method"] = {"type": kind}
    for key, value in own.items():
        if key != "hyperparameters":
            job.lose(f"method.{kind}.{key}", value, "only supervised trainings have a schema here")
    for key, value in method.items():
        if key not in ("type", kind):
            job.lose(f"method.{key}", value, f"the method is {kind}")
    for key in used:
        if key in chosen and used[key] != chosen[key]:
            job.lose(f"hyperparameters.{key}", used[key], f"method.{kind} asks for {chosen[key]}; write this to pin it")
    keys["dataset"] = _dataset(job, data, notes)
    known = {key: asked[key] for key in _HYPERPARAMETERS if asked.get(key) is not None}
    if known:
        keys["hyperparameters"] = known
    for key, value in asked.items():
        if key not in _HYPERPARAMETERS:
            job.lose(f"hyperparameters.{key}", value, "no hyperparameter of a supervised training")
    seed = job.take("seed")
    if seed is not None:
        keys["seed"] = seed
    _name(job, keys)
    unequal = job.finish(_REASONS, "no equal")
    return Sketch(keys, {}, None, tuple(notes), unequal)


def _text(job: Reader, key: str) -> str:
    value = job.take(key)
    if not isinstance(value, str) or not value:
        raise DataError("job", f"the job names no {key}", fix=_WHOLE)
    return value


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DataError("job", f"{key} must be keys and values", fix=_WHOLE)
    return value


def _dataset(job: Reader, data: str | None, notes: list[str]) -> dict[str, Any]:
    training, validation = _text(job, "training_file"), job.take("validation_file")
    path = data or f"data/{training}.jsonl"
    if data is None:
        notes.append(f"put the bytes of {training} into {path} (or give --data FILE)")
    else:
        job.lose("training_file", training, f"an id at the host; {data} stands for it")
    dataset: dict[str, Any] = {"sources": [{"path": path}]}
    if validation:
        held_out = f"data/{validation}.jsonl"
        notes.append(f"put the bytes of {validation} into {held_out}")
        dataset["split"] = {"validation": {"path": held_out}}
    return dataset


def _name(job: Reader, keys: dict[str, Any]) -> None:
    suffix = job.take("user_provided_suffix") or job.take("suffix")
    if isinstance(suffix, str) and re.fullmatch(r"[A-Za-z0-9-]{1,40}", suffix):
        keys["suffix"] = suffix
    else:
        job.lose("user_provided_suffix", suffix, "a suffix is at most 40 letters, digits and -")
    labels = _mapping(job.take("metadata"), "metadata")
    metadata = {}
    for key, value in labels.items():
        if key.startswith("ftspec"):
            job.lose(f"metadata.{key}", value, "labels that begin so are ftspec's own")
        else:
            metadata[key] = str(value)
    if metadata:
        kept = dict(list(metadata.items())[:13])
        keys["metadata"] = kept
        for key in list(metadata)[13:]:
            job.lose(f"metadata.{key}", metadata[key], "13 labels at most: ftspec needs three places")
