"""What an engine is: the loop, the worker and the generator need this and nothing else of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ftspec.engine.template import Encoded


@dataclass(frozen=True)
class ModelRef:
    """Where training or generation starts: a base by name, or tuned weights by path; `digest` is checked if given."""

    base: str | None = None
    weights: Path | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. Temperature 0 is greedy; `calls` allows tool calls; `limit` None: up to the context."""

    limit: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    n: int = 1
    top_logprobs: int | None = None
    calls: bool = False


@dataclass(frozen=True)
class Completion:
    """One answer. `tokens` counts generated tokens without <end>; `logprobs` are in OpenAI's form or None."""

    text: str | None
    tool_calls: list[dict[str, Any]]
    finish_reason: str
    tokens: int
    logprobs: list[dict[str, Any]] | None


@dataclass(frozen=True)
class Step:
    """One finished step. `tokens` is the weight sum of the batch; absent metrics were not measured at this step."""

    step: int
    total_steps: int
    epoch: int
    lr: float
    grad_norm: float
    tokens: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Checkpoint:
    """Weights at the end of an epoch (1, 2, ...); `path` is the folder."""

    epoch: int
    step: int
    path: Path
    digest: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Result:
    """The outcome of a training. `trained_tokens` counts all tokens seen, `loss_tokens` those with a weight above 0."""

    checkpoints: Sequence[Checkpoint]
    trained_tokens: int
    loss_tokens: int
    cancelled: bool = False
    steps: Sequence[Step] = field(default=(), repr=False)

    @property
    def digest(self) -> str | None:
        """Digest of the final weights, which the last checkpoint is; None where training was cancelled."""
        return None if self.cancelled or not self.checkpoints else self.checkpoints[-1].digest


class Engine(Protocol):
    """Forward, backward, generate and save of one kind of model. Arrays are numpy's, states are the engine's own."""

    name: str

    def base_lr(self, state: Any) -> float:
        """The published rate that a multiplier of 1 stands for."""
        ...

    def fingerprint(self, ref: ModelRef) -> dict[str, Any]:
        """What decides the bits of a result."""
        ...

    def load(self, ref: ModelRef) -> Any:
        """A state ready to train or generate. Raises DataError where the digest differs or nothing is readable."""
        ...

    def encode(
        self,
        state: Any,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        generation_prompt: bool = False,
    ) -> Encoded:
        """Ids and weights of a conversation. Raises DataError."""
        ...

    def loss_grad(self, state: Any, ids: Any, weights: Any) -> tuple[float, float, float]:
        """Loss, token accuracy and weight sum of a batch (B,T+1); the gradient stays in the state for `apply`."""
        ...

    def evaluate(self, state: Any, ids: Any, weights: Any) -> tuple[float, float, float]:
        """The same without a gradient."""
        ...

    def apply(self, state: Any, rate: float) -> float:
        """Move the weights by the last gradient, in place; return its norm before the clip."""
        ...

    def save(self, state: Any, folder: Path) -> str:
        """Write the weights into a folder; return their digest."""
        ...

    def generate(self, state: Any, ids: Sequence[int], sampling: Sampling) -> list[Completion]:
        """Answers to a prompt. Raises DataError (`context_length_exceeded`)."""
        ...
