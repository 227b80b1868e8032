"""The base models: where they lie, what identifies them, and their published learning rate. Imports no numpy.

A base is never replaced: a better one gets a new name, and `tiny` points to the current one.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from ftspec.engine.tokenizer import Tokenizer
from ftspec.spec.errors import DataError

FOLDER = Path(__file__).parent / "bases"
CONTRACT = 1  # changes when the same job would give other weights: template, loss, plan, optimiser
PUBLISHED = "ftspec-tiny-1"
SCRATCH = "ftspec-scratch"
ALIASES = {"tiny": PUBLISHED}
BASES = (PUBLISHED, SCRATCH)
BASE_LR = 0.005
CONTEXT = 1024
ROW_LIMIT = 512
SCRATCH_LABELS = ("ftspec-scratch", 1)


@dataclass(frozen=True)
class Base:
    """A base model. `digest` is that of its fp32 weights, or of the recipe for random ones (`weights` is None).

    `base_lr` times the multiplier is the learning rate; `context` bounds a prompt with its answer, `row_limit` a
    training row, both in tokens.
    """

    name: str
    digest: str
    folder: Path
    config: dict[str, Any]
    weights: Path | None
    context: int = CONTEXT
    row_limit: int = ROW_LIMIT
    base_lr: float = BASE_LR

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer, read at first use."""
        return Tokenizer.load(self.folder / "merges.json")


def names() -> tuple[str, ...]:
    """All names that resolve, aliases included."""
    return (*ALIASES, *BASES)


def canonical(name: str) -> str:
    """The base that a name or alias stands for. Raises DataError (`unknown_model`)."""
    resolved = ALIASES.get(name, name)
    if resolved not in BASES:
        fix = f"choose one of: {', '.join(names())}"
        raise DataError("unknown_model", f"there is no embedded model {name!r}", fix=fix)
    return resolved


def resolve(name: str) -> Base:
    """The base behind a name or alias. Raises DataError (`unknown_model`, `broken_base`)."""
    return _load(canonical(name))


@cache
def _load(name: str) -> Base:
    folder = FOLDER / PUBLISHED
    try:
        card = json.loads((folder / "base.json").read_bytes())
        config, digest = card["config"], card["digest"]
    except (OSError, ValueError, KeyError) as error:
        raise DataError("broken_base", f"the base {PUBLISHED} is not readable: {error}", file=str(folder)) from error
    if name == PUBLISHED:
        return Base(name, digest, folder, config, folder / "weights.npz")
    recipe = {"init": SCRATCH_LABELS, "config": config, "tokenizer": card["files"]["merges.json"]}
    return Base(name, hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest(), folder, config, None)
