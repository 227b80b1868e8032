"""`runs/.index.sqlite`: rows of finished runs, so that `ls` need not read ten thousand folders. Always disposable.

The folders are the truth. A row is kept once nothing of it can change unnoticed: a model is sealed, so are all scores,
and sealed folders are read once (`verify` reads them again). It is believed while the times of the run's folder and of
its `evals/` are those it was read under. Deleting the file changes no output; a broken, locked or unwritable one only
costs time.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ftspec.runs.directory import RunDirectory
from ftspec.runs.summary import Score, Summary, summarize
from ftspec.spec.errors import DataError

NAME = ".index.sqlite"
_SCHEMA = 2
# A row is a JSON list of Summary's fields from `label` to `scores`, scores as lists of Score's fields.
_TABLE = "CREATE TABLE IF NOT EXISTS runs (folder TEXT PRIMARY KEY, stamp TEXT NOT NULL, row TEXT NOT NULL)"
_FIELDS = slice(Summary._fields.index("label"), Summary._fields.index("scores") + 1)
_BUSY_SECONDS = 0.25

# A folder that changed less than this long before it was read may change again within the same tick of its clock.
_TICK_NS = 2_000_000_000

Row = tuple[str, str]  # stamp, JSON


def summaries(runs: Path) -> list[Summary]:
    """Return a row for every run directory, in name order; foreign and half-written folders are passed over.

    Raises DataError where `runs` itself cannot be read.
    """
    return _summaries(runs, _read(runs))


def _summaries(runs: Path, known: Mapping[str, Row]) -> list[Summary]:
    believed: dict[str, str] = {}
    fresh: list[Summary] = []
    kept: dict[str, tuple[str, Summary]] = {}
    for folder in _run_folders(runs, fresh):
        row = known.get(folder)
        if row is not None and row[0] == _stamp(runs, folder):
            believed[folder] = row[1]
        elif (run := runs / folder / "run.json").is_file():
            now, stamp = time.time_ns(), _stamp(runs, folder)
            summary = summarize(RunDirectory(run.parent))
            fresh.append(summary)
            if summary.closed and _settled(stamp, now) and folder.isprintable():
                kept[folder] = stamp, summary
    try:
        rows = list(map(_decoded, believed, json.loads(f"[{','.join(believed.values())}]")))
    except (ValueError, TypeError, KeyError):  # someone wrote into the index: the folders are the truth
        return _summaries(runs, {})
    gone = known.keys() - believed.keys() - kept.keys()
    if kept or gone:
        _write(runs, kept, gone)
    if not fresh:
        return rows
    return sorted([*rows, *fresh], key=lambda row: row.folder.split("/"))


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


def _stamp(runs: Path, folder: str) -> str:
    """Return the change times of the two folders by which a finished run's row changes; empty where there is none."""
    try:
        return f"{os.stat(f'{runs}/{folder}').st_mtime_ns} {_evals_time(f'{runs}/{folder}/evals')}"
    except OSError:
        return ""


def _evals_time(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0


def _settled(stamp: str, now: int) -> bool:
    return bool(stamp) and max(map(int, stamp.split())) < now - _TICK_NS


def _read(runs: Path) -> Mapping[str, Row]:
    """Return the rows on file, none where there is no index or it cannot be used."""
    path = runs / NAME
    if not path.is_file():
        return {}
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as db:
            if db.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
                return {}
            found = db.execute("SELECT folder, stamp, row FROM runs").fetchall()
    except sqlite3.Error:
        return {}
    return {folder: (stamp, row) for folder, stamp, row in found}


def _decoded(folder: str, row: list[Any]) -> Summary:
    scores = tuple([Score(*score) for score in row.pop()])
    return Summary._make((folder, folder.partition("/")[0], *row, scores, "", True))  # no problem, closed


def _write(runs: Path, kept: Mapping[str, tuple[str, Summary]], gone: Iterable[str]) -> None:
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


def _update(db: sqlite3.Connection, kept: Mapping[str, tuple[str, Summary]], gone: Iterable[str]) -> None:
    db.execute("PRAGMA synchronous = OFF")  # a crash of the machine may cost the index, which is made anew
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone()[0] != _SCHEMA:
        db.execute("DROP TABLE IF EXISTS runs")
        db.execute(f"PRAGMA user_version = {_SCHEMA}")
    db.execute(_TABLE)
    rows = [(folder, stamp, json.dumps(summary[_FIELDS])) for folder, (stamp, summary) in kept.items()]
    db.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", rows)
    db.executemany("DELETE FROM runs WHERE folder = ?", [(folder,) for folder in gone])
    db.execute("COMMIT")
