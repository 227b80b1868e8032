"""What is wrong with a data set whose parts cannot all be used: every part is looked at that can be known apart.

A source that is missing hides no mistake in the rows of another, a broken template hides none in the files.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftspec.data.cache import Cache
from ftspec.data.declared import declared
from ftspec.data.issues import BadRowError
from ftspec.data.messages import Mapper, Metadata, Row, row_object
from ftspec.data.origins import origins
from ftspec.data.rows import RowsBuilder
from ftspec.data.screen import Screen
from ftspec.data.sources import InputFile, look_for_inputs
from ftspec.data.weights import compile_rules
from ftspec.spec.dataset import Dataset, Weights
from ftspec.spec.errors import Problem, Problems


def examine(dataset: Dataset, weights: Weights, *, root: Path, cache: Cache, mapped: bool = True) -> Problems:
    """Return everything that is wrong with sources, template and rows. Raises StorageError when the disk refuses.

    Where `mapped` is False something that rows are made by is known to be broken: files are read, and no row is made.
    """
    problems = Problems()
    problems.try_to(lambda: compile_rules(weights))
    stated = problems.try_to(lambda: declared(dataset, weights, root))
    mapper = problems.try_to(stated.mapper) if stated is not None else None
    screens = problems.try_to(stated.screens) if stated is not None else None
    inputs, wrong = look_for_inputs(dataset, root, cache)
    for error in wrong:
        problems.take(error)
    if screens is None:
        screens = [Screen(origin, None) for origin in origins(dataset)]
    if mapper is None or not mapped:
        mapper = _Unmade()
    chosen, through = mapper, screens
    if inputs:
        problems.try_to(lambda: _read(inputs, chosen, through, cache))
    return problems


def _read(inputs: Sequence[InputFile], mapper: Mapper, screens: Sequence[Screen], cache: Cache) -> None:
    """Read all rows and keep nothing. Raises DataError with what is wrong with them."""
    entry = cache.create("rows", "examined")
    try:
        RowsBuilder(entry.path("canonical.jsonl"), None, None, None).build(inputs, mapper, screens)
    finally:
        entry.abandon()


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
