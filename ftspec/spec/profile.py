"""A provider profile: dated facts about one host, as data. The YAML files lie in ftspec/providers/profiles.

Every group of facts says where they were read and when. A fact that is not known is `unknown`, never guessed.
"""

import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ftspec.spec.model import Strict

Name = Annotated[str, Field(min_length=1)]
Bounds = Annotated[list[float], Field(min_length=2, max_length=2)]


class Facts(Strict):
    """The root of each group: where its facts were read, and on which day."""

    source: Name
    read_on: datetime.date


class Address(Facts):
    """How the host is reached. `key` names the environment variable of its key; None: it needs none."""

    base_url: str | None = None
    key: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
    project: Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
    in_process: bool = False


class Models(Facts):
    """Which base models the host trains. An open list names the known ones only; patterns use `*`."""

    trains: list[Name] = []
    open: bool = False

    def match(self, model: str) -> bool:
        """Whether the name is known to be trainable."""
        return any(fnmatchcase(model, pattern) for pattern in self.trains)


class HyperparameterFacts(Facts):
    """Where hyperparameters stand in the body, and what `auto` becomes. `limits` bound numbers, ends included."""

    location: Literal["method", "hyperparameters"] = "method"
    auto: Literal["send", "omit"] = "send"
    limits: dict[str, Bounds] = {}
    extra: list[Name] = []


class Rate(Facts):
    """What the host's learning-rate field means. A multiplier must never reach an absolute field, nor the reverse."""

    semantics: Literal["multiplier", "absolute"]
    field: Name
    auto_resolved: dict[str, float] = {}
    advised: Bounds | None = None


class Batch(Facts):
    """What one unit of `batch_size` is."""

    unit: Literal["examples", "tokens"] = "examples"


class Mask(Facts):
    """Whether the host obeys `weight` on messages, and how that is known."""

    mode: Literal["native", "none", "unknown"]
    evidence: Literal["constructed", "host_labels", "probe", "documented", "unknown"]
    roles: list[Literal["system", "developer", "user", "assistant", "tool"]] = ["assistant"]


class DataFacts(Facts):
    """Limits of uploaded files. A BOM is transport: it is added to the bytes sent, never to the data's digest.

    `row_tokens` maps patterns of base models to the tokens of one row beyond which the host cuts it; the first that
    fits holds, and a model that none fits has no limit on file.
    """

    bom: bool = False
    min_rows: int = 10
    max_mb: float = 512
    row_tokens: dict[Name, Annotated[int, Field(ge=1)]] = {}

    def row_limit(self, model: str) -> int | None:
        """Return the tokens one row may have; a tuned model's is its base's."""
        base = model.removeprefix("ft:").partition(":")[0]
        return next((limit for pattern, limit in self.row_tokens.items() if fnmatchcase(base, pattern)), None)


class Suffix(Strict):
    """What a job's suffix may look like."""

    max: Annotated[int, Field(ge=9)] = 64
    allowed: Literal["any", "no_dots"] = "any"


class JobFacts(Facts):
    """The create call. Idempotency rests on metadata; where the host has none, on the suffix."""

    extra_body: dict[str, Any] = {}
    suffix: Suffix = Suffix()
    metadata: Literal["yes", "no", "unknown"]
    max_concurrent: Annotated[int, Field(ge=1)] | None = None


class Results(Facts):
    """What `result_files` hold. `csv`: the first is the metrics; `weights`: model files, which are not downloaded."""

    files: Literal["csv", "csv_and_weights", "weights"]


class Serve(Facts):
    """Whether a tuned model answers at once, and what it costs to keep."""

    kind: Literal["none", "deploy"] = "none"
    billing: Literal["free", "per_token", "per_hour", "per_token_and_hour"] = "per_token"


class Price(Facts):
    """One price. `models` are patterns; the price is in US dollars per million training tokens."""

    models: Annotated[list[Name], Field(min_length=1)]
    item: Literal["training"] = "training"
    usd: Annotated[float, Field(ge=0)]
    as_of: datetime.date


class Lifecycle(Facts):
    """One date after which something no longer works. `ambiguous`: sources differ about the day itself."""

    date: datetime.date
    edge: Literal["exact", "not_before", "ambiguous"]
    models: Annotated[list[Name], Field(min_length=1)]
    effect: Literal["create_closed", "inference_off", "read_only", "export_off"]
    scope: Literal["everyone", "new_customers", "inactive_customers"] = "everyone"
    note: str = ""


class Verified(Strict):
    """How much of the profile was ever run. `docs`: bodies are built from documentation, nothing was sent."""

    level: Literal["docs", "wire-replay", "live"]
    on: datetime.date
    receipt: str | None = None


class Profile(Strict):
    """Facts about one host. `family` enters the train digest; the host's name and address do not."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    family: Name
    title: Name
    wire: Literal["openai"] = "openai"
    address: Address
    methods: Annotated[list[Literal["supervised"]], Field(min_length=1)] = ["supervised"]
    models: Models
    hyperparameters: HyperparameterFacts
    rate: Rate
    batch: Batch
    mask: Mask
    data: DataFacts
    job: JobFacts
    status_map: dict[
        str, Literal["validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"]
    ] = {}
    results: Results
    serve: Serve
    prices: list[Price] = []
    lifecycle: list[Lifecycle] = []
    verified: Verified

    @model_validator(mode="after")
    def _label_fits(self) -> "Profile":
        if self.verified.level == "live" and self.verified.receipt is None and not self.address.in_process:
            raise ValueError("verified.level `live` needs a receipt")
        return self

    @property
    def label(self) -> str:
        """What may be said about it, in words that claim nothing that was not run."""
        if self.address.in_process:
            return "runs here; trained for real by this project's own tests"
        if self.verified.level == "live":
            return f"ran on {self.verified.on.isoformat()}"
        if self.verified.level == "wire-replay":
            return f"passes a replay of documented exchanges, {self.verified.on.isoformat()}"
        return f"profile written from documentation of {self.verified.on.isoformat()}; not run"
