"""A run is found by every name it has; what names several, or none, is told with what would."""

import re
import shutil
from pathlib import Path

import pytest

from ftspec.runs.lock import Lock, LockedRun
from ftspec.runs.names import Names, other_name, read_names
from ftspec.runs.planned import Name
from ftspec.spec.errors import UsageError
from ftspec.storage import write_json

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


def lie(runs: Path, experiment: str, label: str, train: str) -> Path:
    path = runs / experiment / f"{label}.{train[7:19]}"
    write_json(path / "run.json", {"schema": 1, "label": label, "digests": {"train": train}})
    return path


def lock(root: Path, experiment: str, labels: dict[str, str]) -> None:
    def run(label: str, train: str) -> LockedRun:
        more = {"model": "tiny", "method": "supervised", "hyperparameters": {}, "seed": 0, "data": B, "evals": {}}
        return LockedRun(label=label, point={}, overrides=(), train=train, **more)  # type: ignore[arg-type]

    runs = tuple(run(label, train) for label, train in labels.items())
    made = Lock(sources=(), recipes=(), files=(), suites=(), bases=(), counters=(), runs=runs)
    folder = root / "experiments"
    folder.mkdir(exist_ok=True)
    (folder / f"{experiment}.lock.json").write_bytes(made.to_bytes())
    (folder / f"{experiment}.yaml").touch()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """`sweep` made two runs; `one` plans the first of them as `default`; `other` plans one that is not here."""
    lie(tmp_path / "runs", "sweep", "epochs=1", A)
    lie(tmp_path / "runs", "sweep", "epochs=2", B)
    lock(tmp_path, "sweep", {"epochs=1": A, "epochs=2": B})
    lock(tmp_path, "one", {"default": A})
    lock(tmp_path, "other", {"default": C})
    return tmp_path


def names(project: Path) -> Names:
    return read_names(project / "runs")


@pytest.mark.parametrize(
    "text",
    [
        "epochs=1",
        "sweep/epochs=1",
        "sweep[epochs=1]",
        "default",
        "one/default",
        "one[default]",
        "one",
        "one/epochs=1",
        "one[aaaa]",
        "aaaa",
        A,
        "sweep/epochs=1.aaaaaaaaaaaa",
        "sweep/epochs=1.aaaaaaaaaaaa/",
        "FOLDER",
    ],
)
def test_every_name_finds_the_run(project: Path, text: str) -> None:
    folder = project / "runs" / "sweep" / "epochs=1.aaaaaaaaaaaa"
    found = names(project).one(str(folder) if text == "FOLDER" else text)
    assert found.here().path == folder
    assert found.names == (Name("sweep", "epochs=1"), Name("one", "default"))
    assert found.also == (Name("one", "default"),)


def test_what_means_several_runs_is_refused_with_their_digests(project: Path) -> None:
    lie(project / "runs", "sweep", "epochs=1", C)
    with pytest.raises(UsageError, match="names 2 runs") as caught:
        names(project).one("epochs=1")
    assert re.findall(r"[ac]{12}", caught.value.problems[0].fix) == ["a" * 12, "c" * 12]
    assert names(project).one("cccc").here().label == "epochs=1"
    with pytest.raises(UsageError, match="names 3 runs"):
        names(project).one("sweep")


@pytest.mark.parametrize(
    "text", ["epochs=3", "sweep/epochs=11", "nothing", "aaa", "", "/", "\0", "x" * 5000, "[", "one["]
)
def test_what_means_nothing_is_told_with_what_would(project: Path, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        names(project).one(text)
    assert caught.value.code == "unknown_run"
    assert "known: sweep/epochs=1, " in caught.value.problems[0].fix
    if "epochs" in text:
        assert "did you mean" in caught.value.problems[0].fix


def test_a_run_that_is_only_planned_says_how_to_make_it(project: Path) -> None:
    found = names(project).one("other/default")
    with pytest.raises(UsageError, match="does not lie in runs") as caught:
        found.here()
    assert "ftspec run other" in caught.value.problems[0].fix


def test_broken_locks_and_folders_name_nothing(project: Path) -> None:
    (project / "experiments" / "one.lock.json").write_text("<<<<<<< ours")
    (project / "experiments" / "other.yaml").unlink()
    shutil.rmtree(project / "runs" / "sweep" / "epochs=2.bbbbbbbbbbbb")
    (project / "runs" / "sweep" / "half.dddddddddddd").mkdir()
    found = names(project)
    assert list(found.words()) == ["sweep/epochs=1"]
    for text in ("default", "half", "dddd"):
        with pytest.raises(UsageError, match="no run is called"):
            found.one(text)
    with pytest.raises(UsageError, match="no run is called") as caught:
        read_names(project / "elsewhere" / "runs").one("x")
    assert "ftspec run" in caught.value.problems[0].fix


def test_a_reused_run_is_called_as_it_lies(project: Path) -> None:
    run = names(project).one("default").directory
    assert other_name(run, "one", "default") == "sweep/epochs=1"
    assert other_name(run, "sweep", "default") == "epochs=1"
    assert other_name(run, "sweep", "epochs=1") == other_name(None, "one", "default") == ""
