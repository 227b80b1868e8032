"""One experiment: the resolved YAML as strict models."""

import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ftspec.spec.dataset import Dataset, Weights
from ftspec.spec.lint import Lint
from ftspec.spec.model import Auto, Strict, Text
from ftspec.spec.provider import Provider as Provider
from ftspec.spec.stores import split_address
from ftspec.spec.suite import Arm, Name, Suite
from ftspec.spec.sweep import Sweep

# Keys of an experiment that are groups of configuration: folders of conf/.
GROUPS = ("provider", "dataset", "weights", "hyperparameters", "sweep", "evals")


class Method(Strict):
    """How the model learns; named as on the fine-tuning API. Of the shipped profiles each trains `supervised` only."""

    type: Literal["supervised", "dpo", "reinforcement"] = "supervised"


class Hyperparameters(Strict):
    """Named and bounded as on the fine-tuning API; both rates null means `auto`."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0)] | None = None
    learning_rate: Annotated[float, Field(gt=0)] | None = None


class Budget(Strict):
    """A run never starts a paid job that could pass this sum."""

    max_usd: Annotated[float, Field(ge=0)] | None = None


def _day(text: str) -> str:
    try:
        # Python also reads 20270630 and weeks.
        day = datetime.date.fromisoformat(text).isoformat()
    except ValueError:
        day = ""
    if day != text:
        raise ValueError(f"must be a day, such as 2027-06-30 (got {text!r})")
    return text


Day = Annotated[str, Field(json_schema_extra={"pattern": r"^\d{4}-\d{2}-\d{2}$"}), AfterValidator(_day)]


def _refuse(reason: str) -> BeforeValidator:
    """Refuse every value but null: a key whose meaning is decided, and which nothing obeys yet."""

    def check(value: object) -> None:
        if value is not None:
            raise ValueError(reason)

    return BeforeValidator(check)


NoJudge = Annotated[None, _refuse("no grader asks a model yet; graders are string_check, label, regex, ...")]
NoTracking = Annotated[None, _refuse("nothing is sent to trackers; each run keeps events.jsonl and metrics.jsonl")]


def _store(text: str) -> str:
    split_address(text)
    return text


Store = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_store)]


class Experiment(Strict):
    """What `experiments/NAME.yaml` resolves to. Every key has one meaning; unknown keys are errors."""

    description: Text | None = None
    tags: list[str] = []
    provider: Provider = Provider()
    model: Annotated[str, Field(min_length=1)]
    method: Method = Method()
    dataset: Dataset
    weights: Weights = Weights()
    hyperparameters: Hyperparameters = Hyperparameters()
    sweep: Sweep | None = None
    evals: dict[Name, Suite] = {}
    baselines: dict[Name, Arm] = {}
    judge: NoJudge = None
    repeats: Annotated[int, Field(ge=1, le=100)] = 1
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    budget: Budget = Budget()
    keep_until: Day | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9-]+$")] | None = None
    metadata: Annotated[dict[str, str], Field(max_length=13)] = {}
    lint: Lint = {}
    tracking: NoTracking = None
    store: Store | None = None
