"""Locks and results of two branches, merged by git itself."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.runs.entries import both_sides
from ftspec.runs.known import KnownResult, KnownResults, read_results, unite_results
from ftspec.spec.errors import DataError
from ftspec.workflows.start import _ATTRIBUTES

RESULTS, LOCK = "experiments/demo.results.json", "experiments/demo.lock.json"
Git = Callable[..., str]


@pytest.fixture(scope="module")
def branches(swept: Any, git: Git, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two people trained one label each of the same lock, on branches `one` and `two`."""
    sweep = type(swept)(tmp_path_factory.mktemp("branches") / "project")
    shutil.copytree(swept.root, sweep.root, symlinks=True)
    runs, kept = sweep.root / "runs", sweep.root.parent / "kept"
    git(sweep.root, "rm", "-q", "--cached", RESULTS)
    (sweep.root / RESULTS).unlink()
    (sweep.root / ".gitattributes").write_text(_ATTRIBUTES)
    git(sweep.root, "add", "-A")
    git(sweep.root, "commit", "-qm", "the lock alone")
    shutil.move(runs, kept)
    for branch, label in (("one", "epochs=1"), ("two", "epochs=2")):
        git(sweep.root, "checkout", "-q", "-b", branch, "main")
        shutil.copytree(kept, runs, symlinks=True)
        for other in (runs / "demo").glob("epochs=*"):
            if not other.name.startswith(label):
                shutil.rmtree(other)
        assert sweep.call("lock", "demo").returncode == 0
        assert [row["run"] for row in json.loads((sweep.root / RESULTS).read_text())["results"]] == [label]
        git(sweep.root, "add", "-A")
        git(sweep.root, "commit", "-qm", branch)
        shutil.rmtree(runs)
    return sweep


@pytest.fixture
def parted(branches: Any, tmp_path: Path) -> Any:
    """A copy of it to work on."""
    return type(branches)(Path(shutil.copytree(branches.root, tmp_path / "project", symlinks=True)))


def merged(demo: Any, git: Git, branch: str = "one", *, conflict: bool = False) -> None:
    """Merge a branch into the one that is checked out."""
    try:
        git(demo.root, "merge", "-q", "--no-edit", branch)
    except subprocess.CalledProcessError:
        assert conflict
    else:
        assert not conflict


def runs_of(demo: Any) -> list[str]:
    return [row.run for row in read_results((demo.root / RESULTS).read_bytes()).results]


def test_results_of_two_people_merge_without_a_conflict(parted: Any, git: Git, swept: Any) -> None:
    merged(parted, git)
    assert parted.call("lock", "--check").returncode == 0
    assert sorted(runs_of(parted)) == ["epochs=1", "epochs=2"]
    found = parted.json("reproduce", "demo@HEAD", "--level", "config")
    assert found["verdict"]["verdict"] == "reproduced"
    assert parted.call("lock", "demo").returncode == 0
    tidy = json.loads((parted.root / RESULTS).read_text())
    assert [row["run"] for row in tidy["results"]] == ["epochs=1", "epochs=2"]
    assert tidy["baselines"] == json.loads((swept.root / RESULTS).read_text())["baselines"]


def test_without_the_attribute_a_conflict_is_told_and_lock_keeps_both_sides(parted: Any, git: Git) -> None:
    git(parted.root, "checkout", "-q", "one")
    git(parted.root, "rm", "-q", ".gitattributes")
    git(parted.root, "commit", "-qm", "as in a project that knows nothing of it")
    merged(parted, git, "two", conflict=True)
    told = parted.call("lock", "--check")
    assert (told.returncode, "[merge_conflict]" in told.stderr) == (65, True)
    assert f"{RESULTS}: the file holds a merge conflict; write it anew: ftspec lock demo" in told.stderr
    assert parted.call("lock", "demo").returncode == 0
    assert runs_of(parted) == ["epochs=1", "epochs=2"]
    assert parted.call("lock", "--check").returncode == 0


def test_two_results_of_one_run_are_told_and_the_own_is_kept(parted: Any, git: Git) -> None:
    """Two people trained the same label, on a provider that repeats nothing."""
    git(parted.root, "checkout", "-q", "-b", "other", "one")
    path = parted.root / RESULTS
    (row,) = read_results(path.read_bytes()).results
    path.write_text(path.read_text().replace(f'"n":12,"numerics":"{row.numerics}"', f'"n":11,"numerics":"{"0" * 8}"'))
    assert read_results(path.read_bytes()).results[0].n == 11
    git(parted.root, "commit", "-qam", "another result")
    git(parted.root, "checkout", "-q", "one")
    path.write_text(path.read_text().replace(row.attempt, "f" * 64))
    git(parted.root, "commit", "-qam", "another attempt")
    merged(parted, git, "other")
    told = parted.call("lock", "--check")
    assert told.returncode == 65
    assert "a merge kept two lines for run epochs=1 on exact; keep one of them: ftspec lock demo" in told.stderr
    assert parted.call("lock", "demo").returncode == 0
    (kept,) = read_results(path.read_bytes()).results
    assert (kept.attempt, kept.n) == ("f" * 64, 12)


def test_experiments_of_two_branches_merge(sweep: Any, git: Git) -> None:
    experiment = (sweep.root / "experiments" / "demo.yaml").read_text()
    for branch, epochs in (("left", "[3]"), ("right", "[4]")):
        git(sweep.root, "checkout", "-q", "-b", branch, "main")
        (sweep.root / "experiments" / f"{branch}.yaml").write_text(experiment.replace("[1, 2]", epochs))
        assert sweep.call("lock", branch).returncode == 0
        git(sweep.root, "add", "-A")
        git(sweep.root, "commit", "-qm", branch)
    merged(sweep, git, "left")
    checked = sweep.call("lock", "--check")
    assert checked.returncode == 0, checked.stderr
    assert [line.split(":")[0] for line in checked.stdout.splitlines()] == ["demo", "left", "right"]


def test_a_lock_that_both_changed_says_what_to_do(sweep: Any, git: Git) -> None:
    """The specs merge, since the lines lie apart; the lock cannot, since every run is another one now."""
    path = sweep.root / "experiments" / "demo.yaml"
    for branch, old, new in (("left", "[1, 2]", "[1, 2, 3]"), ("right", "Name the animal.", "Which animal?")):
        git(sweep.root, "checkout", "-q", "-b", branch, "main")
        path.write_text(path.read_text().replace(old, new))
        assert sweep.call("lock", "demo").returncode == 0
        git(sweep.root, "commit", "-qam", branch)
    merged(sweep, git, "left", conflict=True)
    assert "<<<" not in path.read_text()
    assert "<<<" in (sweep.root / LOCK).read_text()
    for verb in (["lock", "--check"], ["plan", "demo"], ["run", "demo", "--locked"], ["reproduce", "demo"]):
        told = sweep.call(*verb)
        assert told.returncode == 65, verb
        assert f"{LOCK}: the file holds a merge conflict; write it anew: ftspec lock demo" in told.stderr, verb
    assert sweep.call("lock", "demo").returncode == 0
    assert sweep.call("lock", "--check").returncode == 0
    locked = json.loads((sweep.root / LOCK).read_text())
    assert [run["label"] for run in locked["runs"]] == ["epochs=1", "epochs=2", "epochs=3"]


def row(number: int, value: float = 0.5) -> KnownResult:
    train = f"sha256:{number:064x}"
    return KnownResult(
        run=f"r{number}", point={}, train=train, suite="s", eval="e", arm="tuned", metric="m", value=value, ci95=None,
        n=1, valid_loss=None, epochs=1, attempt="a" * 64
    )  # fmt: skip


@settings(max_examples=30)
@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.sampled_from([2, 3]))
def test_any_merge_keeps_the_rows_of_both_sides(base: Any, ours: Any, theirs: Any, style: int) -> None:
    """Conflicts as either style of git writes them; git itself merges in the tests around this one."""

    def lines(rows: Any) -> bytes:
        return KnownResults(results=tuple(row(n) for n in sorted(rows))).to_bytes()

    ancestor = b"||||||| base\n" + lines(base) if style == 3 else b""
    text = b"<<<<<<< ours\n" + lines(ours) + ancestor + b"=======\n" + lines(theirs) + b">>>>>>> theirs\n"
    with pytest.raises(DataError, match="merge conflict"):
        read_results(text)
    assert {r.run for r in unite_results(text).results} == {f"r{n}" for n in ours | theirs}
    assert {r.run for r in read_results(both_sides(text)).results} == {f"r{n}" for n in ours | theirs}


def test_git_unites_them_so(tmp_path: Path, git: Git) -> None:
    for name, rows in (("ours", (1, 2, 3)), ("base", (2,)), ("theirs", (2, 4))):
        (tmp_path / name).write_bytes(KnownResults(results=tuple(map(row, rows))).to_bytes())
    united = git(tmp_path, "merge-file", "-p", "--union", "ours", "base", "theirs")
    assert sorted(r.run for r in read_results(united.encode()).results) == ["r1", "r2", "r3", "r4"]
