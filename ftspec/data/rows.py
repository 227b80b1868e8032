"""Sources to canonical rows: every row decoded, checked, keyed, counted and written once, weights left out.

The result depends on sources, template, tools, metadata names and limits alone, so every weight policy, split and sweep
over them shares it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from ftspec.data.compression import ReadError
from ftspec.data.counting import Counting
from ftspec.data.forms import FORMS, encode, forms
from ftspec.data.index import RowIndex
from ftspec.data.issues import BadRowError, Issues, TooManyBadRowsError
from ftspec.data.messages import Mapper, Metadata, Row
from ftspec.data.readers import read
from ftspec.data.screen import Screen
from ftspec.data.sources import InputFile
from ftspec.spec.errors import DataError, Problem, StorageError

_BUFFER = 1 << 16
_BATCH_ROWS, _BATCH_BYTES = 256, 1 << 17  # as much as a reader's block: it stays in the processor's cache


@dataclass
class Canonical:
    """The rows of a data set: `lines` is their canonical file without weights, `metadata` one object a row or None."""

    index: RowIndex
    lines: Path
    metadata: Path | None
    row_format: str
    rows_of: list[int] = field(default_factory=list)


@dataclass
class Batch:
    """Rows of one file that wait to be checked and written together, with the line each starts on."""

    source: int
    file: str
    rows: list[Row] = field(default_factory=list)
    metadata: list[Metadata] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    bytes: int = 0

    def append(self, row: Row, metadata: Metadata, line: int, size: int) -> bool:
        """Add one row of so many bytes; return whether the batch is full."""
        self.rows.append(row)
        self.metadata.append(metadata)
        self.lines.append(line)
        self.bytes += size
        return len(self.rows) >= _BATCH_ROWS or self.bytes >= _BATCH_BYTES

    def singles(self) -> Iterator["Batch"]:
        """Yield every row as a batch of its own."""
        for row, metadata, line in zip(self.rows, self.metadata, self.lines, strict=True):
            yield Batch(self.source, self.file, [row], [metadata], [line])


class RowsBuilder:
    """Takes rows and writes the canonical file."""

    def __init__(self, lines: Path, metadata: Path | None, counting: Counting | None, tools: bytes | None) -> None:
        self.index = RowIndex()
        self.issues = Issues()
        self.row_format = ""
        self._counting = counting
        self._forms = forms(self.index, counting, tools)
        self._lines_path, self._metadata_path = lines, metadata
        self._offset = 0

    def build(self, inputs: Sequence[InputFile], mapper: Mapper, screens: Sequence[Screen]) -> Canonical:
        """Read everything; `screens` has one entry a source.

        Raises DataError with the problems of all rows, StorageError where the disk refuses.
        """
        rows_of: list[int] = []
        gave_up = False
        try:
            with self._lines_path.open("wb", _BUFFER) as self._lines:
                self._metadata: Any = self._metadata_path.open("wb", _BUFFER) if self._metadata_path else None
                try:
                    for number, source in enumerate(inputs):
                        before = len(self.index)
                        self._read_source(number, source, mapper, screens[source.group])
                        rows_of.append(len(self.index) - before)
                finally:
                    if self._metadata is not None:
                        self._metadata.close()
        except TooManyBadRowsError:
            gave_up = True
        except OSError as error:
            raise StorageError.of(error, self._lines_path) from error
        whole = mapper.lacks()
        if not self.issues.bad_rows:  # what no row has may stand in a row that could not be read
            whole += [*(problem for screen in screens for problem in screen.problems()), *mapper.problems()]
        self.issues.raise_all(whole, gave_up=gave_up)
        if self._counting is not None:
            self._counting.flush()
        return replace(self.good, rows_of=rows_of)

    @property
    def good(self) -> Canonical:
        """The rows so far, those that were bad left out."""
        return Canonical(self.index, self._lines_path, self._metadata_path, self.row_format or "chat")

    def _read_source(self, number: int, source: InputFile, mapper: Mapper, screen: Screen) -> None:
        before, skipped = len(self.index), screen.skipped
        bad = self.issues.bad_rows + self.issues.unmade
        path = source.path
        batch = Batch(number, path)
        try:
            for line, raw in read(source, screen.columns):
                try:
                    if isinstance(raw, Problem):
                        raise BadRowError([raw])
                    if not screen.keeps(raw, path, line):
                        continue
                    row, metadata = mapper(raw, path, line)
                except BadRowError as error:
                    self._take(batch)  # problems are told in the order of their rows
                    batch = Batch(number, path)
                    self.issues.add_row(error.problems)
                    continue
                if batch.append(row, metadata, line, len(raw)):
                    self._take(batch)
                    batch = Batch(number, path)
        except ReadError as failure:
            self._take(batch)
            self.issues.add_row([failure.problem])
        except DataError as failure:  # a package is missing that this file alone needs
            self._take(batch)
            self.issues.add_row(failure.problems)
        else:
            self._take(batch)
        bad = self.issues.bad_rows + self.issues.unmade - bad
        if len(self.index) == before and not bad and screen.skipped == skipped:
            self.issues.add(Problem("empty_file", f"{path} holds no rows", f"{source.where}.path", path))

    def _take(self, batch: Batch) -> None:
        """Write the rows of a batch; where one is bad take them one by one, so that it alone is left out and told."""
        if not batch.rows:
            return
        try:
            made = self._add(batch)
        except BadRowError as error:
            if len(batch.rows) == 1:
                self.issues.add_row(error.problems)
                return
            for single in batch.singles():
                self._take(single)
            return
        starts = list(accumulate([len(data) + 1 for data in made], initial=self._offset))
        self._offset = starts.pop()
        text = b"\n".join(made) + b"\n"
        if b"<|" in text:
            first = len(self.index.line)
            self.index.marked.extend([first + n for n, data in enumerate(made) if b"<|" in data])
        self.index.source.extend([batch.source] * len(made))
        self.index.line.extend(batch.lines)
        self.index.start.extend(starts)
        self._lines.write(text)
        if self._metadata is not None:
            self._metadata.writelines([encode(metadata) + b"\n" for metadata in batch.metadata])

    def _add(self, batch: Batch) -> list[bytes]:
        """Return the canonical lines of a batch. Raises BadRowError."""
        self.row_format = self.row_format or FORMS[type(batch.rows[0])]
        for row, line in zip(batch.rows, batch.lines, strict=True):
            if FORMS[type(row)] != self.row_format:
                message = f"a {FORMS[type(row)]} row among {self.row_format} rows"
                fix = "all rows have one format"
                raise BadRowError([Problem("format", message, "", batch.file, line, fix=fix)])
        return self._forms[self.row_format].add(batch.rows, batch.file, batch.lines)
