"""All that lies in `runs/` as rows: filtered, in order. Reads no more than the index where nothing changed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from ftspec.runs.index import summaries
from ftspec.runs.planned import Name, Planned
from ftspec.runs.summary import Summary
from ftspec.spec.errors import UsageError

SCHEMA = 1


@dataclass(frozen=True)
class Wanted:
    """Which runs `ls` shows, and in what order.

    `where` holds `key=value` pairs of swept keys: whole (`hyperparameters.n_epochs=3`) or as labels have them
    (`epochs=3`). `sort` is `newest`, `name`, `loss` (lowest first), or a suite (highest score first).
    """

    experiment: str | None = None
    label: str | None = None
    status: str | None = None
    where: tuple[str, ...] = ()
    sort: str = "newest"
    limit: int | None = None


def list_runs(runs: Path, wanted: Wanted = Wanted(), planned: Planned = Planned({})) -> list[Summary]:
    """Return the runs as rows; a broken one is a row that says so. An experiment has those that it reuses, too.

    Raises UsageError for a filter or an order that means nothing here, DataError where `runs` cannot be read.
    """
    found = summaries(runs)
    for test in _tests(wanted, planned):
        found = list(filter(test, found))
    return _in_order(found, wanted.sort)[: wanted.limit]


def _tests(wanted: Wanted, planned: Planned) -> Iterator[Callable[[Summary], bool]]:
    if wanted.experiment is not None or wanted.label is not None:
        yield lambda row: any(_is_called(wanted, name) for name in _names(row, planned))
    if wanted.status is not None:
        yield lambda row: row.status == wanted.status
    yield from map(_where, wanted.where)


def _names(row: Summary, planned: Planned) -> tuple[Name, ...]:
    return Name(row.experiment, row.label), *planned.also(row.experiment, row.label, row.train)


def _is_called(wanted: Wanted, name: Name) -> bool:
    label = wanted.label is None or fnmatchcase(name.label, wanted.label)
    return label and wanted.experiment in (None, name.experiment)


def _where(pair: str) -> Callable[[Summary], bool]:
    """Read `key=value`; a value is compared as YAML reads it, so that 0.10 finds 0.1."""
    import yaml

    from ftspec.compose.labels import names

    key, equals, text = pair.partition("=")
    if not equals or not key:
        raise UsageError("bad_filter", f"--where {pair}: not KEY=VALUE", fix="such as --where epochs=3")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text

    def passes(row: Summary) -> bool:
        short = names(list(row.point))
        return any(
            found in (value, text) and (key in (known, short[known]) or known.endswith(f".{key}"))
            for known, found in row.point.items()
        )

    return passes


def _in_order(rows: list[Summary], sort: str) -> list[Summary]:
    if sort == "name":
        return rows
    if sort == "newest":
        return sorted(rows, key=lambda row: -(row.started or 0.0))
    if sort == "loss":
        return sorted(rows, key=lambda row: (row.valid_loss is None, row.valid_loss))
    suites = {score.suite for row in rows for score in row.scores}
    if sort not in suites and rows:
        known = ", ".join(["newest", "name", "loss", *sorted(suites)])
        raise UsageError("unknown_order", f"--sort {sort}: no run has a score of that suite", fix=f"one of: {known}")

    def value(row: Summary) -> float:
        found = [score.value for score in row.scores if score.suite == sort and score.value is not None]
        return found[-1] if found else float("-inf")

    return sorted(rows, key=value, reverse=True)
