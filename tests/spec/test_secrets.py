"""One table of key formats: what the lint finds is refused in configuration, and taken out of what is kept or shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.report.markdown.escape import scrubbed
from ftspec.runs.scrub import MARK, scrub
from ftspec.spec.secrets import KEYS, may_hold_secrets, secrets

WHOLE = [
    "sk-ant-api03-AbCdEfGhIjKlMnOpQrSt12",
    "sk-proj-AbCdEfGhIjKlMnOpQrSt",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8",
    "gho_" + "a1B2c3D4e5F6g7H8i9J0" + "k1L2m3N4o5P6q7R8",
    "github_pat_" + "a1B2c3D4e5F6g7H8i9J0" * 2,
    "glpat-AbCdEfGhIjKlMnOpQrSt",
    "xoxb-123456789012-AbCdEfGhIjKl",
    "AIza" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R",
    "hf_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w",
    "-----BEGIN RSA PRIVATE KEY-----",
    "postgres://admin:hunter2secret@db.internal",
]


@pytest.mark.parametrize("key", WHOLE)
def test_a_key_is_found_and_taken_out_everywhere(key: str) -> None:
    text = f"before {key} after"
    assert list(secrets(text))
    assert may_hold_secrets(text.encode())
    for clean in (scrub(text), scrubbed(text)):
        assert MARK in clean
        assert key not in clean
        assert not list(secrets(clean))
    assert not list(secrets(f"before {key[:6]} after"))


def test_the_table_is_covered_by_the_examples() -> None:
    assert all(any(key.literal in example for example in WHOLE) or key.literal[:2] == "gh" for key in KEYS)


@pytest.mark.parametrize(
    "text",
    ["a risk-assessment-of-everything", "sk-xxxxxxxxxxxxxxxxxxxxxxxx", "task-AbCdEfGhIjKlMnOpQrSt12", "https://a@b"],
)
def test_plain_words_and_placeholders_are_none(text: str) -> None:
    assert not list(secrets(text))


def test_the_beginning_of_a_key_is_not_shown() -> None:
    for key in ("sk-AbCdEfGhIj", "hf_a1B2c3D4e5F6g7H8", "xoxb-1234567890", "eyJhbGciOiJIUzI1NiJ9.encrypted_rest"):
        assert key not in scrubbed(f"use {key}")
        assert key not in scrub(f"use {key}")


@given(st.text(max_size=60), st.sampled_from(WHOLE), st.text(max_size=60))
def test_the_fast_look_misses_nothing(before: str, key: str, after: str) -> None:
    text = f"{before} {key} {after}"
    assert may_hold_secrets(text.encode("utf-8", "replace")) or not list(secrets(text))
