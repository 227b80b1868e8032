"""Strict request bodies of /fine_tuning/jobs, and how a rejected body is worded. Bounds are in `limits`."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from ftspec.spec.errors import DataError, Problem
from ftspec.spec.model import Auto, Strict
from ftspec.wire import limits

Body = TypeVar("Body", bound=Strict)
Name = Annotated[str, Field(min_length=1)]
Epochs = Auto | Annotated[int, Field(ge=limits.N_EPOCHS[0], le=limits.N_EPOCHS[1])]
Batch = Auto | Annotated[int, Field(ge=limits.BATCH_SIZE[0], le=limits.BATCH_SIZE[1])]
Positive = Auto | Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Auto | Annotated[int, Field(ge=1)]
Metadata = Annotated[
    dict[
        Annotated[str, Field(max_length=limits.METADATA_KEY_LENGTH)],
        Annotated[str, Field(max_length=limits.METADATA_VALUE_LENGTH)],
    ],
    Field(max_length=limits.METADATA_PAIRS),
]


class Hyperparameters(Strict):
    """Of supervised training; each `auto` by default."""

    n_epochs: Epochs = "auto"
    batch_size: Batch = "auto"
    learning_rate_multiplier: Positive = "auto"


class DpoHyperparameters(Hyperparameters):
    """Of preference training."""

    beta: Auto | Annotated[float, Field(gt=0, le=limits.DPO_BETA_MAX)] = "auto"


class ReinforcementHyperparameters(Hyperparameters):
    """Of reinforcement training."""

    compute_multiplier: (
        Auto | Annotated[float, Field(gt=limits.COMPUTE_MULTIPLIER[0], le=limits.COMPUTE_MULTIPLIER[1])]
    ) = "auto"
    eval_interval: Count = "auto"
    eval_samples: Count = "auto"
    reasoning_effort: Literal["default", "low", "medium", "high"] = "default"


class SupervisedOptions(Strict):
    """`method.supervised`."""

    hyperparameters: Hyperparameters = Hyperparameters()


class DpoOptions(Strict):
    """`method.dpo`."""

    hyperparameters: DpoHyperparameters = DpoHyperparameters()


GRADERS = frozenset({"string_check", "text_similarity", "python", "score_model", "multi"})


class ReinforcementOptions(Strict):
    """`method.reinforcement`. The grader's fields are the host's matter; its type is checked, also in `multi`."""

    grader: dict[str, Any]
    hyperparameters: ReinforcementHyperparameters = ReinforcementHyperparameters()

    @model_validator(mode="after")
    def _known_grader(self) -> "ReinforcementOptions":
        _check_grader(self.grader)
        return self


def _check_grader(grader: Any) -> None:
    kind = grader.get("type") if isinstance(grader, dict) else None
    if kind not in GRADERS:
        raise ValueError(f"grader type {kind!r} cannot train; one of {', '.join(sorted(GRADERS))}")
    if kind == "multi":
        parts = grader.get("graders")
        for part in parts.values() if isinstance(parts, dict) else [parts]:
            _check_grader(part)


class Method(Strict):
    """How the model learns: a type, and the options block of that type alone."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: SupervisedOptions | None = None
    dpo: DpoOptions | None = None
    reinforcement: ReinforcementOptions | None = None

    @model_validator(mode="after")
    def _own_options(self) -> "Method":
        for name in ("supervised", "dpo", "reinforcement"):
            if name != self.type and getattr(self, name) is not None:
                raise ValueError(f"options of {name!r} under a method of type {self.type!r}")
        if self.type == "reinforcement" and self.reinforcement is None:
            raise ValueError("a reinforcement method needs `reinforcement.grader`")
        return self

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Those of the method's own type, with `auto` for what the body left out."""
        if self.type == "dpo":
            return (self.dpo or DpoOptions()).hyperparameters
        if self.reinforcement is not None:
            return self.reinforcement.hyperparameters
        return (self.supervised or SupervisedOptions()).hyperparameters


class Wandb(Strict):
    """Where a host reports metrics to."""

    project: Name
    name: str | None = None
    entity: str | None = None
    tags: list[str] | None = None


class Integration(Strict):
    """One integration of a job."""

    type: Literal["wandb"]
    wandb: Wandb


class JobCreate(Strict):
    """Body of `POST /fine_tuning/jobs`. Top-level `hyperparameters` is deprecated, yet the place on some hosts."""

    model: Name
    training_file: Name
    validation_file: Name | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    suffix: Annotated[str, Field(min_length=limits.SUFFIX_LENGTH[0], max_length=limits.SUFFIX_LENGTH[1])] | None = None
    seed: Annotated[int, Field(ge=0, le=limits.SEED_MAX)] | None = None
    metadata: Metadata | None = None
    integrations: Annotated[list[Integration], Field(max_length=limits.INTEGRATIONS)] | None = None

    @model_validator(mode="after")
    def _one_place(self) -> "JobCreate":
        if self.hyperparameters is not None and self.method is not None:
            if self.method.type != "supervised":
                raise ValueError(f"top-level hyperparameters do not apply to method {self.method.type!r}")
            if self.method.supervised is not None and self.method.hyperparameters != self.hyperparameters:
                raise ValueError("hyperparameters and method.supervised.hyperparameters differ; give one of them")
        return self

    @property
    def method_type(self) -> str:
        """`supervised` where no method is named."""
        return "supervised" if self.method is None else self.method.type

    @property
    def resolved_hyperparameters(self) -> Hyperparameters:
        """From whichever place holds them; `auto` values stay `auto`."""
        if self.hyperparameters is not None:
            return self.hyperparameters
        return Hyperparameters() if self.method is None else self.method.hyperparameters


class InvalidRequest(DataError):  # noqa: N818 - named after the API's `invalid_request_error`
    """A body that the API would refuse; `param` is the dotted place as OpenAI writes it."""

    @property
    def param(self) -> str | None:
        """Of the first problem."""
        return self.problems[0].path or None


_UNION_TAG = re.compile(
    r"^(?:literal\[.*\]|constrained-\w+|int|float|str|bool|list\[.*\]|function-\w+\[.*|nullable.*)$"
)


def parse_body(kind: type[Body], body: Any) -> Body:
    """Check a decoded JSON body. Raises InvalidRequest with one problem a place.

    Codes: `unsupported_parameter` (a key that is not known here), `missing_required_parameter`, `invalid_type`,
    `invalid_value`.
    """
    if not isinstance(body, Mapping):
        raise InvalidRequest("invalid_type", f"expected a JSON object, got {type(body).__name__}")
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest.many(_problems(error)) from error


def _problems(error: ValidationError) -> list[Problem]:
    """One problem a place: the branches of a union that failed at one place are told together."""
    by_place: dict[str, list[tuple[str, str]]] = {}
    for detail in error.errors(include_url=False, include_context=False, include_input=False):
        by_place.setdefault(_place(detail["loc"]), []).append((detail["type"], detail["msg"]))
    return [Problem(_code(kinds), _message(place, kinds), path=place) for place, kinds in by_place.items()]


def _place(loc: tuple[int | str, ...]) -> str:
    place = ""
    for part in loc:
        if isinstance(part, int):
            place += f"[{part}]"
        elif not _UNION_TAG.match(part):
            place += f".{part}" if place else part
    return place


def _code(kinds: list[tuple[str, str]]) -> str:
    names = {kind for kind, _ in kinds}
    if "extra_forbidden" in names:
        return "unsupported_parameter"
    if "missing" in names:
        return "missing_required_parameter"
    bounded = {name for name in names if not name.endswith("_type") and name not in ("literal_error", "value_error")}
    return "invalid_value" if bounded or not any(name.endswith("_type") for name in names) else "invalid_type"


def _message(place: str, kinds: list[tuple[str, str]]) -> str:
    if any(kind == "extra_forbidden" for kind, _ in kinds):
        return f"Unsupported parameter: '{place}' is not supported here."
    if any(kind == "missing" for kind, _ in kinds):
        return f"Missing required parameter: '{place}'."
    return f"Invalid value for '{place or 'body'}': {'; or '.join(dict.fromkeys(text for _, text in kinds))}."
