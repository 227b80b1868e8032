"""Make a base model: `python -m ftspec.engine.pretrain --out DIR [--steps N]`; `--check` makes it again and compares.

Text, order, initial weights and arithmetic are all seeded: the same fingerprint gives the same bits.
"""

import argparse
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.engine.environment import require_numpy
from ftspec.engine.mixture import rows
from ftspec.engine.streams import Stream
from ftspec.engine.template import Encoded, render_row
from ftspec.engine.tokenizer import Tokenizer, train_merges
from ftspec.engine.words import WORDS
from ftspec.storage import read_json, write_atomic, write_json

if TYPE_CHECKING:
    from ftspec.engine.model import Parameters

MARK = 20


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights. The rate rises over `warmup` steps, then falls linearly to `floor` of it."""

    name: str = "ftspec-tiny-1"
    seed: int = 1
    merges: int = 700
    merge_rows: int = 9000
    steps: int = 9000
    batch: int = 16
    sorted_batches: int = 4
    rate: float = 0.002
    warmup: int = 100
    floor: float = 0.04

    def rate_at(self, step: int) -> float:
        """Learning rate of step 1, 2, ..., `steps`."""
        fall = max(self.floor, 1 - step / self.steps)
        return self.rate * min(1.0, step / self.warmup) * fall


def make_tokenizer(recipe: Recipe) -> Tokenizer:
    """Merges of the mixture's text and of every word behind a space."""
    texts = [f" {word}" for word in WORDS]
    for row in rows(Stream(recipe.name, "merges", recipe.seed), recipe.merge_rows):
        texts += [message.get("content") or "" for message in row["messages"]]
    return Tokenizer(train_merges(texts, recipe.merges))


def batches(recipe: Recipe, tokenizer: Tokenizer, r: Stream) -> "list[list[Encoded]]":
    """Some batches at once, each of rows of about the same length, in random order: little padding."""
    pool = [render_row(tokenizer, row) for row in rows(r, recipe.batch * recipe.sorted_batches)]
    pool.sort(key=lambda row: len(row.ids))
    return r.shuffle([pool[i : i + recipe.batch] for i in range(0, len(pool), recipe.batch)])


def train(recipe: Recipe, tokenizer: Tokenizer, steps: int, log: Any) -> "tuple[Parameters, dict[str, Any]]":
    """Run `steps` steps of the recipe; return the weights and what base.json records about the training."""
    from ftspec.engine.collate import collate
    from ftspec.engine.fingerprint import digest
    from ftspec.engine.model import Config, Parameters, initialize, loss_and_gradient
    from ftspec.engine.optimizer import AdamW

    parameters = initialize(Config(tokenizer.size), recipe.name, "init", recipe.seed)
    gradient, optimizer = Parameters(parameters.config), AdamW(parameters)
    r = Stream(recipe.name, "rows", recipe.seed)
    valid = [render_row(tokenizer, row) for row in rows(Stream(recipe.name, "valid", recipe.seed), 256)]
    held_out = [collate(valid[i : i + 32]) for i in range(0, len(valid), 32)]
    queue: list[list[Encoded]] = []
    record: dict[str, Any] = {}
    running, began = 0.0, time.process_time()
    for step in range(1, steps + 1):
        queue = queue or batches(recipe, tokenizer, r)
        loss = loss_and_gradient(parameters, *collate(queue.pop()), gradient).loss
        optimizer.step(parameters, gradient, recipe.rate_at(step))
        running = loss if step == 1 else 0.98 * running + 0.02 * loss
        if step == MARK:
            record["at_20"] = {"digest": digest(parameters), "loss": round(loss, 5)}
        if step % 500 == 0 or step == steps:
            results = [loss_and_gradient(parameters, *batch) for batch in held_out]
            total = sum(result.weight for result in results)
            record["loss"] = round(sum(result.loss * result.weight for result in results) / total, 5)
            record["accuracy"] = round(sum(result.accuracy * result.weight for result in results) / total, 5)
            cpu = time.process_time() - began
            print(
                f"step {step} train {running:.4f} held out {record['loss']} {record['accuracy']} cpu {cpu:.0f} s",
                file=log,
            )
            log.flush()
    return parameters, record


def make(recipe: Recipe, steps: int, out: Path, log: Any) -> dict[str, Any]:
    """Make the base into folder `out`: weights.npz (fp16), merges.json, base.json. Returns the latter."""
    from ftspec.engine.checkpoint import describe, save
    from ftspec.engine.fingerprint import numerics

    tokenizer = make_tokenizer(recipe)
    write_atomic(out / "merges.json", tokenizer.to_json())
    parameters, record = train(recipe, tokenizer, steps, log)
    base_digest = save(parameters, out / "weights.npz", base=recipe.name, dtype="float16")
    card = {
        "name": recipe.name,
        "digest": base_digest,
        **describe(parameters, out),
        "recipe": asdict(recipe) | {"steps_run": steps},
        "record": record,
        "fingerprint": numerics(),
    }
    write_json(out / "base.json", card)
    return card


def compare(made: dict[str, Any], known: dict[str, Any], steps: int) -> list[str]:
    """Differences between a base made again and the shipped one; bits count only where the fingerprints are equal."""
    same = made["fingerprint"] == known["fingerprint"]
    found = []
    if made["files"]["merges.json"] != known["files"]["merges.json"]:
        found.append("merges.json differs")
    if same and made["record"]["at_20"] != known["record"]["at_20"]:
        found.append("the weights after 20 steps differ")
    if abs(made["record"]["at_20"]["loss"] - known["record"]["at_20"]["loss"]) > 1e-3:
        found.append("the loss after 20 steps differs by more than 0.001")
    if steps == known["recipe"]["steps_run"]:
        if same and made["digest"] != known["digest"]:
            found.append("the final weights differ")
        if abs(made["record"]["loss"] - known["record"]["loss"]) > 0.02:
            found.append("the final held-out loss differs by more than 0.02")
    return found


def main(arguments: list[str]) -> int:
    """Command line; exit code 1 where `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m ftspec.engine.pretrain", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that receives the base")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="stop early after so many steps")
    parser.add_argument("--check", type=Path, metavar="BASE", help="compare with the base in this folder")
    options = parser.parse_args(arguments)
    made = make(Recipe(), options.steps, options.out, sys.stderr)
    if options.check is None:
        print(made["digest"])
        return 0
    known = read_json(options.check / "base.json")
    found = compare(made, known, options.steps)
    equal = made["fingerprint"] == known["fingerprint"]
    print(
        "\n".join(found) or f"no difference; fingerprints {'equal: same bits' if equal else 'differ: losses compared'}"
    )
    return 1 if found else 0


if __name__ == "__main__":
    require_numpy("ftspec.engine.pretrain")
    sys.exit(main(sys.argv[1:]))
