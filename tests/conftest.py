"""Fixtures shared by all rooms."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files can be written anew; whoever does it reads what changed."""
    parser.addoption("--rewrite", action="store_true", help="write golden files anew")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data sets beside the checkout (CLINC150, Banking77, GSM8K, vocabularies); tests skip without them."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the shared public data is not on this machine")
    return folder
