"""The sources a data set names, each with its place in the spec and the part that its rows are bound to."""

from dataclasses import dataclass
from typing import Any, Literal

from ftspec.spec.dataset import Dataset, Source

Home = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Origin:
    """One source as the spec names it: its place there, and the part its rows are bound to (`train`: to be divided)."""

    source: Source
    where: str
    home: Home = "train"


def origins(dataset: Dataset) -> list[Origin]:
    """Return every source of a data set in order, parts with files of their own last."""
    found = [Origin(source, f"dataset.sources[{n}]") for n, source in enumerate(dataset.sources)]
    split = dataset.split
    parts: tuple[tuple[str, Home, Any], ...] = (("validation", "valid", split.validation), ("test", "test", split.test))
    return found + [Origin(part, f"dataset.split.{key}", home) for key, home, part in parts if isinstance(part, Source)]
