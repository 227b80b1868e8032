"""Fixtures shared by all rooms."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).resolve().parents[1]

# A machine that pauses for a moment is no failure: what must be fast is measured by the tests that say so.
settings.register_profile("ftspec", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ftspec")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of single folders, named here since pytest reads options before it looks into folders."""
    parser.addoption("--rewrite", action="store_true", help="write golden files anew; read what changed")
    parser.addoption("--soak", type=int, default=100, metavar="N", help="generated specs and rows of tests/soak")


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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes; tests skip where one cannot be mounted."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system needs the right to mount one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def make_read_only() -> Iterator[Callable[[Path], None]]:
    """Mount folders read-only over themselves; tests skip where that cannot be done."""
    mounted: list[Path] = []

    def make(folder: Path) -> None:
        for command in (
            ["mount", "--bind", folder, folder],
            ["mount", "-o", "remount,bind,ro", folder],
        ):
            try:
                done = subprocess.run(command, capture_output=True).returncode == 0
            except OSError:
                done = False
            if not done:
                pytest.skip("a read-only folder needs the right to mount one")
            if folder not in mounted:
                mounted.append(folder)

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)
