"""The lock of an experiment: digests of every input and planned run, nothing that depends on a machine or a moment.

`experiments/NAME.lock.json` is committed; `read_lock` takes bytes, so that a git revision's lock reads like a file's.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from ftspec.runs.entries import dump_entries, load_entries
from ftspec.spec.errors import DataError

SCHEMA = 1


class LockedSource(msgspec.Struct, frozen=True, kw_only=True):
    """A file that rows came from; `path` is relative to the project.

    Data sets may take different rows of it: `rows` is how many are taken by the one that takes most.
    """

    path: str
    sha256: str
    bytes: int
    rows: int


class LockedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered file of a data set; `data` is the set's digest, `sha256` hex of the file's bytes."""

    data: str
    role: str
    sha256: str
    rows: int
    tokens: int
    learned_tokens: int
    messages: int
    learned_messages: int


class LockedRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """What rendered a data set: hex sha256 of each block that decides its bytes. It explains a changed digest.

    `rows` is how many rows it takes of each of `sources`; empty in locks that were written before it was there.
    """

    data: str
    sources: tuple[str, ...]
    rows: tuple[int, ...] = ()
    messages: str
    tools: str
    split: str
    weights: str


class LockedSuite(msgspec.Struct, frozen=True, kw_only=True):
    """A suite by its digest; `parts` holds a hex sha256 each of items, request, arms, graders and metrics."""

    name: str
    eval: str
    items: int
    parts: Mapping[str, str]


class LockedBase(msgspec.Struct, frozen=True, kw_only=True):
    """A model as asked for and as it resolved. `digest` and `contract` are the embedded engine's, else None."""

    requested: str
    model: str
    family: str
    digest: str | None = None
    contract: int | None = None


class LockedCounter(msgspec.Struct, frozen=True, kw_only=True):
    """What counted tokens: an encoding; for embedded models the sha256 of the tokenizer too."""

    name: str
    tokenizer: str | None = None


class LockedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One planned run: its point, the ordered overrides that make it, what it asks for, and its digests."""

    label: str
    point: Mapping[str, Any]
    overrides: tuple[str, ...]
    model: str
    method: str
    hyperparameters: Mapping[str, Any]
    seed: int
    train: str
    data: str
    evals: Mapping[str, str]


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, each section in a stable order: sources by path, the others as the plan has them."""

    sources: tuple[LockedSource, ...]
    recipes: tuple[LockedRecipe, ...]
    files: tuple[LockedFile, ...]
    suites: tuple[LockedSuite, ...]
    bases: tuple[LockedBase, ...]
    counters: tuple[LockedCounter, ...]
    runs: tuple[LockedRun, ...]

    def run(self, label: str) -> LockedRun | None:
        """Return the run of a label."""
        return next((run for run in self.runs if run.label == label), None)

    def recipe(self, data: str) -> LockedRecipe | None:
        """Return what rendered the data set of that digest."""
        return next((recipe for recipe in self.recipes if recipe.data == data), None)

    def sources_of(self, data: str) -> dict[str, tuple[str, int]]:
        """Return the sha256 and the number of rows of each file that a data set takes rows of."""
        recipe = self.recipe(data)
        files = {one.path: one for one in self.sources}
        if recipe is None:
            return {path: (one.sha256, one.rows) for path, one in files.items()}
        rows = dict(zip(recipe.sources, recipe.rows, strict=False))
        taken = [files[path] for path in recipe.sources if path in files]
        return {one.path: (one.sha256, rows.get(one.path, one.rows)) for one in taken}

    def to_bytes(self) -> bytes:
        """Return the file's content; equal locks are equal bytes on every machine."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return dump_entries(SCHEMA, built)


def read_lock(content: bytes, *, file: str = "lock.json") -> Lock:
    """Read a lock. Raises DataError (`merge_conflict`, `broken_file`, `newer_version`) that names `file`."""
    name = file.rpartition("/")[2].removesuffix(".lock.json")
    value = load_entries(content, SCHEMA, file=file, rewrite=f"ftspec lock {name}")
    try:
        return msgspec.convert(value, Lock)
    except msgspec.ValidationError as error:
        fix = f"write it anew: ftspec lock {name}"
        raise DataError("broken_file", f"not a lock: {error}", file=file, fix=fix) from error
