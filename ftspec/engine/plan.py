"""The order of the rows and the number of steps, without numpy: `ftspec plan` and the worker agree by construction."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ftspec.spec.errors import DataError
from ftspec.wire.auto import auto_epochs
from ftspec.wire.limits import BATCH_SIZE, N_EPOCHS

AUTO_MULTIPLIER = 0.1
WARMUP_STEPS = 10


@dataclass(frozen=True)
class Hyper:
    """Hyperparameters of a job with no `auto` left. Raises DataError (`invalid_hyperparameters`) outside the limits."""

    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    seed: int

    def __post_init__(self) -> None:
        for name, (low, high) in (("n_epochs", N_EPOCHS), ("batch_size", BATCH_SIZE)):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                _refuse(name, f"must be a whole number from {low} to {high}, not {value!r}")
        rate = self.learning_rate_multiplier
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not (math.isfinite(rate) and rate > 0):
            _refuse("learning_rate_multiplier", f"must be a number above 0, not {rate!r}")
        if type(self.seed) is not int:
            _refuse("seed", f"must be a whole number, not {self.seed!r}")


def _refuse(name: str, why: str) -> None:
    raise DataError("invalid_hyperparameters", f"{name} {why}", path=name)


def auto_batch(n_rows: int) -> int:
    """The batch size that `auto` stands for, made for the epochs of the published rule."""
    return max(1, min(8, n_rows // 75))


def resolve_auto(n_rows: int, asked: Mapping[str, Any], seed: int) -> Hyper:
    """Hyperparameters as asked for, `auto` (or absent) replaced: epochs by the API's rule, the rest by the engine."""

    def value(name: str, auto: float) -> Any:
        given = asked.get(name, "auto")
        return auto if given is None or given == "auto" else given

    return Hyper(
        value("n_epochs", auto_epochs(n_rows)),
        value("batch_size", auto_batch(n_rows)),
        value("learning_rate_multiplier", AUTO_MULTIPLIER),
        seed,
    )


def plan(n_rows: int, hyper: Hyper, epoch: int) -> list[list[int]]:
    """The batches of an epoch (0, 1, ...): rows in the order of sha256("seed:epoch:row"), the short last batch kept."""
    order = sorted(range(n_rows), key=lambda i: hashlib.sha256(f"{hyper.seed}:{epoch}:{i}".encode()).digest())
    return [order[i : i + hyper.batch_size] for i in range(0, n_rows, hyper.batch_size)]


def n_steps(n_rows: int, hyper: Hyper) -> int:
    """Steps of the whole training."""
    return hyper.n_epochs * math.ceil(n_rows / hyper.batch_size)


def rate_at(step: int, base_lr: float, hyper: Hyper) -> float:
    """Learning rate of step 1, 2, ...: a short linear rise, then constant."""
    return base_lr * hyper.learning_rate_multiplier * min(1.0, step / WARMUP_STEPS)
