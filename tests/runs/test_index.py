"""The index of `ls`: always equal to what the folders say, never a reason to fail."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftspec.runs.index import NAME, summaries
from ftspec.runs.seal import seal
from ftspec.storage import write_json

OLD = time.time() - 100


def write_run(runs: Path, number: int, *, outcome: str | None = "succeeded", suites: int = 1) -> Path:
    """A run directory as `run` leaves it, long ago."""
    path = runs / f"demo{number % 2}" / f"seed={number}.{number:012x}"
    facts = {"schema": 1, "label": f"seed={number}", "digests": {"train": f"sha256:{number:012x}"}, "point": {}}
    write_json(path / "run.json", facts)
    if outcome is not None:
        attempt = path / "attempts" / "001"
        write_json(attempt / "results.json", {"outcome": outcome, "valid_loss": number / 10})
        (attempt / "requests.jsonl").write_text(f'{{"record":"intent","at":{1000 + number}}}\n')
        seal(attempt)
    for suite in range(suites if outcome == "succeeded" else 0):
        add_scores(path, f"s{suite}", 0.5)
    age(path)
    return path


def add_scores(path: Path, suite: str, value: float) -> None:
    metrics = {"a.accuracy": {"value": value, "low": 0.1, "high": 0.9, "n": 5}}
    scores = {"suite": suite, "eval": "sha256:e", "primary": "a.accuracy", "arms": {"tuned": {"metrics": metrics}}}
    folder = path / "evals" / f"{suite}.eeeeeeeeeeee"
    write_json(folder / "scores.json", scores)
    seal(folder)


def age(path: Path) -> None:
    """Put every folder's time back, so that a row is kept at once."""
    for folder, _, _ in os.walk(path, topdown=False):
        os.utime(folder, (OLD, OLD))


def rows_on_file(runs: Path) -> dict[str, tuple[int, int, bytes]]:
    with sqlite3.connect(runs / NAME) as db:
        return {row[0]: row[1:] for row in db.execute("SELECT folder, changed, scored, row FROM runs")}


def test_a_kept_row_is_what_the_folder_says(tmp_path: Path) -> None:
    for number in range(6):
        write_run(tmp_path, number)
    cold = summaries(tmp_path)
    assert len(rows_on_file(tmp_path)) == 6
    assert summaries(tmp_path) == cold
    assert [row.valid_loss for row in cold] == [0.0, 0.2, 0.4, 0.1, 0.3, 0.5]
    assert cold[0].started == 1000
    (tmp_path / NAME).unlink()
    assert summaries(tmp_path) == cold


def test_unfinished_runs_are_read_each_time(tmp_path: Path) -> None:
    planned, failed = write_run(tmp_path, 1, outcome=None), write_run(tmp_path, 3, outcome="failed")
    assert [row.status for row in summaries(tmp_path)] == ["planned", "failed"]
    assert not (tmp_path / NAME).exists()
    (planned / "attempts" / "001").mkdir(parents=True)
    (failed / "attempts" / "002").mkdir()
    age(tmp_path)
    assert [row.status for row in summaries(tmp_path)] == ["interrupted", "interrupted"]


def test_a_folder_that_just_changed_is_not_believed_yet(tmp_path: Path) -> None:
    """Clocks of file systems tick coarsely: another change may carry the same time."""
    path = write_run(tmp_path, 1)
    os.utime(path / "evals")
    assert len(summaries(tmp_path)) == 1
    assert not (tmp_path / NAME).exists()
    os.utime(path / "evals", (time.time() + 3600,) * 2)  # the clock was put back since
    assert len(summaries(tmp_path)) == 1
    assert not (tmp_path / NAME).exists()


def test_new_scores_deleted_runs_and_renamed_ones_are_seen(tmp_path: Path) -> None:
    paths = [write_run(tmp_path, number) for number in range(4)]
    summaries(tmp_path)
    add_scores(paths[0], "late", 0.9)
    shutil.rmtree(paths[1])
    paths[2].rename(paths[2].with_name("other." + "2" * 12))
    (paths[3] / "run.json").unlink()
    found = summaries(tmp_path)
    assert [row.folder for row in found] == [f"demo0/other.{'2' * 12}", "demo0/seed=0.000000000000"]
    assert {score.suite for score in found[1].scores} == {"s0", "late"}
    assert set(rows_on_file(tmp_path)) <= {row.folder for row in found}


def test_foreign_and_broken_folders_are_rows_or_nothing(tmp_path: Path) -> None:
    good = write_run(tmp_path, 2)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "demo0" / "file").write_text("x")
    (tmp_path / "demo0" / ".half.tmp").mkdir()
    (tmp_path / "demo0" / "loop").symlink_to("loop")
    (tmp_path / "demo0" / "away").symlink_to("/nowhere")
    (tmp_path / "demo0" / "baselines" / "x").mkdir(parents=True)
    for name, content in {
        "a": "{",
        "b": "[]",
        "c": '{"schema": 1}',
        "d": '{"schema": 99}',
        "e": '{"schema": true}',
    }.items():
        (tmp_path / "demo0" / f"{name}.{'0' * 12}").mkdir()
        (tmp_path / "demo0" / f"{name}.{'0' * 12}" / "run.json").write_text(content)
    (good / "evals" / "s0.eeeeeeeeeeee" / "scores.json").write_text('{"arms": 3}')
    os.mkdir(os.fsencode(tmp_path / "demo0") + b"/\xff.000000000000")
    found = {row.label: row for row in summaries(tmp_path)}
    assert {row.status for row in found.values()} == {"unreadable"}
    assert set(found) == {"a", "b", "c", "d", "e", "seed=2"}
    assert "newer version" in found["d"].problem


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000, None])
def test_a_damaged_index_is_made_anew(tmp_path: Path, content: bytes | None) -> None:
    write_run(tmp_path, 1)
    before = summaries(tmp_path)
    rows = rows_on_file(tmp_path)
    if content is None:
        with sqlite3.connect(tmp_path / NAME) as db:
            db.execute("UPDATE runs SET row = '{'")
    else:
        (tmp_path / NAME).write_bytes(content)
    assert summaries(tmp_path) == before
    assert summaries(tmp_path) == before
    if content is not None:
        assert rows_on_file(tmp_path) == rows


@pytest.mark.parametrize("odd", [float("nan"), 2**70, "\ud800", [1], {"a": {"b": None}}, True, 3, "text"])
def test_what_does_not_come_back_the_same_is_read_each_time(tmp_path: Path, odd: Any) -> None:
    path = write_run(tmp_path, 1)
    facts = json.loads((path / "run.json").read_text()) | {"point": {"a": odd}}
    (path / "run.json").write_text(json.dumps(facts))
    results = path / "attempts" / "001" / "results.json"
    results.write_text(json.dumps({"outcome": "succeeded", "valid_loss": odd, "usd": 3}))
    age(path)
    cold, warm = summaries(tmp_path), summaries(tmp_path)
    assert [json.dumps(row.to_json(tmp_path)) for row in cold] == [json.dumps(row.to_json(tmp_path)) for row in warm]


def test_another_schema_is_made_anew(tmp_path: Path) -> None:
    write_run(tmp_path, 1)
    before = summaries(tmp_path)
    with sqlite3.connect(tmp_path / NAME) as db:
        db.executescript("DROP TABLE runs; CREATE TABLE runs (x); PRAGMA user_version = 7")
    assert summaries(tmp_path) == before
    assert len(rows_on_file(tmp_path)) == 1


def test_a_locked_index_only_costs_time(tmp_path: Path) -> None:
    write_run(tmp_path, 1)
    before = summaries(tmp_path)
    with sqlite3.connect(tmp_path / NAME, isolation_level=None) as db:
        db.execute("BEGIN EXCLUSIVE")
        write_run(tmp_path, 2)
        assert len(summaries(tmp_path)) == len(before) + 1


def test_many_readers_and_writers_at_once(tmp_path: Path) -> None:
    for number in range(30):
        write_run(tmp_path, number)
    code = "import sys; from pathlib import Path; from ftspec.runs.index import summaries;"
    command = [sys.executable, "-c", f"{code} print(len(summaries(Path(sys.argv[1]))))", str(tmp_path)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: len(summaries(tmp_path)), range(8))) == {30}
    assert [child.communicate()[0].strip() for child in children] == ["30"] * 4
    assert len(summaries(tmp_path)) == len(rows_on_file(tmp_path)) == 30


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "score", "remove", "fail", "attempt", "list"]), st.integers(0, 5)), max_size=12
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_incremental_equals_rebuilt(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    runs = tmp_path_factory.mktemp("runs")
    paths: dict[int, Path] = {}
    for count, (step, number) in enumerate(steps):
        path = paths.get(number)
        if step in ("add", "fail") and path is None:
            paths[number] = write_run(runs, number, outcome="failed" if step == "fail" else "succeeded")
        elif step == "remove" and path is not None:
            shutil.rmtree(paths.pop(number))
        elif step in ("score", "attempt") and path is not None:
            if step == "score":
                add_scores(path, f"t{count}", count / 20)
            else:
                (path / "attempts" / f"{count + 2:03d}").mkdir()
            for folder in (path, path / "attempts", path / "evals"):
                if folder.exists():
                    os.utime(folder, (OLD + count + 1, OLD + count + 1))
        elif step == "list":
            summaries(runs)
    incremental: Any = summaries(runs)
    kept = rows_on_file(runs) if (runs / NAME).exists() else {}
    (runs / NAME).unlink(missing_ok=True)
    assert summaries(runs) == incremental
    assert (rows_on_file(runs) if (runs / NAME).exists() else {}) == kept
