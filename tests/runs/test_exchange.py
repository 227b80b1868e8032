"""Push and pull through a folder and through a real S3-compatible server on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ftspec.compose import Project
from ftspec.runs.directory import run_directories
from ftspec.runs.integrity import check_baselines, check_run
from ftspec.spec.errors import StorageError, UsageError
from ftspec.spec.stores import SCHEMES
from ftspec.storage.stores import FolderStore, open_store
from ftspec.workflows.sharing import pull_runs, push_runs
from tests.conftest import call_inside

Make = Callable[..., Path]
pytestmark = pytest.mark.filterwarnings("default")  # client libraries of object stores warn about themselves


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """The endpoint of moto's server in a process of its own."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(endpoint, timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        put = urllib.request.Request(f"{endpoint}/bucket", method="PUT")
        urllib.request.urlopen(put, timeout=10).close()
        yield endpoint
    finally:
        os.environ.clear()
        os.environ.update(before)
        server.kill()
        server.wait()


@pytest.fixture(params=["folder", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh store of each kind."""
    if request.param == "folder":
        return str(tmp_path / "shared")
    request.getfixturevalue("s3")
    return f"s3://bucket/{tmp_path.name}"


@pytest.fixture
def project(make_runs: Make, tmp_path: Path) -> Project:
    """A project with two finished runs."""
    return at(make_runs("one/runs"))


def at(runs: Path) -> Project:
    (runs.parent / "experiments").mkdir(parents=True, exist_ok=True)
    return Project(runs.parent)


def tree(runs: Path) -> dict[str, bytes]:
    found = (path for path in sorted(runs.rglob("*")) if path.is_file() and not path.is_symlink())
    return {
        str(path.relative_to(runs)): path.read_bytes()
        for path in found
        if not path.relative_to(runs).parts[0].startswith(".")
    }


def intact(runs: Path) -> bool:
    checks = [check for run in run_directories(runs) for check in check_run(run)]
    return bool(checks) and all(check.state == "intact" for check in [*checks, *check_baselines(runs, "demo")])


def test_a_round_trip_moves_everything_once(project: Project, address: str, tmp_path: Path) -> None:
    first = push_runs(project, [], address)
    assert len(first.sent) == 5
    again = push_runs(project, ["seed=1"], address)
    assert (again.sent, len(again.held), again.bytes) == ((), 2, 0)
    other = at(tmp_path / "two" / "runs")
    pulled = pull_runs(other, [], address)
    assert {one.how for one in pulled.admitted} == {"new"}
    assert tree(other.runs) == tree(project.runs)
    assert intact(other.runs)
    config = next(run_directories(project.runs)).facts["configs"][0]["sha256"]
    assert (other.store / "sha256" / config[:2] / config[2:]).is_file()
    assert pull_runs(other, ["demo"], address).admitted == ()
    assert pull_runs(other, ["other"], address).admitted == ()


def test_only_missing_blobs_are_sent(project: Project, address: str, new_run: Any, finish_run: Any) -> None:
    shared = os.urandom(400_000)
    for number in (5, 6):
        finish_run(new_run(project.runs, number), shared, score=False)
    first = push_runs(project, ["seed=5"], address)
    second = push_runs(project, ["seed=6"], address)
    assert first.bytes > 400_000
    assert second.bytes < 60_000


def test_pushers_at_once_end_with_one_whole_store(project: Project, address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ftspec", "runs", "push", "--to", address]
    children = [
        subprocess.Popen(command, cwd=project.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(3)
    ]
    for child in children:
        output, _ = child.communicate(timeout=120)
        assert child.returncode == 0, output
    other = at(tmp_path / "two" / "runs")
    pull_runs(other, [], address)
    assert tree(other.runs) == tree(project.runs)
    assert intact(other.runs)


def test_killed_at_each_put_the_next_push_completes_it(project: Project, tmp_path: Path) -> None:
    address = str(tmp_path / "shared")
    put = FolderStore.put
    kills = 0
    for deadly in range(40):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
            child = os.fork()
        if child == 0:
            count = iter(range(1000))

            def dying(self: FolderStore, name: str, source: Path, count: Any = count, at: int = deadly) -> None:
                if next(count) == at % 3:
                    os.kill(os.getpid(), signal.SIGKILL)
                put(self, name, source)

            FolderStore.put = dying  # type: ignore[method-assign]
            push_runs(project, [], address)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            break
        kills += 1
        partial = at(tmp_path / f"partial{deadly}" / "runs")
        assert pull_runs(partial, [], address).refused == ()
        assert not tree(partial.runs) or intact(partial.runs) or not list(run_directories(partial.runs))
    push_runs(project, [], address)
    assert kills >= 5
    other = at(tmp_path / "two" / "runs")
    assert pull_runs(other, [], address).refused == ()
    assert tree(other.runs) == tree(project.runs)


def test_what_a_store_holds_is_not_trusted(project: Project, tmp_path: Path) -> None:
    store = tmp_path / "shared"
    push_runs(project, [], str(store))
    archive = next(store.glob("runs/demo/seed=2.*/attempts.001.*.tar"))
    whole = archive.read_bytes()
    archive.chmod(0o644)
    (archive.with_name("attempts.007.0123456789ab.tar")).write_bytes(b"hello")
    (archive.with_name("foreign.tar")).write_bytes(b"hello")
    archive.write_bytes(whole.replace(b"succeeded", b"succeedec"))
    other = at(tmp_path / "two" / "runs")
    pulled = pull_runs(other, [], str(store))
    assert {problem.code for problem in pulled.refused} == {"altered", "no_archive"}
    assert [run.label for run in run_directories(other.runs)] == ["seed=1"]
    assert intact(other.runs)
    archive.write_bytes(whole)
    other = at(tmp_path / "three" / "runs")
    blob = next(path for path in store.glob("sha256/*/*") if path.read_bytes() == b"weights 2")
    blob.chmod(0o644)
    blob.write_bytes(b"weights 3")
    assert "altered_blob" in {problem.code for problem in pull_runs(other, [], str(store)).refused}
    blob.unlink()
    assert "missing_object" in {problem.code for problem in pull_runs(other, [], str(store)).refused}
    assert [run.label for run in run_directories(other.runs)] == ["seed=1"]
    done = call_inside(other.root, "runs", "pull", "--from", str(store))
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_altered_runs_stay(project: Project, tmp_path: Path) -> None:
    path = next(project.runs.glob("demo/seed=1.*/attempts/001/results.json"))
    path.write_text("{}")
    pushed = push_runs(project, [], str(tmp_path / "shared"))
    assert [problem.code for problem in pushed.left] == ["altered"]
    assert len(pushed.sent) == 3


def test_addresses(project: Project, s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no store of that kind"):
        open_store("ftp://host/x", tmp_path)
    with pytest.raises(UsageError, match="credentials"):
        open_store("s3://key:secret@bucket/x", tmp_path)
    with pytest.raises(UsageError, match="names a store"):
        push_runs(project, [], None)
    for scheme in ("gs", "az"):
        package = SCHEMES[scheme]
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(UsageError, match=f"needs the package {package}"):
            push_runs(project, [], f"{scheme}://bucket/x")
        monkeypatch.delitem(sys.modules, package)
    with pytest.raises(StorageError):
        push_runs(project, [], "s3://nowhere/x")


def test_a_store_that_is_away_is_one_clear_message(project: Project, tmp_path: Path) -> None:
    pytest.importorskip("s3fs")
    environment = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "AKIAQQQQQQQQQQQQQQQQ",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "ftspec", "runs", "push", "--to", "s3://bucket/x"],
        cwd=project.root,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=120,
    )
    assert done.returncode == 75
    assert "store_unreachable" in done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr + done.stdout
