"""Files, logs, locks and blobs on a real disk, with real processes killed."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.spec.errors import DataError, Exit, StorageError
from ftspec.storage import AppendLog, BlobStore, FileLock, is_locked, read_json, read_log, write_atomic, write_json


def test_write_atomic_replaces_and_leaves_no_temp_file(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.json"
    write_json(target, {"a": 1})
    write_json(target, {"a": "é"})
    assert read_json(target) == {"a": "é"}
    assert os.listdir(target.parent) == ["file.json"]


def test_failed_write_keeps_the_old_bytes_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    write_atomic(target, "old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError) as caught:
        write_atomic(target, "new")
    assert caught.value.code == "disk_full"
    assert caught.value.exit_code == Exit.PARKED
    assert "nothing is lost" in str(caught.value)
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_broken_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DataError, match=r"x\.json"):
        read_json(tmp_path / "x.json")


@given(values=st.lists(st.dictionaries(st.text(), st.text() | st.integers()), max_size=5), torn=st.binary(max_size=30))
def test_a_torn_last_line_is_never_read_and_cut_by_the_next_writer(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, object]], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    with AppendLog(path) as log:
        for value in values:
            log.append(value)
    with path.open("ab") as stream:
        stream.write(torn.replace(b"\n", b""))
    assert list(read_log(path)) == values
    with AppendLog(path) as log:
        log.append({"last": True})
    assert list(read_log(path)) == [*values, {"last": True}]


def test_a_log_line_holds_no_newline(tmp_path: Path) -> None:
    with AppendLog(tmp_path / "log") as log, pytest.raises(ValueError, match="newline"):
        log.append_bytes(b"a\nb")


_HOLDER = """
import sys, time
from pathlib import Path
from ftspec.storage import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_holder_gives_its_lock_back(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    child = subprocess.Popen([sys.executable, "-c", _HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert is_locked(path)
        assert not FileLock(path).acquire(timeout=0.1)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -9
        lock = FileLock(path)
        assert lock.acquire(timeout=5)
        lock.release()
        assert not is_locked(path)
    finally:
        child.kill()
        child.wait()
        child.stdout.close() if child.stdout else None


_WRITER = """
import sys
from pathlib import Path
from ftspec.storage import write_atomic
i = 0
while True:
    write_atomic(Path(sys.argv[1]), str(i) * 20000)
    i = (i + 1) % 10
"""


def test_a_reader_sees_whole_files_while_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "value"
    write_atomic(path, "0" * 20000)
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)])
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            text = path.read_text()
            assert len(text) == 20000
            assert len(set(text)) == 1
        child.kill()
        assert child.wait() == -9
        assert len(set(path.read_text())) == 1


def test_blobs_are_shared_checked_and_never_overwritten(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "store")
    sha256 = store.put_bytes(b"hello")
    assert store.put_bytes(b"hello") == sha256
    (tmp_path / "copy").write_bytes(b"hello")
    assert store.put_file(tmp_path / "copy") == sha256
    assert store.read(sha256) == b"hello"
    assert store.path(sha256).stat().st_mode & 0o777 == 0o444
    store.link(sha256, tmp_path / "run" / "data.jsonl")
    store.link(sha256, tmp_path / "run" / "data.jsonl")
    assert (tmp_path / "run" / "data.jsonl").samefile(store.path(sha256))
    other = store.put_bytes(b"other")
    with pytest.raises(StorageError, match="other bytes"):
        store.link(other, tmp_path / "run" / "data.jsonl")


def test_an_altered_blob_is_refused(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    sha256 = store.put_bytes(b"hello")
    store.path(sha256).chmod(0o644)
    store.path(sha256).write_bytes(b"jello")
    with pytest.raises(DataError, match="altered"):
        store.read(sha256)
    with pytest.raises(DataError, match="not in"):
        store.read("0" * 64)


@pytest.mark.parametrize("why", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_linking_falls_back_to_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int) -> None:
    store = BlobStore(tmp_path / "store")
    sha256 = store.put_bytes(json.dumps({"a": 1}).encode())

    def refused(source: object, target: object) -> None:
        raise OSError(why, os.strerror(why))

    monkeypatch.setattr(os, "link", refused)
    store.link(sha256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == store.read(sha256)


def test_linking_across_file_systems_copies(tmp_path: Path, small_disk: Path) -> None:
    store = BlobStore(tmp_path / "store")
    sha256 = store.put_bytes(b"x")
    store.link(sha256, small_disk / "copy")
    assert (small_disk / "copy").read_bytes() == b"x"
    assert store.path(sha256).stat().st_nlink == 1


def test_a_stream_of_other_bytes_is_not_kept(tmp_path: Path) -> None:
    store = BlobStore(tmp_path / "store")
    with pytest.raises(DataError, match="other bytes"):
        store.receive("0" * 64, io.BytesIO(b"x"))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
