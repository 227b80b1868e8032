"""Scores on file (`experiments/NAME.results.json`) beside the plan: old and new under one eval digest, or none."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ftspec.runs.known import KnownResult, read_results
from ftspec.spec.errors import DataError
from ftspec.workflows.review.changes import Known
from ftspec.workflows.review.pairing import Paired
from ftspec.workflows.sides import RunSide


def known_scores(base: Path, head: Path, paired: Iterable[Paired]) -> Iterator[Known]:
    """Yield the scores on file for the runs of both revisions, old ones first. A broken file has none.

    A suite whose digest changed gives two rows, one a digest: no score ever stands beside one of another digest.
    """
    rows: dict[tuple[Path, str], tuple[KnownResult, ...]] = {}

    def of(folder: Path, name: str) -> tuple[KnownResult, ...]:
        if (folder, name) not in rows:
            rows[folder, name] = _read(folder / "experiments" / f"{name}.results.json")
        return rows[folder, name]

    for found in paired:
        old, new = found.old, found.new
        old_rows = of(base, old.experiment) if old else ()
        new_rows = (*of(head, new.experiment), *of(base, new.experiment)) if new else ()
        for name in dict.fromkeys([*(old.suites if old else ()), *(new.suites if new else ())]):
            one, other = (side.suites.get(name) if side else None for side in (old, new))
            before = _find(old_rows, old.train, one.digest) if old and one else None
            after = _find(new_rows, new.train, other.digest) if new and other else None
            if one is None or other is None or one.digest == other.digest:
                yield from _row(found.one, name, before, after, comparable=True)
            else:
                yield from _row(found.one, name, before, None, comparable=False)
                yield from _row(found.one, name, None, after, comparable=False)


def _row(
    run: RunSide, suite: str, before: KnownResult | None, after: KnownResult | None, *, comparable: bool
) -> Iterator[Known]:
    one = after or before
    if one is not None:
        yield Known(
            experiment=run.experiment,
            run=run.label,
            suite=suite,
            metric=one.metric or "",
            digest=one.eval or "",
            old=before.value if before else None,
            old_interval=before.ci95 if before else None,
            new=after.value if after else None,
            new_interval=after.ci95 if after else None,
            n=one.n,
            comparable=comparable,
        )


def _read(path: Path) -> tuple[KnownResult, ...]:
    with suppress(OSError, DataError):
        return read_results(path.read_bytes(), file=path.name).results
    return ()


def _find(rows: Iterable[KnownResult], train: str, digest: str) -> KnownResult | None:
    return next((row for row in rows if row.train == train and row.eval == digest), None)
