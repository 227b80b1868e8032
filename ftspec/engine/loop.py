"""Supervised fine-tuning over an engine: the plan's batches, one optimiser step each, a checkpoint after each epoch."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path

from ftspec.engine.collate import collate
from ftspec.engine.model import Array
from ftspec.engine.plan import Hyper, n_steps, plan, rate_at
from ftspec.engine.protocol import Checkpoint, Engine, ModelRef, Result, Step
from ftspec.engine.template import Encoded
from ftspec.spec.errors import DataError
from ftspec.storage import write_json

VALIDATE_EVERY = 10
VALIDATION_BATCH = 16

Batch = tuple[Array, Array]


def train(
    engine: Engine,
    ref: ModelRef,
    rows: Sequence[Encoded],
    valid: Sequence[Encoded],
    hyper: Hyper,
    out: Path,
    emit: Callable[[Step | Checkpoint], None],
    cancelled: Callable[[], bool],
) -> Result:
    """Fine-tune the model `ref` on `rows`; checkpoints go to `out`/epoch-N, all are kept, the last one is the model.

    `emit` gets every step and every checkpoint; `cancelled` is asked before each step and may wait (a pause).
    Each row needs a trained token: a batch of weight 0 raises ValueError. `valid` may be empty. Raises DataError
    (`training_diverged`) where the loss stops being a number.
    """
    state = engine.load(ref)
    base_lr, total = engine.base_lr(state), n_steps(len(rows), hyper)
    sample = _validation_batches(valid)
    steps: list[Step] = []
    checkpoints: list[Checkpoint] = []
    seen: list[int] = []
    for epoch in range(hyper.n_epochs):
        batches = plan(len(rows), hyper, epoch)
        for position, batch in enumerate(batches, 1):
            if cancelled():
                return _result(rows, seen, steps, checkpoints, cancelled=True)
            number = len(steps) + 1
            loss, accuracy, weight = engine.loss_grad(state, *collate([rows[i] for i in batch]))
            rate = rate_at(number, base_lr, hyper)
            norm = engine.apply(state, rate)
            if not (math.isfinite(loss) and math.isfinite(norm)):
                raise DataError(
                    "training_diverged",
                    f"the loss is no longer a number at step {number} of {total}",
                    path="learning_rate_multiplier",
                    fix="train again with a smaller learning rate",
                )
            metrics = {"train_loss": loss, "train_mean_token_accuracy": accuracy}
            if valid and (number % VALIDATE_EVERY == 0 or number == total):
                loss, accuracy, _ = engine.evaluate(state, *next(sample))
                metrics |= {"valid_loss": loss, "valid_mean_token_accuracy": accuracy}
            if valid and position == len(batches):
                metrics |= full_validation(engine, state, valid)
            seen += batch
            steps.append(Step(number, total, epoch + 1, rate, norm, weight, metrics))
            emit(steps[-1])
        checkpoints.append(_checkpoint(engine, state, out, epoch + 1, steps[-1]))
        emit(checkpoints[-1])
    return _result(rows, seen, steps, checkpoints, cancelled=False)


def _validation_batches(valid: Sequence[Encoded]) -> Iterator[Batch]:
    """Validation rows a few at a time, for ever."""
    starts = range(0, len(valid), VALIDATION_BATCH)
    return (collate(valid[start : start + VALIDATION_BATCH]) for start in cycle(starts))


def full_validation(engine: Engine, state: object, valid: Sequence[Encoded]) -> dict[str, float]:
    """Loss and token accuracy over all validation rows, weighted by token."""
    rows = sorted(valid, key=lambda row: len(row.ids))
    loss = accuracy = weight = 0.0
    for start in range(0, len(rows), VALIDATION_BATCH):
        part = engine.evaluate(state, *collate(rows[start : start + VALIDATION_BATCH]))
        loss, accuracy, weight = loss + part[0] * part[2], accuracy + part[1] * part[2], weight + part[2]
    return {"full_valid_loss": loss / weight, "full_valid_mean_token_accuracy": accuracy / weight}


def _checkpoint(engine: Engine, state: object, out: Path, epoch: int, step: Step) -> Checkpoint:
    folder = out / f"epoch-{epoch}"
    digest = engine.save(state, folder)
    write_json(folder / "metrics.json", {"epoch": epoch, "step": step.step, "digest": digest, **step.metrics})
    return Checkpoint(epoch, step.step, folder, digest, step.metrics)


def _result(
    rows: Sequence[Encoded], seen: list[int], steps: list[Step], checkpoints: list[Checkpoint], *, cancelled: bool
) -> Result:
    lengths = [len(row.ids) for row in rows]
    learned = [sum(weight > 0 for weight in row.weights) for row in rows]
    return Result(checkpoints, sum(lengths[i] for i in seen), sum(learned[i] for i in seen), cancelled, steps)
