"""What hosts answer, read with tolerance: unknown keys are dropped, oddities seen in real jobs are evened out.

The raw JSON is evidence and is kept by the caller; these objects are what the code decides on.
"""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from ftspec.wire.errors import BadAnswer, read_error

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
KNOWN_STATUSES = TERMINAL | {"validating_files", "queued", "running", "paused"}


def _seconds(value: Any) -> Any:
    return int(value) if isinstance(value, float) else value


Seconds = Annotated[int | None, BeforeValidator(_seconds)]


class Answer(BaseModel):
    """The base of everything read from a host."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())

    id: Annotated[str, Field(min_length=1)]

    @classmethod
    def read(cls, raw: Any) -> Self:
        """Read an answer: a JSON object, or an SDK object. Raises BadAnswer where it is not one of this kind."""
        if isinstance(raw, BaseModel):
            raw = raw.model_dump(mode="json", exclude_unset=True)
        if not isinstance(raw, dict):
            shown = raw if isinstance(raw, str) else type(raw).__name__
            raise BadAnswer("bad_answer", f"expected a {cls.__name__}, the host answered {shown[:80]!r}")
        if "id" not in raw and raw.get("error"):
            code, message, _ = read_error(raw)
            raise BadAnswer(code or "bad_answer", f"the host answered an error with a success status: {message}")
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise BadAnswer("bad_answer", f"expected a {cls.__name__}: {place}: {first['msg']}") from error


class JobError(BaseModel):
    """Why a job failed."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    code: Annotated[str | None, BeforeValidator(lambda code: None if code is None else str(code))] = None
    message: str | None = None
    param: str | None = None


class Job(Answer):
    """A fine-tuning job. `status` is the host's own word; `trained_tokens` counts billable tokens, not learned ones."""

    status: str
    model: str | None = None
    created_at: Seconds = None
    finished_at: Seconds = None
    estimated_finish: Seconds = None
    fine_tuned_model: str | None = None
    error: JobError | None = None
    hyperparameters: dict[str, Any] = {}
    result_files: tuple[str, ...] = ()
    trained_tokens: int | None = None
    training_file: str | None = None
    validation_file: str | None = None
    seed: int | None = None
    metadata: dict[str, str] = {}
    user_provided_suffix: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _even_out(cls, raw: Any) -> Any:
        """Healthy jobs may carry an error of nulls; hyperparameters may be null and stand in `method` instead."""
        if not isinstance(raw, dict):
            return raw
        job = dict(raw)
        if isinstance(error := job.get("error"), dict) and not any(error.get(key) for key in ("code", "message")):
            job["error"] = None
        job["hyperparameters"] = _hyperparameters(job)
        for key, empty in (("result_files", ()), ("metadata", {})):
            job[key] = job.get(key) or empty
        return job

    @property
    def terminal(self) -> bool:
        """Whether the job is over. Any word but the three terminal ones, known or not, means it is not."""
        return self.status in TERMINAL

    @property
    def known(self) -> bool:
        """Whether the status is a word of the API."""
        return self.status in KNOWN_STATUSES


def _hyperparameters(job: dict[str, Any]) -> dict[str, Any]:
    """`method.<type>.hyperparameters` where it is there, then the deprecated place; nulls are left out."""
    method = job.get("method") or {}
    options = method.get(method.get("type")) or {} if isinstance(method, dict) else {}
    found = (options.get("hyperparameters") if isinstance(options, dict) else None) or job.get("hyperparameters") or {}
    return {key: value for key, value in found.items() if value is not None} if isinstance(found, dict) else {}


class Event(Answer):
    """One event of a job. Many share one second: the id is the key."""

    created_at: Seconds = None
    level: str = "info"
    message: str = ""
    type: str | None = None
    data: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _no_data(cls, raw: Any) -> Any:
        return {**raw, "data": raw.get("data") or {}} if isinstance(raw, dict) else raw

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers of a metrics event, {} for any other. Texts are never parsed."""
        return _numbers(self.data) if self.type == "metrics" else {}


class Checkpoint(Answer):
    """A model saved within a job. Every metric is optional."""

    created_at: Seconds = None
    step_number: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str | None = None
    metrics: dict[str, float] = {}

    @model_validator(mode="before")
    @classmethod
    def _no_nulls(cls, raw: Any) -> Any:
        return {**raw, "metrics": _numbers(raw.get("metrics") or {})} if isinstance(raw, dict) else raw


def _numbers(values: Any) -> dict[str, float]:
    return {
        key: value
        for key, value in (values.items() if isinstance(values, dict) else ())
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def in_step_order(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """Return them oldest first: hosts list in both orders."""
    return sorted(checkpoints, key=lambda checkpoint: checkpoint.step_number)


class File(Answer):
    """A file at the host. `bytes` and `expires_at` may be missing on some hosts."""

    filename: str | None = None
    purpose: str | None = None
    bytes: int | None = None
    created_at: Seconds = None
    expires_at: Seconds = None
    status: str | None = None
    status_details: str | None = None


class ModelInfo(Answer):
    """A model that answers requests; `shutdown_date` is a date or None."""

    created: Seconds = None
    owned_by: str | None = None
    shutdown_date: str | None = None
