"""Hashing much: one content once, and every change seen."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from ftspec.storage import Hashing, sha256_file


def test_links_are_read_once_and_every_byte_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, content = tmp_path / "first", os.urandom(3 * 2**20 + 1)
    first.write_bytes(content)
    for number in range(4):
        os.link(first, tmp_path / f"link{number}")
    (tmp_path / "copy").write_bytes(content)
    counted: list[int] = []
    hashing = Hashing(counted.append)
    opened = []
    original = hashlib.sha256
    monkeypatch.setattr("ftspec.storage.hashing.hashlib.sha256", lambda: opened.append(1) or original())
    for path in tmp_path.iterdir():
        assert hashing.sha256(path) == original(content).hexdigest()
    assert len(opened) == 2
    assert sum(counted) == 6 * len(content)


def test_a_file_that_changes_meanwhile_is_hashed_again(tmp_path: Path) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"one")
    os.link(path, link)
    hashing = Hashing()
    before, facts = hashing.sha256(path), path.stat()
    time.sleep(0.02)  # a tick of the file system's clock
    path.write_bytes(b"two")  # in place: the same inode and size
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert hashing.sha256(link) == sha256_file(link) != before
