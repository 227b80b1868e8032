"""Fixtures shared by all rooms."""

import copy
import io
import os
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from ftspec.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[1]

# A machine that pauses for a moment is no failure: what must be fast is measured by the tests that say so.
# Half of hypothesis' usual number of cases, each time others: `make soak` looks longer.
settings.register_profile("ftspec", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ftspec")


def call_inside(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder, inside this process: a start costs a second where no process is the subject."""
    out, errors = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n", write_through=True) for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.chdir(folder)
        for name, value in ({"CI": "true"} | environment).items():
            patch.setenv(name, value)
        try:
            code = int(main(list(arguments)))
        except SystemExit as left:  # click ends tab completion so
            code = int(left.code or 0)
    said, complained = (stream.buffer.getvalue().decode() for stream in (out, errors))
    return subprocess.CompletedProcess(arguments, code, said, complained)


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: half as many again as cores, since many tests wait for processes, jobs and time limits."""
    return max(2, (os.cpu_count() or 1) * 3 // 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, those with most of them before: one that is left for last has no one beside it."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of single folders, named here since pytest reads options before it looks into folders."""
    parser.addoption("--rewrite", action="store_true", help="write golden files anew; read what changed")
    parser.addoption("--soak", type=int, default=100, metavar="N", help="generated cases of tests/soak")
    parser.addoption(
        "--soak-case", type=int, action="append", default=[], metavar="NUMBER", help="only such a case of a soak"
    )


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


def call_shell(command: str, folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a line of a page: in bash, a plain command of ftspec in this process."""
    if command.startswith("ftspec ") and not set(command) & set("|<>;&$`*"):
        return call_inside(folder, *shlex.split(command)[1:], **environment)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path} | dict(environment),
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def composed_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What many reviews against one base have in common is done once in a module: Hydra composes equal files once, and
    all revisions render into one cache. Equal means the same names of files, and the same bytes of those that are read.
    """
    from ftspec.compose.session import Session
    from ftspec.workflows import diff

    kept: dict[tuple[Any, ...], list[tuple[Any, Any, dict[tuple[str, str], str]]]] = {}
    compose, cache = Session.compose, tmp_path_factory.mktemp("cache")

    def once(self: Session, overrides: Sequence[str]) -> Any:
        roots = [layer.tree.root for layer in self.snapshot.layers]  # type: ignore[attr-defined]
        names = [str(path.relative_to(root)) for root in roots for path in sorted(root.rglob("*.yaml"))]
        known = kept.setdefault((self.name, tuple(overrides), *names), [])
        before = dict(self.snapshot.loaded)
        for made, order, read in known:
            found = {place: self.snapshot.load(*place) for place in read}
            if {place: file and file.sha256 for place, file in found.items()} == read:
                self._orders[tuple(overrides)] = order
                return copy.deepcopy(made)
            self.snapshot.loaded = dict(before)
        made = compose(self, overrides)
        read = {place: file.sha256 for place, file in self.snapshot.loaded.items()}
        known.append((copy.deepcopy(made), self._orders[tuple(overrides)], read))
        return made

    def share_cache(private: Path) -> None:
        for side in ("base", "head"):
            (private / side / "runs").symlink_to(cache)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "compose", once)
        patch.setattr(diff, "_share_cache", share_cache)
        yield
