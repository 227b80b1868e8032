"""Secrets never reach a stored patch."""

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.runs.environment import PATCH_BYTES, dirty_patch
from ftspec.runs.scrub import MARK, scrub
from ftspec.spec.secrets import secrets

SECRETS = [
    "sk-proj-abcdefghijklmnop1234",
    "hf_abcdefghijklmnopqrstuv",
    "AKIAABCDEFGHIJKLMNOP",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "api_key: q8Zt4LmN02xVbC7yP1rS",
    'OPENAI_API_KEY="9f8e7d6c5b4a39281706f5e4d3c2b1a0"',
    "Authorization: Bearer abc def",
    "https://user:hunter2secret@host/path",
    "-----BEGIN PRIVATE KEY-----\nMIIabc\n-----END PRIVATE KEY-----",
]


@pytest.mark.parametrize("text", SECRETS)
def test_secrets_are_removed(text: str) -> None:
    assert MARK in scrub(f"+ {text}\n")
    for part in ("abcdefghijklmnop", "q8Zt4LmN02xVbC7yP1rS", "9f8e7d6c5b4a3928", "hunter2secret", "MIIabc", "Bearer"):
        assert part not in scrub(f"+ {text}\n")


@pytest.mark.parametrize("text", ["max_tokens: 1200", "token: {env: NAME}", "keys = ['customer_support']", "- seed: 7"])
def test_plain_words_stay(text: str) -> None:
    assert scrub(text) == text


@settings(max_examples=40)
@given(st.text(max_size=200))
def test_scrubbing_twice_changes_nothing_and_never_fails(text: str) -> None:
    assert scrub(scrub(text)) == scrub(text)


def test_a_dirty_tree_is_kept_scrubbed_and_capped(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    assert dirty_patch(tmp_path) is None
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "x").write_text("1\n")
    subprocess.run([*git, "add", "x"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    assert dirty_patch(tmp_path) is None
    (tmp_path / "x").write_text("2\nkey = sk-abcdefghijklmnopqrst\n")
    patch = dirty_patch(tmp_path)
    assert patch is not None
    assert patch[1] is False
    assert "+2" in patch[0]
    assert "sk-abc" not in patch[0]
    (tmp_path / "x").write_text("some line\n" * 60_000)
    patch = dirty_patch(tmp_path)
    assert patch is not None
    assert patch[1] is True
    assert len(patch[0].encode()) <= PATCH_BYTES


PIECES = ("a", "a.", "key", "key_", "eyJ-", "eyJ.", "https://a", "a://b:", "token= ", "sk-", "-----BEGIN ")


@pytest.mark.parametrize("piece", PIECES)
def test_a_line_of_a_megabyte_costs_its_length(piece: str) -> None:
    """Three times the text, three times the time: no pattern reads a long line anew from each character."""
    times = []
    for length in (100_000, 300_000):
        text = piece * (length // len(piece))
        started = time.process_time()
        scrub(text)
        list(secrets(text + "://@"))
        times.append(time.process_time() - started)
    assert times[1] < max(0.5, 6 * times[0])
