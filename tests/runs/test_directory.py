"""Run directories: found by digest, made once, sealed so that `sha256sum` alone can check them."""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ftspec.runs.directory import Catalog, NewRun, RunDirectory, create_run, find_run, run_directories, training_lock
from ftspec.runs.environment import environment, git_state
from ftspec.runs.integrity import QUICK_BYTES, quick_faults
from ftspec.runs.seal import SEAL, broken, is_sealed, seal, seal_digest, sealed_files
from ftspec.spec.errors import DataError
from ftspec.storage import BlobStore, write_json

TRAIN = "sha256:" + "a1" * 32


def new_run(blobs: BlobStore, experiment: str = "demo", train: str = TRAIN) -> NewRun:
    return NewRun(
        experiment=experiment,
        label="epochs=3,lr=0.1",
        facts={"schema": 1, "digests": {"train": train}},
        readme="# demo\n",
        config="model: tiny\n",
        hydra_config="model: tiny\n",
        overrides="- seed=1\n",
        data={"train.jsonl": blobs.put_bytes(b'{"messages":[]}\n')},
    )


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "runs" / ".store")


def test_a_run_is_found_by_digest_whatever_its_label(tmp_path: Path, blobs: BlobStore) -> None:
    made = create_run(tmp_path / "runs", blobs, new_run(blobs))
    assert made.path.name == "epochs=3,lr=0.1.a1a1a1a1a1a1"
    made.path.rename(made.path.with_name("renamed." + "a1" * 6))
    found = find_run(tmp_path / "runs", TRAIN)
    assert found is not None
    assert found.label == "renamed"
    assert find_run(tmp_path / "runs", "sha256:" + "a1" * 6 + "b2" * 26) is None
    assert find_run(tmp_path / "nowhere", TRAIN) is None


def test_the_same_training_of_two_experiments_meets_in_one_directory(tmp_path: Path, blobs: BlobStore) -> None:
    first = create_run(tmp_path / "runs", blobs, new_run(blobs, "one"))
    assert create_run(tmp_path / "runs", blobs, new_run(blobs, "two")).path == first.path


def test_many_makers_of_one_run_end_with_one_directory(tmp_path: Path, blobs: BlobStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_run(tmp_path / "runs", blobs, new_run(blobs)).path, range(16)))
    assert len(set(made)) == 1
    assert os.listdir(made[0].parent) == [made[0].name]


def test_foreign_and_half_written_folders_are_passed_over(tmp_path: Path, blobs: BlobStore) -> None:
    made = create_run(tmp_path / "runs", blobs, new_run(blobs))
    (tmp_path / "runs" / "demo" / "notes").mkdir()
    (tmp_path / "runs" / "demo" / f".half.{'b' * 12}.tmp").mkdir()
    (tmp_path / "runs" / "demo" / ("broken." + "c" * 12)).mkdir()
    (tmp_path / "runs" / "demo" / ("broken." + "c" * 12) / "run.json").write_text("{")
    (tmp_path / "runs" / "file").write_text("x")
    assert made in list(run_directories(tmp_path / "runs"))
    assert Catalog(tmp_path / "runs").find("sha256:" + "c" * 64) is None


def test_attempts_resume_until_sealed_and_are_never_overwritten(tmp_path: Path, blobs: BlobStore) -> None:
    run = create_run(tmp_path / "runs", blobs, new_run(blobs))
    first = run.open_attempt()
    assert run.open_attempt().path == first.path
    write_json(first.path / "results.json", {"outcome": "failed"})
    seal(first.path, run.sealed_outside())
    assert run.finished() is None
    second = run.open_attempt()
    assert second.number == 2
    write_json(second.path / "results.json", {"outcome": "succeeded"})
    seal(second.path, run.sealed_outside())
    run.point_latest(second)
    finished = run.finished()
    assert finished is not None
    assert finished.number == 2
    assert (run.path / "latest").resolve() == second.path.resolve()
    assert run.open_attempt(fresh=True).number == 3


def test_a_seal_is_checked_by_sha256sum_alone(tmp_path: Path, blobs: BlobStore) -> None:
    run = create_run(tmp_path / "runs", blobs, new_run(blobs))
    attempt = run.open_attempt()
    write_json(attempt.path / "results.json", {"outcome": "succeeded"})
    digest = seal(attempt.path, run.sealed_outside())
    assert digest == seal_digest(attempt.path)
    moved = tmp_path / "elsewhere"
    shutil.copytree(run.path, moved)
    if shutil.which("sha256sum"):
        checked = subprocess.run(["sha256sum", "-c", "SEALED"], cwd=moved / "attempts" / "001", capture_output=True)
        assert checked.returncode == 0
    assert "../../run.json" in sealed_files(attempt.path)


@pytest.mark.parametrize("name", ["results.json", "../../config.yaml", "../../data/train.jsonl"])
def test_one_changed_byte_is_named(tmp_path: Path, blobs: BlobStore, name: str) -> None:
    run = create_run(tmp_path / "runs", blobs, new_run(blobs))
    attempt = run.open_attempt()
    write_json(attempt.path / "results.json", {"outcome": "succeeded"})
    seal(attempt.path, run.sealed_outside())
    assert broken(attempt.path) == []
    (run.path / "README.md").write_text("edited by a person: that is allowed\n")
    assert broken(attempt.path) == []
    target = attempt.path / name
    target.chmod(0o644)
    target.write_bytes(target.read_bytes() + b" ")
    assert [str(fault) for fault in broken(attempt.path)] == [f"{name}: changed"]
    target.unlink()
    assert [str(fault) for fault in broken(attempt.path)] == [f"{name}: missing"]


def test_a_quick_look_sees_small_files_and_what_was_written_after_the_seal(tmp_path: Path) -> None:
    folder = tmp_path / "attempts" / "001"
    folder.mkdir(parents=True)
    (tmp_path / "run.json").write_text("{}")
    (folder / "results.json").write_text("{}")
    (folder / "weights.npz").write_bytes(bytes(QUICK_BYTES + 1))
    assert quick_faults(folder) == []
    seal(folder, ["../../run.json"])
    assert quick_faults(folder) == []
    sealed = (folder / SEAL).stat().st_mtime_ns
    big = folder / "weights.npz"
    big.write_bytes(bytes(QUICK_BYTES) + b"1")
    os.utime(big, ns=(sealed + 1, sealed + 1))
    (tmp_path / "run.json").write_text("[]")
    (folder / "results.json").unlink()
    assert {fault.file for fault in quick_faults(folder)} == {"../../run.json", "weights.npz"}
    os.utime(big, ns=(sealed - 1, sealed - 1))
    assert [fault.file for fault in quick_faults(folder)] == ["../../run.json"], "a time put back is left to verify"
    (folder / SEAL).write_text("none")
    assert [str(fault) for fault in quick_faults(folder)] == [f"{SEAL}: broken"]


def test_unsealed_and_broken_seals(tmp_path: Path) -> None:
    assert [fault.fault for fault in broken(tmp_path)] == ["unsealed"]
    with pytest.raises(DataError, match="never finished"):
        seal_digest(tmp_path)
    (tmp_path / "SEALED").write_text("garbage\n")
    assert is_sealed(tmp_path)
    assert [fault.fault for fault in broken(tmp_path)] == ["broken"]


def test_a_training_has_one_lock(tmp_path: Path) -> None:
    with training_lock(tmp_path, TRAIN) as lock:
        assert lock.acquire()
        assert not training_lock(tmp_path, TRAIN).acquire()
        assert training_lock(tmp_path, "sha256:" + "b" * 64).acquire()


def test_environment_holds_versions_but_no_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    facts = environment({"threads": 1})
    assert facts["packages"]["numpy"]["version"]
    assert facts["numerics"] == {"threads": 1}
    assert "canary" not in repr(facts)


def test_git_is_recorded_not_needed(tmp_path: Path) -> None:
    assert git_state(tmp_path) == {"commit": None}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "x").write_text("1")
    subprocess.run([*git, "add", "x"], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)
    clean = git_state(tmp_path)
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "x").write_text("2")
    assert git_state(tmp_path)["dirty"] is True


def test_paths_are_all_a_directory_is(tmp_path: Path) -> None:
    assert RunDirectory(tmp_path / "demo" / "default.abc").experiment == "demo"
    assert RunDirectory(tmp_path / "demo" / "lr=0.2.abc").label == "lr=0.2"
