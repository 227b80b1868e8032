"""The look-up of answers: shared, disposable, never a reason to fail."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ftspec.evals.cache import ResponseCache

WRITER = """
import sys
from pathlib import Path
from ftspec.evals.cache import ResponseCache
with ResponseCache(Path(sys.argv[1])) as cache:
    for i in range(300):
        cache.put(f"{sys.argv[2]}-{i}", b"x" * 200)
        cache.put(f"both-{i}", b"y")
    print(cache.problem)
"""


def test_processes_share_it(tmp_path: Path) -> None:
    path = tmp_path / "store" / "c.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    assert [writer.communicate()[0].strip() for writer in writers] == ["None", "None"]
    with ResponseCache(path) as cache:
        assert all(cache.get(f"{name}-{i}") == b"x" * 200 for name in ("one", "two") for i in range(300))
        assert cache.get("both-7") == b"y"
        assert cache.get("none") is None


def test_a_broken_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_bytes(b"this is no database, " * 200)
    with ResponseCache(path) as cache:
        assert cache.problem is None
        cache.put("k", b"v")
    with ResponseCache(path) as cache:
        assert cache.get("k") == b"v"


def test_where_none_can_be_written_answers_stay_in_memory(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with ResponseCache(blocked / "c.sqlite") as cache:
        assert cache.problem is not None
        cache.put("k", b"v")
        assert cache.get("k") == b"v"


def test_a_file_that_becomes_unusable_does_not_stop_a_run(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with ResponseCache(path) as cache:
        cache.put("k", b"v")
        cache._db.close()
        assert cache.get("k") is None
        cache.put("k", b"w")
        assert cache.get("k") == b"w"
        assert "not cached" in str(cache.problem)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with ResponseCache(tmp_path / "c.sqlite") as cache:
            assert cache.problem is not None
    finally:
        tmp_path.chmod(0o700)


def test_another_schema_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with ResponseCache(path) as cache:
        cache.put("k", b"v")
        cache._db.execute("PRAGMA user_version=99")
    with ResponseCache(path) as cache:
        assert cache.get("k") is None


def test_age(tmp_path: Path) -> None:
    with ResponseCache(tmp_path / "c.sqlite") as cache:
        cache.put("k", b"v")
        assert cache.get("k", max_age=60) == b"v"
        cache._db.execute("UPDATE responses SET created = created - 100")
        assert cache.get("k", max_age=60) is None
        cache.put("k", b"new")
        assert cache.get("k", max_age=60) == b"new"
