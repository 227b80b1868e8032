"""Packing and unpacking: equal bytes for equal runs, nothing but verified runs let in, hostile files refused."""

import io
import json
import os
import random
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.runs.archive import Limits
from ftspec.runs.directory import find_run, run_directories
from ftspec.runs.integrity import check_baselines, check_run
from ftspec.runs.seal import seal, seal_digest
from ftspec.spec.errors import DataError, FtspecError, StaleError, UnsafeError, UsageError
from ftspec.workflows.moving import pack, unpack

Make = Callable[..., Path]


def tree(runs: Path) -> dict[str, bytes]:
    """Every file of the runs themselves."""
    return {
        str(path.relative_to(runs)): path.read_bytes()
        for path in sorted(runs.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.relative_to(runs).parts[0].startswith(".")
    }


def intact(runs: Path) -> bool:
    checks = [check for run in run_directories(runs) for check in check_run(run)]
    return bool(checks) and all(check.state == "intact" for check in [*checks, *check_baselines(runs, "demo")])


def left_over(runs: Path) -> list[str]:
    return [p.name for p in runs.glob(".incoming*")] if runs.exists() else []


def test_a_round_trip_is_byte_equal_and_linked(make_runs: Make, tmp_path: Path) -> None:
    runs, there = make_runs(), tmp_path / "elsewhere" / "runs"
    packed = pack(runs, [], tmp_path / "a.tar")
    assert len(packed.folders) == 5
    done = unpack(tmp_path / "a.tar", there)
    assert {one.how for one in done.admitted} == {"new"}
    assert tree(there) == tree(runs)
    assert intact(there)
    assert left_over(there) == []
    weights = next(there.glob("demo/seed=1.*/attempts/001/weights.npz"))
    assert weights.stat().st_nlink == 2
    assert (next(there.glob("demo/seed=1.*")) / "latest").resolve().name == "001"
    assert {one.how for one in unpack(tmp_path / "a.tar", there).admitted} == {"here"}
    pack(there, [], tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_tar_alone_unpacks_it_too(make_runs: Make, tmp_path: Path) -> None:
    runs = make_runs()
    pack(runs, ["demo"], tmp_path / "a.tar")
    there = tmp_path / "plain"
    there.mkdir()
    if shutil.which("tar"):
        subprocess.run(["tar", "xf", tmp_path / "a.tar"], cwd=there, check=True)
        assert tree(there) == tree(runs)
        assert intact(there)


def test_what_is_not_sealed_or_not_ours_stays(make_runs: Make, new_run: Any, tmp_path: Path) -> None:
    runs = make_runs(count=1)
    run = next(run_directories(runs))
    (run.path / "notes.txt").write_text("mine")
    run.open_attempt(fresh=True)
    new_run(runs, 9)
    packed = pack(runs, [], tmp_path / "a.tar")
    assert [problem.code for problem in packed.left] == ["unsealed"]
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
    assert not [name for name in names if "notes" in name or "/002/" in name or "seed=9" in name]


def test_altered_runs_are_not_packed(make_runs: Make, tmp_path: Path) -> None:
    runs = make_runs(count=1)
    path = next(runs.glob("demo/seed=1.*/attempts/001/results.json"))
    path.write_text("{}")
    packed = pack(runs, [], tmp_path / "a.tar")
    assert [problem.code for problem in packed.left] == ["altered"]
    assert packed.folders == ("demo/baselines/routing.eeeeeeeeeeee",)
    with pytest.raises(UsageError, match="exists"):
        pack(runs, [], tmp_path / "a.tar")
    with pytest.raises(FtspecError, match="not what was sealed"):
        pack(runs, ["seed=1"], tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()


def test_an_attempt_of_another_machine_is_added_with_its_scores(
    make_runs: Make, finish_run: Any, tmp_path: Path
) -> None:
    here, there = make_runs("here", 1), make_runs("there", 1)
    for attempt in (here, there):
        run = next(run_directories(attempt))
        shutil.rmtree(run.path / "attempts")
        shutil.rmtree(run.path / "evals")
        finish_run(run, f"weights made in {attempt.name}".encode())
    pack(there, ["seed=1"], tmp_path / "a.tar")
    done = unpack(tmp_path / "a.tar", here)
    assert [(one.folder.partition("/")[2].partition("/")[2], one.how) for one in done.admitted] == [
        ("attempts/002", "new"),
        ("evals/routing.eeeeeeeeeeee.002", "new"),
    ]
    run = next(run_directories(here))
    assert [attempt.number for attempt in run.attempts()] == [1, 2]
    assert intact(here)
    assert (run.path / "latest").resolve().name == "002"


def test_another_planning_is_kept_apart_unless_it_never_began(make_runs: Make, new_run: Any, tmp_path: Path) -> None:
    runs = make_runs(count=1, commit="a" * 40)
    pack(runs, ["seed=1"], tmp_path / "a.tar")
    mine = make_runs("mine", 1, commit="b" * 40)
    before = tree(mine)
    (told,) = unpack(tmp_path / "a.tar", mine).admitted
    assert told.how == "apart"
    assert "planned otherwise (run.json)" in told.note
    assert tree(mine) == before
    planned = tmp_path / "planned"
    run = new_run(planned, 1, commit="b" * 40)
    assert {one.how for one in unpack(tmp_path / "a.tar", planned).admitted} == {"new"}
    found = find_run(planned, run.facts["digests"]["train"])
    assert found is not None
    assert found.finished() is not None
    assert intact(planned)


# Hostile and damaged files


def write_tar(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mark: str | None = None) -> Path:
    mark = f"ftspec runs 1 {len(members)}" if mark is None else mark
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": mark}) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Any:
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = len(content), kind, link
    return made, content


RUN = "demo/default." + "a" * 12
HOSTILE = {
    "absolute": member("/etc/cron.d/x", b"x"),
    "parent": member("../x", b"x"),
    "inner parent": member(f"{RUN}/../../x", b"x"),
    "hidden": member(".embedded/jobs/x", b"x"),
    "index": member(".index.sqlite", b"x"),
    "store outside": member(".store/sha256/../../x", b"x"),
    "response cache": member(".store/responses.sqlite", b"x"),
    "unknown file": member(f"{RUN}/attempts/001/sub/x", b"x"),
    "foreign": member("README.md", b"x"),
    "nul": member(f"{RUN}/attempts/001/a\nb", b"x"),
    "symlink": member(f"{RUN}/config.yaml", kind=tarfile.SYMTYPE, link="/etc/passwd"),
    "hard link away": member(f"{RUN}/config.yaml", kind=tarfile.LNKTYPE, link="/etc/passwd"),
    "hard link to a run's file": member(f"{RUN}/config.yaml", kind=tarfile.LNKTYPE, link=f"{RUN}/run.json"),
    "hard link to a missing blob": member(
        f"{RUN}/config.yaml", kind=tarfile.LNKTYPE, link=".store/sha256/ab/" + "c" * 62
    ),
    "folder": member(f"{RUN}/attempts", kind=tarfile.DIRTYPE),
    "device": member(f"{RUN}/config.yaml", kind=tarfile.CHRTYPE),
    "fifo": member(f"{RUN}/config.yaml", kind=tarfile.FIFOTYPE),
    "sparse": member(f"{RUN}/config.yaml", kind=tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_members_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    path = write_tar(tmp_path / "x.tar", [member(f"{RUN}/README.md", b"x"), HOSTILE[name]])
    with pytest.raises(UnsafeError):
        unpack(path, tmp_path / "runs")
    assert not [p for p in (tmp_path / "runs").rglob("*") if p.is_file()]
    assert left_over(tmp_path / "runs") == []


ODD_FACTS: dict[str, Any] = {
    "a number": {"configs": 3},
    "no names": {"items": [{"sha256": "a" * 64}]},
    "a path": {"items": [{"sha256": "../" + "/etc/passwd", "path": "x"}]},
    "a list of parts": {"data": ["x"]},
    "a word for git": {"git": "x"},
    "an odd patch": {"git": {"patch": ["x"]}},
}


@pytest.mark.parametrize("odd", ODD_FACTS)
def test_a_stranger_who_seals_an_odd_run_json_is_refused(make_runs: Make, tmp_path: Path, odd: str) -> None:
    """The seal holds, the names of blobs do not: told by verify, and not packed."""
    runs = make_runs(count=1)
    run = next(run_directories(runs))
    facts = json.loads((run.path / "run.json").read_text()) | ODD_FACTS[odd]
    (run.path / "run.json").unlink()
    (run.path / "run.json").write_text(json.dumps(facts))
    seal(run.attempts()[0].path, run.sealed_outside())
    (checked, *_) = check_run(run)
    assert (checked.state, [str(fault) for fault in checked.faults]) == ("changed", ["run.json: broken"])
    with pytest.raises(FtspecError, match="blob"):
        pack(runs, ["seed=1"], tmp_path / "a.tar")
    assert not (tmp_path / "a.tar").exists()


def test_twice_too_large_too_many(tmp_path: Path) -> None:
    one = member(f"{RUN}/README.md", b"x" * 100)
    with pytest.raises(UnsafeError, match="twice"):
        unpack(write_tar(tmp_path / "a.tar", [one, one]), tmp_path / "runs")
    path = write_tar(tmp_path / "b.tar", [one, member(f"{RUN}/run.json", b"x" * 100)])
    for limits in (Limits(bytes=150), Limits(file_bytes=50), Limits(files=1)):
        with pytest.raises(UnsafeError, match="more than"):
            unpack(path, tmp_path / "runs", limits)


def test_a_header_that_claims_gigabytes_is_refused(tmp_path: Path) -> None:
    huge = tarfile.TarInfo("././@PaxHeader")
    huge.type, huge.size = tarfile.XHDTYPE, 8 * 2**30 - 1
    head = io.BytesIO()
    with tarfile.open(fileobj=head, mode="w", pax_headers={"comment": "ftspec runs 1 1"}, format=tarfile.PAX_FORMAT):
        pass
    start = head.getvalue().rstrip(b"\0")
    start += b"\0" * (-len(start) % 512)
    path = tmp_path / "x.tar"
    path.write_bytes(start + huge.tobuf(tarfile.USTAR_FORMAT) + b"\0" * 4096)
    with pytest.raises(DataError):
        unpack(path, tmp_path / "runs")


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    for name, content in {"empty": b"", "text": b"hello\n" * 400, "gz": b"\x1f\x8b" + b"x" * 2000}.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataError, match="not an archive"):
            unpack(path, tmp_path / "runs")
    one = member(f"{RUN}/README.md", b"x")
    with pytest.raises(DataError, match="not one of runs"):
        unpack(write_tar(tmp_path / "a.tar", [one], mark="something else"), tmp_path / "runs")
    with pytest.raises(DataError, match="newer version"):
        unpack(write_tar(tmp_path / "b.tar", [one], mark="ftspec runs 2 1"), tmp_path / "runs")
    with pytest.raises(UsageError):
        unpack(tmp_path / "nowhere", tmp_path / "runs")


def test_a_blob_under_a_wrong_name_and_an_altered_run_are_refused(make_runs: Make, tmp_path: Path) -> None:
    blob = member(".store/sha256/ab/" + "c" * 62, b"x")
    with pytest.raises(DataError, match="other bytes"):
        unpack(write_tar(tmp_path / "x.tar", [blob]), tmp_path / "runs")
    runs = make_runs(count=1)
    pack(runs, [], tmp_path / "a.tar")
    data = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "b.tar").write_bytes(data.replace(b'"valid_loss": 0.25', b'"valid_loss": 0.15'))
    with pytest.raises(StaleError, match=r"results\.json: changed"):
        unpack(tmp_path / "b.tar", tmp_path / "there")
    assert tree(tmp_path / "there") == {}


def test_every_cut_and_many_flips_are_refused_or_harmless(make_runs: Make, tmp_path: Path) -> None:
    """Cut at each block boundary, and with bytes flipped anywhere: never a crash, never an unverified run."""
    runs = make_runs(count=1)
    pack(runs, [], tmp_path / "a.tar")
    data = (tmp_path / "a.tar").read_bytes()
    whole = tree(runs)
    dice = random.Random(1)
    cuts = [data[:size] for size in range(0, len(data.rstrip(b"\0")), 512)]
    flips = []
    for _ in range(60):
        flipped = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            flipped[dice.randrange(len(data.rstrip(b"\0")))] ^= 1 << dice.randrange(8)
        flips.append(bytes(flipped))
    for number, content in enumerate([*cuts, *flips]):
        path, there = tmp_path / "x.tar", tmp_path / f"there{number}"
        path.write_bytes(content)
        try:
            unpack(path, there)
        except FtspecError:
            assert number < len(cuts) or tree(there) == {} or intact(there)
        else:
            assert number >= len(cuts), "a file that was cut off was taken for whole"
            assert intact(there)
            found = tree(there)
            assert {k: v for k, v in found.items() if "README" not in k}.items() <= whole.items()
        assert left_over(there) == []


def test_a_full_disk_leaves_nothing_half_done(
    make_runs: Make, finish_run: Any, tmp_path: Path, small_disk: Path
) -> None:
    runs = make_runs(count=1)
    big = finish_run(next(run_directories(runs)), os.urandom(3_000_000))
    assert seal_digest(big.path)
    pack(runs, [], tmp_path / "a.tar")
    with pytest.raises(FtspecError) as caught:
        unpack(tmp_path / "a.tar", small_disk / "runs")
    assert caught.value.code == "disk_full"
    assert tree(small_disk / "runs") == {}
    assert left_over(small_disk / "runs") == []
    with pytest.raises(FtspecError) as caught:
        pack(runs, [], small_disk / "a.tar")
    assert caught.value.code == "disk_full"
    assert not list(small_disk.glob("*.tar"))
