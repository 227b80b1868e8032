"""What is wrong with a data set whose parts cannot all be used: every part is looked at that can be known apart.

A source that is missing hides no mistake in the rows of another, a broken template hides none in the files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftspec.data.cache import Cache
from ftspec.data.declared import declared
from ftspec.data.issues import BadRowError
from ftspec.data.messages import Metadata, Row, row_object
from ftspec.data.origins import origins
from ftspec.data.render import Rendering
from ftspec.data.rows import RowsBuilder
from ftspec.data.rules import RowRules
from ftspec.data.screen import Screen
from ftspec.data.sources import InputFile, look_for_inputs
from ftspec.data.weights import Rule, compile_rules
from ftspec.spec.dataset import Dataset, Weights
from ftspec.spec.errors import DataError, Problem, Problems


def examine(
    dataset: Dataset, weights: Weights, *, root: Path, cache: Cache, limits: RowRules | None = None, mapped: bool = True
) -> Problems:
    """Return everything that is wrong with sources, template and rows. Raises StorageError when the disk refuses.

    Where `mapped` is False something that rows are made by is known to be broken: files are read, and no row is made.
    Weights are looked at where `limits` say what the provider takes.
    """
    problems = Problems()
    rules = problems.try_to(lambda: compile_rules(weights))
    stated = problems.try_to(lambda: declared(dataset, weights, root))
    mapper = problems.try_to(stated.mapper) if stated is not None else None
    screens = problems.try_to(stated.screens) if stated is not None else None
    inputs, wrong = look_for_inputs(dataset, root, cache)
    for error in wrong:
        problems.take(error)
    if not inputs:
        return problems
    if screens is None:
        screens = [Screen(origin, None) for origin in origins(dataset)]
    if mapper is None or not mapped:
        mapper = _Unmade()
    entry = cache.create("rows", "examined")
    metadata = entry.path("metadata.jsonl") if stated is not None and stated.fields else None
    builder = RowsBuilder(entry.path("canonical.jsonl"), metadata, None, stated.tools if stated is not None else None)
    try:
        problems.try_to(lambda: builder.build(inputs, mapper, screens))
        if rules is not None and limits is not None:
            problems.found += wrong_weights(builder, inputs, weights, rules, limits)
    finally:
        entry.abandon()
    return problems


def wrong_weights(
    builder: RowsBuilder, inputs: Sequence[InputFile], weights: Weights, rules: tuple[Rule, ...], limits: RowRules
) -> list[Problem]:
    """Return what is wrong with the weights of the rows that could be read, where others could not."""
    good = builder.good
    paths = [source.path for source in inputs]
    rows, messages = len(good.index), len(good.index.letters)
    looking = Rendering(good, bytes(rows), paths, weights, rules, limits, bytes(messages), bytes(rows))
    try:
        return looking.check()
    except DataError as error:  # a pattern of a rule that runs for too long
        return list(error.problems)


class _Unmade:
    """Makes no row: raw ones are read as objects, and that is all."""

    def __call__(self, raw: bytes | dict[str, Any], file: str, line: int) -> tuple[Row, Metadata]:
        """Raise BadRowError, with a problem where the row is no object."""
        if isinstance(raw, bytes):
            row_object(raw, file, line)
        raise BadRowError([])

    def lacks(self) -> list[Problem]:
        """Return nothing: no field was asked for."""
        return []

    def problems(self) -> list[Problem]:
        """Return nothing."""
        return []
