"""Scores on file (`experiments/NAME.results.json`) beside the plan: old and new under one eval digest, or none."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ftspec.workflows.changes import Known
from ftspec.workflows.pairing import Paired

Row = Mapping[str, Any]


def known_scores(base: Path, head: Path, paired: Iterable[Paired]) -> Iterator[Known]:
    """Yield the scores known for runs of the head revision, and for what they replace. A broken file has none."""
    rows: dict[tuple[Path, str], list[Row]] = {}

    def of(folder: Path, name: str) -> list[Row]:
        if (folder, name) not in rows:
            rows[folder, name] = _read(folder / "experiments" / f"{name}.results.json")
        return rows[folder, name]

    for found in paired:
        if found.new is None:
            continue
        old_rows = of(base, found.old.experiment) if found.old else []
        new_rows = [*of(head, found.new.experiment), *of(base, found.new.experiment)]
        for name, suite in found.new.suites.items():
            after = _find(new_rows, found.new.train, suite.digest)
            old_suite = found.old.suites.get(name) if found.old else None
            comparable = old_suite is not None and old_suite.digest == suite.digest
            before = _find(old_rows, found.old.train, suite.digest) if found.old and comparable else None
            if after is None and before is None:
                continue
            one = after or before
            assert one is not None
            yield Known(
                experiment=found.new.experiment,
                run=found.new.label,
                suite=name,
                metric=str(one.get("metric", "")),
                digest=suite.digest,
                old=_number(before, "value"),
                old_interval=_interval(before),
                new=_number(after, "value"),
                new_interval=_interval(after),
                n=int(one["n"]) if isinstance(one.get("n"), int) else None,
            )


def _read(path: Path) -> list[Row]:
    """Return the rows of a results file: an object with `results`, one row each."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    rows = value.get("results") if isinstance(value, dict) else value
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _find(rows: Iterable[Row], train: str, digest: str) -> Row | None:
    return next((row for row in rows if row.get("train") == train and row.get("eval") == digest), None)


def _number(row: Row | None, key: str) -> float | None:
    value = row.get(key) if row else None
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _interval(row: Row | None) -> tuple[float, float] | None:
    found = row.get("ci95") if row else None
    if isinstance(found, list) and len(found) == 2 and all(isinstance(bound, (int, float)) for bound in found):
        return float(found[0]), float(found[1])
    return None
