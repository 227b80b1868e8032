"""Results that a team knows of: `experiments/NAME.results.json`, committed; a small row per finished run and suite."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ftspec.runs.entries import dump_entries, load_entries
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
    name = file.rpartition("/")[2].removesuffix(".results.json")
    value = load_entries(content, SCHEMA, file=file, rewrite=f"ftspec lock {name}")
    try:
        return msgspec.convert(value, KnownResults)
    except msgspec.ValidationError as error:
        fix = f"write it anew: ftspec lock {name}"
        raise DataError("broken_file", f"not results: {error}", file=file, fix=fix) from error


def merge_known(old: KnownResults, new: KnownResults, wanted: Mapping[str, Mapping[str, str]]) -> KnownResults:
    """Return what is known after `new` was found on this machine.

    `wanted` maps each planned train digest to its suites' digests: rows of other runs or suites fall out. What only
    `old` knows stays, and so does an old row that the new one says again: another seal of the same result is no news.
    """
    before = {(r.train, r.suite, r.eval): r for r in old.results}
    found = {(r.train, r.suite, r.eval): r for r in new.results}
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
    arms = {(b.eval, b.model, b.arm): b for b in [*old.baselines, *new.baselines] if b.eval in evals}
    pick = new.pick or tuple(p for p in old.pick if set(p.among) <= wanted.keys())
    return KnownResults(baselines=tuple(arms.values()), results=tuple(rows), pick=pick)


def _says(row: KnownResult) -> Any:
    return row.run, row.value, row.n, row.valid_loss, row.weights, row.numerics, row.epochs
