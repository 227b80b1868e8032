"""What happens while a workflow runs: one stream of frozen events for the live display, plain logs and trackers.

Truth is the files on disk; events only announce it. `subject` is a run's label, or an arm's name for baselines.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

Stage = Literal["data", "baselines", "train", "seal", "evals"]


class Event(msgspec.Struct, frozen=True, tag_field="type", kw_only=True):
    """Root of all events."""

    def to_json(self) -> dict[str, Any]:
        """Return the event as a plain dict; its `type` is the class name in kebab-case words."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return built


class Planned(Event, frozen=True, tag="planned", kw_only=True):
    """The plan stands: how many runs there are, and how many of them still must be trained."""

    experiment: str
    runs: int
    to_train: int
    reused: int


class Checked(Event, frozen=True, tag="checked", kw_only=True):
    """So many of the expanded configs were composed by Hydra itself and are equal."""

    equal: int
    total: int


class StageStarted(Event, frozen=True, tag="stage-started", kw_only=True):
    """A run entered a stage; `total` counts its units (steps, answers) where known."""

    subject: str
    stage: Stage
    total: int = 0


class StageFinished(Event, frozen=True, tag="stage-finished", kw_only=True):
    """A run left a stage after `seconds`; `reused` when nothing had to be done."""

    subject: str
    stage: Stage
    seconds: float = 0.0
    reused: bool = False


class JobCreated(Event, frozen=True, tag="job-created", kw_only=True):
    """A provider accepted the training job, or it was found again by its key (`adopted`)."""

    subject: str
    job: str
    adopted: bool = False


class JobStatus(Event, frozen=True, tag="job-status", kw_only=True):
    """The provider's job entered a status."""

    subject: str
    status: str


class TrainStep(Event, frozen=True, tag="train-step", kw_only=True):
    """One training step. Losses are mean cross-entropy in nats per learned token."""

    subject: str
    step: int
    total_steps: int
    train_loss: float | None = None
    valid_loss: float | None = None


class Answered(Event, frozen=True, tag="answered", kw_only=True):
    """`done` of `total` items of a suite were answered."""

    subject: str
    suite: str
    done: int
    total: int


class Scored(Event, frozen=True, tag="scored", kw_only=True):
    """A suite's primary metric with its 95 % interval."""

    subject: str
    suite: str
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0


class RunFinished(Event, frozen=True, tag="run-finished", kw_only=True):
    """A run ended: trained and sealed, reused as it was, or failed with a reason."""

    subject: str
    outcome: Literal["trained", "reused", "failed", "parked"]
    message: str = ""
    seconds: float = 0.0


class Verifying(Event, frozen=True, tag="verifying", kw_only=True):
    """`done` of `total` folders are verified, `bytes` were hashed so far; `folder` is begun (empty: all are done)."""

    folder: str
    done: int
    total: int
    bytes: int = 0


class Notice(Event, frozen=True, tag="notice", kw_only=True):
    """Something a person should read."""

    level: Literal["info", "warning", "error"]
    code: str
    message: str
    subject: str = ""


Emit = Callable[[Event], None]


def silent(event: Event) -> None:
    """Consume events without showing them."""
