"""`runs/.index.sqlite`: rows of finished runs, so that `ls` need not read ten thousand folders. Always disposable.

The folders are the truth. A row is kept once nothing of it can change unnoticed: a model is sealed, so are all scores,
and sealed folders are read once (`verify` reads them again). It is believed while the times of the run's folder and of
its `evals/` are those it was read under. Deleting the file changes no output; a broken, locked or unwritable one only
costs time.
"""

import os
import sqlite3
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from ftspec.runs.summary import Summary
from ftspec.spec.errors import DataError

NAME = ".index.sqlite"
_SCHEMA = 3
# `changed` and `scored` are the times of the run's folder and of its `evals/` in ns, `row` is a Summary as MessagePack.
_TABLE = """
CREATE TABLE IF NOT EXISTS runs (
    folder TEXT PRIMARY KEY, changed INTEGER NOT NULL, scored INTEGER NOT NULL, row BLOB NOT NULL)
"""
_BUSY_SECONDS = 0.25

# A folder that changed less than this long before it was read may change again within the same tick of its clock.
_TICK_NS = 2_000_000_000

Stamp = tuple[int, int]
Row = tuple[Stamp, bytes]

_decode = msgspec.msgpack.Decoder(list[Summary]).decode


def summaries(runs: Path) -> list[Summary]:
    """Return a row for every run directory, in name order; foreign and half-written folders are passed over.

    Raises DataError where `runs` itself cannot be read.
    """
    return _summaries(runs, _read(runs))


def _summaries(runs: Path, known: Mapping[str, Row]) -> list[Summary]:
    believed: dict[str, bytes] = {}
    fresh: list[Summary] = []
    kept: dict[str, Row] = {}
    for folder in _run_folders(runs, fresh):
        row = known.get(folder)
        if row is not None and row[0] == _stamp(f"{runs}/{folder}"):
            believed[folder] = row[1]
        elif (runs / folder / "run.json").is_file():
            summary, lasting = _look(runs, folder)
            fresh.append(summary)
            if lasting is not None:
                kept[folder] = lasting
    try:
        rows = _joined(believed.values())
    except (msgspec.MsgspecError, TypeError):  # someone wrote into the index: the folders are the truth
        return _summaries(runs, {})
    gone = known.keys() - believed.keys() - kept.keys()
    if kept or gone:
        _write(runs, kept, gone)
    if not fresh:
        return rows
    return sorted([*rows, *fresh], key=lambda row: row.folder.split("/"))


def _look(runs: Path, folder: str) -> tuple[Summary, Row | None]:
    """Read one run directory; return its row, and how it is kept where it will not change."""
    from ftspec.runs.directory import RunDirectory
    from ftspec.runs.reading import summarize

    now, stamp = time.time_ns(), _stamp(f"{runs}/{folder}")
    summary = summarize(RunDirectory(runs / folder))
    if summary.closed and stamp is not None and max(stamp) < now - _TICK_NS and folder.isprintable():
        row = _encoded(summary)
        return summary, None if row is None else (stamp, row)
    return summary, None


def _encoded(summary: Summary) -> bytes | None:
    """Return a row as it is kept, or None for one that would not come back the same: run.json may hold anything."""
    try:
        row = msgspec.msgpack.encode(summary)
        return row if msgspec.msgpack.encode(_joined([row])[0]) == row else None
    except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError, TypeError):
        return None


def _joined(rows: Collection[bytes]) -> list[Summary]:
    """Decode kept rows in one call: a MessagePack list is its length (`dd`, four bytes) and its items."""
    return _decode(b"".join((b"\xdd", len(rows).to_bytes(4, "big"), *rows)))


def _run_folders(runs: Path, unreadable: list[Summary]) -> Iterator[str]:
    """Yield `experiment/run` for every folder that may be a run, in name order; note experiments nobody may read."""
    for experiment in _names(runs):
        try:
            names = _names(runs / experiment)
        except DataError as error:
            said = Summary(folder=experiment, experiment=experiment, label="", train="", status="unreadable")
            unreadable.append(said._replace(problem=error.problems[0].message))
            continue
        for name in names:
            if name != "baselines":
                yield f"{experiment}/{name}"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        fix = "give yourself the permission on this folder"
        raise DataError("unreadable", f"cannot read: {error.strerror}", file=str(folder), fix=fix) from error


def _stamp(path: str) -> Stamp | None:
    """Return the change times of the two folders by which a finished run's row changes; None where there is none."""
    try:
        changed = os.stat(path).st_mtime_ns
        try:
            return changed, os.stat(path + "/evals").st_mtime_ns
        except FileNotFoundError:
            return changed, 0
    except OSError:
        return None


def _read(runs: Path) -> Mapping[str, Row]:
    """Return the rows on file, none where there is no index or it cannot be used."""
    path = runs / NAME
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
                return {}
            found = db.execute("SELECT folder, changed, scored, row FROM runs").fetchall()
    except sqlite3.Error:
        return {}
    return {folder: ((changed, scored), row) for folder, changed, scored, row in found}


def _write(runs: Path, kept: Mapping[str, Row], gone: Iterable[str]) -> None:
    """Put in and take out rows in one transaction; whoever cannot leaves it to the next reader."""
    path = runs / NAME
    for _ in range(2):
        try:
            with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)) as db:
                _update(db, kept, gone)
            return
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:  # no database, or a damaged one: begun anew
            with suppress(OSError):
                path.unlink()


def _update(db: sqlite3.Connection, kept: Mapping[str, Row], gone: Iterable[str]) -> None:
    db.execute("PRAGMA synchronous = OFF")  # a crash of the machine may cost the index, which is made anew
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
        db.execute("DROP TABLE IF EXISTS runs")
        db.execute(f"PRAGMA user_version = {_SCHEMA}")
    db.execute(_TABLE)
    rows = [(folder, *stamp, row) for folder, (stamp, row) in kept.items()]
    db.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", rows)
    db.executemany("DELETE FROM runs WHERE folder = ?", [(folder,) for folder in gone])
    db.execute("COMMIT")
