"""`runs gc`: what a seal, a run or a lock names stays, whatever else happens."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.runs.directory import run_directories
from ftspec.runs.garbage import find_garbage, remove
from ftspec.runs.integrity import check_run
from ftspec.storage import BlobStore
from tests.conftest import call_inside

Make = Callable[..., Path]
OLD = time.time() - 7200


def old_blob(runs: Path, data: bytes, age: float = OLD) -> Path:
    store = BlobStore(runs / ".store")
    path = store.path(store.put_bytes(data))
    os.utime(path, (age, age))
    return path


@pytest.fixture
def runs(make_runs: Make) -> Path:
    """Two finished runs whose blobs are old and not held by links: as after a copy to a disk without them."""
    made = make_runs()
    for path in made.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content, mode = path.read_bytes(), path.stat().st_mode
            path.unlink()
            path.write_bytes(content)
            path.chmod(mode)
            os.utime(path, (OLD, OLD))
    return made


def test_what_runs_name_stays(runs: Path) -> None:
    assert find_garbage(runs, []) == []
    alone = old_blob(runs, b"of a run that was deleted")
    fresh = old_blob(runs, b"just put", time.time())
    future = old_blob(runs, b"put before the clock went back", time.time() + 9000)
    found = find_garbage(runs, [])
    assert [one.path for one in found] == [alone]
    assert remove(runs, found) == len(b"of a run that was deleted")
    assert fresh.exists()
    assert future.exists()
    assert all(check.state == "intact" for run in run_directories(runs) for check in check_run(run))


def test_what_a_lock_names_stays(runs: Path, tmp_path: Path) -> None:
    blob = old_blob(runs, b"rendered rows of a planned run")
    lock = tmp_path / "x.lock.json"
    lock.write_text(f'{{"schema":99,"files":[{{"sha256":"{blob.parent.name}{blob.name}"}}]')
    assert find_garbage(runs, [lock]) == []
    assert [one.path for one in find_garbage(runs, [])] == [blob]


def test_files_that_cannot_be_parsed_still_protect(runs: Path) -> None:
    run = next(run_directories(runs))
    (run.path / "run.json").write_text((run.path / "run.json").read_text()[:-30])
    assert find_garbage(runs, []) == []


def test_a_deleted_run_frees_what_only_it_had(runs: Path, new_run: Any, finish_run: Any) -> None:
    import shutil

    run = next(run_directories(runs))
    weights = next(run.path.glob("attempts/*/weights.npz")).stat().st_size
    shutil.rmtree(run.path)
    (found,) = find_garbage(runs, [])
    assert (found.kind, found.bytes) == ("blob", weights)


def test_a_blob_in_use_again_is_left(runs: Path) -> None:
    path = old_blob(runs, b"about to be named")
    found = find_garbage(runs, [])
    BlobStore(runs / ".store").put_bytes(b"about to be named")
    remove(runs, found)
    assert path.exists()


def test_leftovers_of_killed_processes_go(runs: Path) -> None:
    for name in (".incoming.1.ab", "demo/.x.abc.tmp"):
        (runs / name).mkdir()
        (runs / name / "f").write_text("half")
        os.utime(runs / name, (OLD, OLD))
    (runs / ".incoming.2.cd").mkdir()
    found = find_garbage(runs, [])
    assert sorted(one.path.name for one in found) == [".incoming.1.ab", ".x.abc.tmp"]
    remove(runs, found)
    assert (runs / ".incoming.2.cd").exists()


def test_the_command_removes_only_with_yes(runs: Path) -> None:
    (runs.parent / "experiments").mkdir()
    (runs / ".cache").mkdir()
    (runs / ".cache" / "x").write_text("again")
    blob = old_blob(runs, b"x" * 3000)
    listed = call_inside(runs.parent, "runs", "gc", "--caches")
    assert "1 blob   2.9 KiB" in listed.stdout
    assert "nothing was removed" in listed.stdout
    assert blob.exists()
    assert call_inside(runs.parent, "runs", "gc", "--caches", "--yes").returncode == 0
    assert not blob.exists()
    assert not (runs / ".cache").exists()
    done = call_inside(runs.parent, "runs", "gc", "--caches", "--yes")
    assert done.stdout == "nothing to remove\n"
