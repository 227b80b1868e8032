"""A run directory in one row: what `ls` shows and the index keeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Score(NamedTuple):
    """A suite's primary metric as sealed; `eval` says what it may be compared with, `attempt` whose model it scores."""

    suite: str
    eval: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    attempt: int


class Summary(NamedTuple):
    """One run as a row. `folder` is relative to `runs/`; `started` is in Unix seconds, the first attempt's intent.

    `problem` is set where the folder cannot be read; the other runs are shown anyway. `closed` says that nothing of
    the row can change without a folder changing: a model is sealed, and so are all scores. A tuple, since ten thousand
    of them are made for one table.
    """

    folder: str
    experiment: str
    label: str
    train: str
    status: str
    started: float | None = None
    valid_loss: float | None = None
    seconds: float | None = None
    usd: float | None = None
    point: Mapping[str, Any] = {}
    scores: tuple[Score, ...] = ()
    problem: str = ""
    closed: bool = False

    def to_json(self, runs: Path) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        built = self._asdict() | {"folder": str(runs / self.folder), "scores": [one._asdict() for one in self.scores]}
        del built["closed"]
        return built
