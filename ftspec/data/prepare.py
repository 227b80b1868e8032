"""The data path: sources -> rows -> messages -> dedupe -> split -> weights -> canonical files with their digests."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from ftspec.data.cache import Cache, content_id
from ftspec.data.counting import Counting, load_counts
from ftspec.data.declared import Declared, declared
from ftspec.data.division import Division, divide
from ftspec.data.examine import examine, wrong_weights
from ftspec.data.index import TEST, TRAIN, VALID, RowIndex
from ftspec.data.parts import Prepared, from_json, part_json
from ftspec.data.proof import Proof, dead_rules
from ftspec.data.remote import unpinned
from ftspec.data.render import Rendering, part_writers
from ftspec.data.rows import Canonical, RowsBuilder
from ftspec.data.rules import RowRules
from ftspec.data.sources import InputFile, find_inputs
from ftspec.data.tokens import TokenCounter
from ftspec.data.weights import Rule, compile_rules
from ftspec.data.writing import PartWriter
from ftspec.spec.dataset import Dataset, Source, Weights
from ftspec.spec.errors import DataError, Problem, SpecError, StorageError, UnsafeError

# Raise it when the same inputs give other bytes or errors: cached results of older versions are then ignored.
CONTRACT = 3


def prepare(
    dataset: Dataset,
    weights: Weights,
    *,
    root: Path,
    counter: TokenCounter,
    cache: Path | None,
    format: RowRules,
) -> Prepared:
    """Render a data set. Paths are relative to `root`; `counter` counts tokens; `format` says what the provider takes.

    With a `cache` folder nothing is done twice: unchanged files are not even read. Raises DataError with all problems
    at once (file, line, what to do), SpecError for templates, tools or rules that make no sense, UnsafeError for paths
    outside the project, StorageError when the disk refuses.
    """
    return Preparation(dataset, weights, root, counter, Cache(cache), format).run()


class Preparation:
    """One call of `prepare`."""

    rules: tuple[Rule, ...]
    declared: Declared

    def __init__(
        self, dataset: Dataset, weights: Weights, root: Path, counter: TokenCounter, cache: Cache, limits: RowRules
    ) -> None:
        self.dataset, self.weights, self.root = dataset, weights, root
        self.counter, self.cache, self.limits = counter, cache, limits

    def run(self) -> Prepared:
        """Return what is cached, or make it; how its sources are pinned is looked at each time."""
        with self._all_told():
            self.rules = compile_rules(self.weights)
            self.declared = declared(self.dataset, self.weights, self.root)
            inputs = find_inputs(self.dataset, self.root, self.cache)
        prepared = self._prepared(inputs)
        pins = unpinned(self.dataset, {source.path: source.sha256 for source in inputs})
        return replace(prepared, problems=(*prepared.problems, *pins))

    @contextmanager
    def _all_told(self) -> Iterator[None]:
        """Where one part cannot be used, raise what is wrong with all of them."""
        try:
            yield
        except (SpecError, DataError, UnsafeError) as error:
            found = examine(self.dataset, self.weights, root=self.root, cache=self.cache, limits=self.limits)
            raise found.error() or error from error

    def _prepared(self, inputs: Sequence[InputFile]) -> Prepared:
        rows_id = content_id("rows", self._rows_parts(inputs))
        self._content = self._content_parts(rows_id)
        files_id = content_id("files", self._files_parts())
        known = self.cache.find("files", files_id)
        if known is not None:
            try:
                return from_json(*known)
            except (KeyError, TypeError, ValueError):
                pass
        for attempt in (1, 2):
            try:
                canonical, counts, extra, exact = self._rows(inputs, rows_id, use_cache=attempt == 1)
                return self._files(inputs, files_id, canonical, counts, extra, exact)
            except (OSError, ValueError, msgspec.MsgspecError) as error:
                if isinstance(error, SpecError | DataError | StorageError) or attempt == 2:
                    raise
        raise AssertionError("unreachable")

    def _rows_parts(self, inputs: Sequence[InputFile]) -> dict[str, Any]:
        return {
            "contract": CONTRACT,
            "sources": [source.to_json() for source in inputs],
            **self.declared.to_json(),
        }

    def _content_parts(self, rows_id: str) -> dict[str, Any]:
        """What decides which rows stand in which part."""
        return {
            "contract": CONTRACT,
            "rows": rows_id,
            "split": self.dataset.split.model_dump(mode="json"),
            "amounts": [[o.source.path, o.source.fraction, o.source.count] for o in self.declared.origins],
        }

    def _files_parts(self) -> dict[str, Any]:
        return self._content | {
            "weights": self.weights.model_dump(mode="json"),
            "counter": [self.counter.name, self.counter.identity, self.counter.exact],
            "limits": self.limits.to_json(),
        }

    def _rows(self, inputs: Sequence[InputFile], rows_id: str, *, use_cache: bool) -> tuple[Canonical, Any, Any, bool]:
        """Return the canonical rows and token counts, from the cache where both are there."""
        counts_id = content_id("counts", {"rows": rows_id, "counter": [self.counter.name, self.counter.identity]})
        rows = self.cache.find("rows", rows_id) if use_cache else None
        counted = self.cache.find("counts", counts_id) if use_cache else None
        if rows is not None and counted is not None:
            counts, extra, exact = load_counts(counted[1]["counts"])
            return _canonical(*rows), counts, extra, exact
        counting = Counting(self.counter)
        with self._all_told():
            mapper, screens = self.declared.mapper(), self.declared.screens()
        entry = self.cache.create("rows", rows_id)
        try:
            metadata = entry.path("metadata.jsonl") if self.declared.fields else None
            builder = RowsBuilder(entry.path("canonical.jsonl"), metadata, counting, self.declared.tools)
            try:
                canonical = builder.build(inputs, mapper, screens)
            except DataError as error:
                more = wrong_weights(builder, inputs, self.weights, self.rules, self.limits)
                raise DataError.many([*error.problems, *more]) from error
            canonical.index.save(entry.path("index"))
            entry.commit({"row_format": canonical.row_format, "rows_of": canonical.rows_of})
        except BaseException:
            entry.abandon()
            raise
        entry = self.cache.create("counts", counts_id)
        counting.save(entry.path("counts"))
        entry.commit({})
        return canonical, counting.counts, counting.extra, counting.exact

    def _division(self, inputs: Sequence[InputFile], canonical: Canonical) -> Division:
        """Return which row stands in which part, from the cache where it is there."""
        division_id = content_id("division", self._content)
        known = self.cache.find("division", division_id)
        if known is not None:
            with suppress(OSError, ValueError, msgspec.MsgspecError):
                division = Division.load(known[1]["division"])
                if len(division.parts) == len(canonical.index):
                    return division
        division = divide(self.dataset, self.declared.origins, inputs, canonical)
        entry = self.cache.create("division", division_id)
        division.save(entry.path("division"))
        entry.commit({})
        return division

    def _files(
        self, inputs: Sequence[InputFile], files_id: str, canonical: Canonical, counts: Any, extra: Any, exact: bool
    ) -> Prepared:
        division = self._division(inputs, canonical)
        parts = division.parts
        entry = self.cache.create("files", files_id)
        writers: dict[int, PartWriter] = {}
        try:
            names = {name: entry.path(f"{name}.jsonl") for name in ("train", "valid", "test")}
            records = entry.path("rows.jsonl")
            writers = part_writers(parts, names)
            paths = [source.path for source in inputs]
            rendering = Rendering(canonical, parts, paths, self.weights, self.rules, self.limits, counts, extra)
            rendering.run(writers, records)
            self._check_counts(rendering, writers, parts)
            rendering.issues.raise_all()
            proof = _proof(rendering, writers)
            problems = [*self._advice(writers), *division.problems(), *dead_rules(proof)]
            body = {
                "parts": {w.role: part_json(w) for w in writers.values()},
                "sources": [[i.path, i.sha256, i.bytes, n] for i, n in zip(inputs, canonical.rows_of, strict=True)],
                "references": division.references,
                "problems": [asdict(p) for p in problems],
                "overlap": division.with_either,
                "counter": self.counter.name,
                "exact": exact,
                "row_format": canonical.row_format,
                "dropped": rendering.dropped,
                "proof": asdict(proof),
                "content": content_id("content", self._content),
            }
            return from_json(json.loads(json.dumps(body)), entry.commit(body))
        except BaseException:
            for writer in writers.values():
                writer.discard()
            entry.abandon()
            raise

    def _check_counts(self, rendering: Rendering, writers: Mapping[int, PartWriter], parts: bytes) -> None:
        """Add problems of whole parts: a format not trained on, too few rows, nothing drawn, a file too large."""
        train, limits = writers[TRAIN], self.limits
        found = rendering.canonical.row_format
        if found not in limits.formats:
            message = f"these are {found} rows; by this method {limits.name} trains {' and '.join(limits.formats)} rows"
            fix = "choose method: {type: dpo}" if found == "preference" else ""
            rendering.issues.add(Problem("format", message, "dataset.sources", fix=fix))
        if train.rows < limits.min_rows and not rendering.issues.shown:
            message = f"{_rows(train.rows)} to train on, {limits.name} needs at least {limits.min_rows}"
            rendering.issues.add(Problem("n_rows", message, "dataset"))
        split = self.dataset.split
        held: Any = split.test if split.folds is None else f"fold {split.fold} of {split.folds}"
        asked = (("validation", VALID, split.validation), ("test", TEST, held))
        for name, code, amount in asked:
            if amount is None or isinstance(amount, Source):
                continue
            rows = sum(1 for part in parts if part == code)
            if rows == 0:
                message = f"no row falls into the {name} part ({amount}; {_rows(len(parts))})"
                rendering.issues.add(Problem("split", message, f"dataset.split.{name}"))
            elif isinstance(amount, int) and rows < amount:
                message = f"{_rows(amount)} asked for, {rows} {'is' if rows == 1 else 'are'} left"
                rendering.issues.add(Problem("split", message, f"dataset.split.{name}"))
        for writer in writers.values():
            if limits.max_file_bytes is not None and writer.size > limits.max_file_bytes and writer.role != "test":
                message = (
                    f"the {writer.role} file has {writer.size:,} bytes, {limits.name} takes {limits.max_file_bytes:,}"
                )
                rendering.issues.add(Problem("file_size", message, "dataset"))

    def _advice(self, writers: Mapping[int, PartWriter]) -> Iterator[Problem]:
        rows, advised = writers[TRAIN].rows, self.limits.advised_rows
        if rows < advised:
            fix = "50 to 100 good examples are a usual start"
            message = f"{_rows(rows)} to train on, fewer than {advised}"
            yield Problem("few_rows", message, "dataset", fix=fix, severity="warning")


def _proof(rendering: Rendering, writers: Mapping[int, PartWriter]) -> Proof:
    """Return the proof table with its sums over train and validation."""
    trained = [writer for code, writer in writers.items() if code in (TRAIN, VALID)]
    return Proof(
        lines=rendering.proof.lines(),
        messages=sum(writer.messages for writer in trained),
        learned_messages=sum(writer.learned_messages for writer in trained),
        tokens=sum(writer.tokens for writer in trained),
        learned_tokens=sum(writer.learned_tokens for writer in trained),
        without_target=rendering.proof.without_target,
    )


def _canonical(body: Any, files: Mapping[str, Path]) -> Canonical:
    index = RowIndex.load(files["index"])
    return Canonical(
        index, files["canonical.jsonl"], files.get("metadata.jsonl"), body["row_format"], list(body["rows_of"])
    )


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
