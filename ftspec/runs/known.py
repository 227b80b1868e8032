"""Results that a team knows of: `experiments/NAME.results.json`, committed; a small row per finished run and suite."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ftspec.runs.entries import both_sides, dump_entries, load_united
from ftspec.spec.errors import DataError

SCHEMA = 1


class KnownResult(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run on one suite (`suite` empty: it has none). `value` is the primary metric, `ci95` its interval.

    `attempt` is the seal's hex sha256. `weights` and `numerics` are the embedded engine's: the digest of the tuned
    weights and the fingerprint of the arithmetic that made them. `model` names a hosted provider's tuned model.
    """

    run: str
    point: Mapping[str, Any]
    train: str
    suite: str
    eval: str | None
    arm: str | None
    metric: str | None
    value: float | None
    ci95: tuple[float, float] | None
    n: int
    valid_loss: float | None
    epochs: int
    attempt: str
    weights: str | None = None
    numerics: str | None = None
    model: str | None = None


class KnownBaseline(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An arm without training on one suite; `compared` marks the one that runs are compared with.

    `fingerprints` are a hosted model's system fingerprints: another one later, under the same name, is drift.
    """

    suite: str
    eval: str
    arm: str
    model: str
    metric: str
    value: float | None
    ci95: tuple[float, float] | None
    n: int
    compared: bool
    fingerprints: tuple[str, ...] = ()


class KnownPick(msgspec.Struct, frozen=True, kw_only=True):
    """The winner by the declared rule, with the train digests it was chosen among."""

    run: str
    by: str
    among: tuple[str, ...]


class KnownResults(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, in the plan's order."""

    baselines: tuple[KnownBaseline, ...] = ()
    results: tuple[KnownResult, ...] = ()
    pick: tuple[KnownPick, ...] = ()

    def of(self, train: str, suite: str = "") -> KnownResult | None:
        """Return the row of a run, of one suite where it is named."""
        return next((r for r in self.results if r.train == train and suite in ("", r.suite)), None)

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        built: dict[str, Any] = msgspec.to_builtins(self)
        return dump_entries(SCHEMA, built)


def read_results(content: bytes, *, file: str = "results.json") -> KnownResults:
    """Read known results. Raises DataError (`merge_conflict`, `broken_file`, `newer_version`) that names `file`."""
    found = _read(content, file)
    if (double := next(_doubles(found), None)) is not None:
        fix = f"keep one of them: {_rewrite(file)}"
        raise DataError("merge_conflict", f"a merge kept two lines for {double}", file=file, fix=fix)
    return found


def unite_results(content: bytes, *, file: str = "results.json") -> KnownResults:
    """Read results whose merge is not settled: rows of both sides, and of two for the same thing the first.

    Raises DataError (`broken_file`, `newer_version`).
    """
    found = _read(both_sides(content), file)
    results: dict[Any, KnownResult] = {}
    baselines: dict[Any, KnownBaseline] = {}
    for row in found.results:
        results.setdefault(_result_key(row), row)
    for arm in found.baselines:
        baselines.setdefault(_baseline_key(arm), arm)
    pick = max(found.pick, key=lambda pick: len(pick.among), default=None)  # the first of those that know most runs
    return KnownResults(
        baselines=tuple(baselines.values()), results=tuple(results.values()), pick=() if pick is None else (pick,)
    )


def _read(content: bytes, file: str) -> KnownResults:
    value = load_united(content, SCHEMA, file=file, rewrite=_rewrite(file))
    try:
        return msgspec.convert(value, KnownResults)
    except msgspec.ValidationError as error:
        fix = f"write it anew: {_rewrite(file)}"
        raise DataError("broken_file", f"not results: {error}", file=file, fix=fix) from error


def _rewrite(file: str) -> str:
    return f"ftspec lock {file.rpartition('/')[2].removesuffix('.results.json')}"


def _doubles(found: KnownResults) -> Iterator[str]:
    """Words for what has two lines: two machines did the same, and a merge cannot know whose result is meant."""
    runs: set[Any] = set()
    for row in found.results:
        if (key := _result_key(row)) in runs:
            yield f"run {row.run}" + (f" on {row.suite}" if row.suite else "")
        runs.add(key)
    arms: set[Any] = set()
    for arm in found.baselines:
        if (key := _baseline_key(arm)) in arms:
            yield f"{arm.arm} on {arm.suite}"
        arms.add(key)
    if len(found.pick) > 1:
        yield "the pick"


def _result_key(row: KnownResult) -> Any:
    return row.train, row.suite, row.eval


def _baseline_key(arm: KnownBaseline) -> Any:
    return arm.eval, arm.model, arm.arm


def merge_known(old: KnownResults, new: KnownResults, wanted: Mapping[str, Mapping[str, str]]) -> KnownResults:
    """Return what is known after `new` was found on this machine.

    `wanted` maps each planned train digest to its suites' digests: rows of other runs or suites fall out. What only
    `old` knows stays, and so does an old row that the new one says again: another seal of the same result is no news.
    """
    before = {_result_key(row): row for row in old.results}
    found = {_result_key(row): row for row in new.results}
    rows = []
    for train, suites in wanted.items():
        keys: list[tuple[str, str, str | None]] = [(train, name, digest) for name, digest in suites.items()]
        keys = keys or [(train, "", None)]
        for key in keys:
            row, known = found.get(key), before.get(key)
            if row is not None and known is not None and _says(known) == _says(row):
                row = known
            if (chosen := row or known) is not None:
                rows.append(chosen)
    evals = {digest for suites in wanted.values() for digest in suites.values()}
    arms = {_baseline_key(arm): arm for arm in [*old.baselines, *new.baselines] if arm.eval in evals}
    pick = new.pick or tuple(p for p in old.pick if set(p.among) <= wanted.keys())
    return KnownResults(baselines=tuple(arms.values()), results=tuple(rows), pick=pick)


def _says(row: KnownResult) -> Any:
    return row.run, row.value, row.n, row.valid_loss, row.weights, row.numerics, row.epochs
