"""Scores on file (`experiments/NAME.results.json`) beside the plan: old and new under one eval digest, or none."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ftspec.runs.known import KnownResult, read_results
from ftspec.spec.errors import DataError
from ftspec.workflows.changes import Known
from ftspec.workflows.pairing import Paired


def known_scores(base: Path, head: Path, paired: Iterable[Paired]) -> Iterator[Known]:
    """Yield the scores known for runs of the head revision, and for what they replace. A broken file has none."""
    rows: dict[tuple[Path, str], tuple[KnownResult, ...]] = {}

    def of(folder: Path, name: str) -> tuple[KnownResult, ...]:
        if (folder, name) not in rows:
            rows[folder, name] = _read(folder / "experiments" / f"{name}.results.json")
        return rows[folder, name]

    for found in paired:
        if found.new is None:
            continue
        old_rows = of(base, found.old.experiment) if found.old else ()
        new_rows = (*of(head, found.new.experiment), *of(base, found.new.experiment))
        for name, suite in found.new.suites.items():
            after = _find(new_rows, found.new.train, suite.digest)
            old_suite = found.old.suites.get(name) if found.old else None
            comparable = old_suite is not None and old_suite.digest == suite.digest
            before = _find(old_rows, found.old.train, suite.digest) if found.old and comparable else None
            one = after or before
            if one is None:
                continue
            yield Known(
                experiment=found.new.experiment,
                run=found.new.label,
                suite=name,
                metric=one.metric or "",
                digest=suite.digest,
                old=before.value if before else None,
                old_interval=before.ci95 if before else None,
                new=after.value if after else None,
                new_interval=after.ci95 if after else None,
                n=one.n,
            )


def _read(path: Path) -> tuple[KnownResult, ...]:
    with suppress(OSError, DataError):
        return read_results(path.read_bytes(), file=path.name).results
    return ()


def _find(rows: Iterable[KnownResult], train: str, digest: str) -> KnownResult | None:
    return next((row for row in rows if row.train == train and row.eval == digest), None)
