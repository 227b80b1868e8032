"""Reproduction for real: from run directories, from git and lock alone, elsewhere, after every kind of change."""

import asyncio
import dataclasses
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.cli.main import main
from ftspec.compose import Project
from ftspec.engine import bases
from ftspec.report.reproduce import reproduction_lines
from ftspec.runs.directory import RunDirectory
from ftspec.runs.known import read_results
from ftspec.runs.seal import seal, seal_digest
from ftspec.spec.errors import StaleError
from ftspec.workflows import identity
from ftspec.workflows.locking import write_lock
from ftspec.workflows.plan import make_plan
from ftspec.workflows.reproduce import reproduce
from ftspec.workflows.reproduction.bits import bits_of
from ftspec.workflows.reproduction.case import Case, ReproduceOptions
from ftspec.workflows.reproduction.equivalent import equivalent_of
from ftspec.workflows.reproduction.verdicts import Reproduction

pytestmark = pytest.mark.slow
EXPERIMENT = "experiments/demo.yaml"


def again(demo: Any, target: str, level: str, **options: Any) -> Reproduction:
    chosen = ReproduceOptions(level=level, **options)  # type: ignore[arg-type]
    return asyncio.run(reproduce(Project(demo.root), target, chosen))


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def run_of(demo: Any, label: str = "epochs=1") -> RunDirectory:
    return RunDirectory(next((demo.root / "runs" / "demo").glob(f"{label}.*")))


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def change(demo: Any, file: str, old: str, new: str) -> None:
    path = demo.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def compared(demo: Any, label: str = "epochs=1") -> Case:
    """The newest attempt of a run, as it would be judged against the first one just after it was trained and scored."""
    run = run_of(demo, label)
    planned = next(one for one in make_plan(Project(demo.root), "demo").runs if one.directory == run)
    return Case(label, planned.train_digest, planned, run, run.attempts()[0], fresh=run.attempts()[-1])


def reseal(folder: Path, file: str, edit: Callable[[Any], Any]) -> None:
    """Change a sealed file and its seal, as if it had been written so."""
    path = folder / file
    lines = [json.dumps(edit(json.loads(line))) for line in path.read_text().splitlines()] if ".jsonl" in file else []
    text = "\n".join(lines) + "\n" if lines else json.dumps(edit(json.loads(path.read_text())))
    path.unlink()
    path.write_text(text)
    outside = [name for name in _sealed_names(folder) if name.startswith("../")]
    seal(folder, outside)


def _sealed_names(folder: Path) -> list[str]:
    return [line.split("  ", 1)[1] for line in (folder / "SEALED").read_text().splitlines()]


def test_bits_are_a_new_attempt_with_a_job_of_its_own(sweep: Any) -> None:
    run = run_of(sweep)
    before = {name: digest for name, digest in hashes(run.path).items() if not name.startswith("latest")}
    known = (sweep.root / "experiments" / "demo.results.json").read_bytes()
    done = sweep.call("reproduce", "epochs=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"bits +reproduced +weights [0-9a-f]{12} and every answer, equal to attempt 001", done.stdout)
    assert len(sweep.jobs()) == sweep.keys_posted() == 3
    first, second = run.attempts()
    assert second.results["reproduces"] == seal_digest(first.path)
    assert second.results["job"] != first.results["job"]
    assert before.items() <= hashes(run.path).items()
    assert sweep.call("verify").returncode == 0
    assert "nothing to do" in sweep.call("run", "demo").stdout
    assert (sweep.root / "experiments" / "demo.results.json").read_bytes() == known


def test_thrown_away_cloned_and_done_again_bit_for_bit(swept: Any, tmp_path: Path) -> None:
    """From git and the lock alone, in another place, language, time zone, hash seed and umask."""
    place = tmp_path / "another place, größer"
    place.mkdir()
    subprocess.run(["git", "clone", "-q", str(swept.root), str(place / "clone")], check=True)
    clone = type(swept)(place / "clone")
    other = {"CI": "true", "LC_ALL": "C", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-m", "ftspec", "reproduce", "demo@HEAD", "--json"],
        cwd=clone.root,
        capture_output=True,
        text=True,
        umask=0o077,
        env=os.environ | other,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"]["verdict"] == "reproduced"
    assert "it would have added the recorded request" in " ".join(found["notes"])
    assert [[v["verdict"] for v in run["verdicts"]] for run in found["subjects"]] == [["reproduced"] * 3] * 2
    for label in ("epochs=1", "epochs=2"):
        old, new = run_of(swept, label).attempts()[0], run_of(clone, label).attempts()[0]
        assert old.results["weights_digest"] == new.results["weights_digest"]
        assert new.results["reproduces"] == seal_digest(old.path)
        assert answers(run_of(swept, label)) == answers(run_of(clone, label))
    known = (clone.root / "experiments" / "demo.results.json").read_bytes()
    assert clone.call("lock").returncode == 0
    assert (clone.root / "experiments" / "demo.results.json").read_bytes() == known
    composed = again(clone, "demo[epochs=1]", "config").subjects[0]
    assert any("reproductions only" in note for note in composed.notes)
    rows = read_results(known).results
    alone = dataclasses.replace(compared(clone), attempt=None, known=rows)
    assert "unpaired" in equivalent_of(alone).what[0]


def answers(run: RunDirectory) -> list[Any]:
    """What was answered, but for the names that another server gives its models."""
    lines = next((run.path / "evals").glob("*/responses.jsonl")).read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in ("model", "key")} for line in lines]


def test_packed_runs_reproduce_where_they_are_unpacked(swept: Any, tmp_path: Path) -> None:
    """One file carries sources, request and answers to a clone without a server; git is needed for the data alone."""
    packed = tmp_path / "runs.tar"
    assert swept.call("runs", "pack", "demo", "-o", str(packed)).returncode == 0
    subprocess.run(["git", "clone", "-q", str(swept.root), str(tmp_path / "clone")], check=True)
    clone = type(swept)(tmp_path / "clone")
    assert clone.call("runs", "unpack", str(packed)).returncode == 0
    change(clone, EXPERIMENT, "Name the animal.", "Another prompt.")
    found = again(clone, "epochs=2", "bits")
    assert [v.word for v in found.subjects[0].verdicts] == ["reproduced"] * 3
    assert "attempt 001" in found.verdict.what[0]
    assert again(clone, "epochs=2", "scores").verdict.word == "reproduced"
    shutil.rmtree(clone.root / ".git")
    (clone.root / "data" / "rows.jsonl").unlink()
    assert [v.word for v in again(clone, "epochs=2", "scores").subjects[0].verdicts] == ["impossible", "reproduced"]


CATS = "{name: cats, match: {role: assistant, content_contains: cat}, weight: 0}"
NO_CATS = f"seed: 3\nweights: {{on_empty: drop, rules: [{CATS}]}}"
FLIPS = {
    "row": ("data/rows.jsonl", '"it purrs', '"it quietly purrs', "data: rows of data/rows.jsonl changed"),
    "weight": (EXPERIMENT, "seed: 3", NO_CATS, "data: loss weights changed"),
    "prompt": (EXPERIMENT, "Name the animal.", "Name it.", "data: the prompt (dataset.messages) changed"),
    "epoch": (EXPERIMENT, "[1, 2]", "[3, 2]", "config: run is gone config: epochs=3 is not in the lock"),
    "seed": (EXPERIMENT, "seed: 3", "seed: 4", "config: seed 3 -> 4"),
    "grader": (
        "conf/evals/exact.yaml",
        "{type: label}",
        "{type: label, match: casefold}",
        "suite: exact: graders changed",
    ),
    "base": (EXPERIMENT, "model: tiny", "model: ftspec-scratch", "base: model tiny -> ftspec-scratch"),
}


@pytest.mark.parametrize("flip", FLIPS)
def test_each_input_that_changed_under_a_lock_is_named(sweep: Any, flip: str) -> None:
    """Once in the working tree, once committed without its lock and read out of git; both by the command line."""
    file, old, new, told = FLIPS[flip]
    change(sweep, file, old, new)
    here = sweep.call("reproduce", "demo[epochs=1]", "--json")
    git(sweep.root, "commit", "-qam", "no lock")
    committed = sweep.call("reproduce", "demo[epochs=1]@HEAD", "--json")
    for done in (here, committed):
        assert done.returncode == 10, done.stderr
        (verdict,) = json.loads(done.stdout)["subjects"][0]["verdicts"]
        assert (verdict["level"], verdict["verdict"]) == ("config", "differs")
        assert told in " ".join(verdict["what"])
    assert len(sweep.jobs()) == 2


def other_base(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The same name with other weights, as a broken installation or a forger would have it."""
    copy = Path(shutil.copytree(bases.FOLDER, folder / "bases"))
    card = copy / bases.PUBLISHED / "base.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"digest": "0" * 64}))
    monkeypatch.setattr(bases, "FOLDER", copy)
    for cache in (bases._load, identity._embedded_identity):
        cache.cache_clear()


def test_a_run_names_a_base_and_a_built_in_block_that_changed(
    sweep: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_base(monkeypatch, tmp_path)
    try:
        by_run = again(sweep, "epochs=1", "inputs").verdict
        by_lock = again(sweep, "demo[epochs=1]", "inputs").verdict
    finally:
        monkeypatch.undo()
        for cache in (bases._load, identity._embedded_identity):
            cache.cache_clear()
    for verdict, told in ((by_run, "base: weights of the base model"), (by_lock, "base: weights of ftspec-tiny-1")):
        assert int(verdict.exit_code) == 10
        assert f"{told} 3ef4ff6d4664 -> 000000000000" in " ".join(verdict.what)


def test_data_that_is_gone_is_impossible_since_a_day(sweep: Any) -> None:
    """Without git the bytes are nowhere; with git they are taken from the commit."""
    change(sweep, "data/rows.jsonl", '"it purrs', '"it quietly purrs')
    assert again(sweep, "epochs=1", "inputs").verdict.word == "reproduced"
    shutil.rmtree(sweep.root / ".git")
    found = again(sweep, "epochs=1", "inputs").verdict
    assert (found.word, int(found.exit_code)) == ("impossible", 14)
    assert "data/rows.jsonl has other bytes" in found.what[0]
    assert found.since == time.strftime("%Y-%m-%d", time.gmtime())
    assert found.shown == f"impossible (since {found.since})"
    (sweep.root / "data" / "rows.jsonl").unlink()
    assert "data/rows.jsonl is gone" in again(sweep, "epochs=1", "bits").verdict.what[0]
    graded = again(sweep, "epochs=1", "scores")
    assert [v.word for v in graded.subjects[0].verdicts] == ["impossible", "reproduced"]
    assert "12 stored answers, graded the same" in graded.verdict.what[0]


def test_data_and_items_outside_git_of_a_project_inside_a_repository(build_demo: Any, tmp_path: Path) -> None:
    """Neither the rows nor a suite's items are committed: the project's own are taken if their bytes agree."""
    demo = build_demo(tmp_path / "repository" / "part" / "project")
    items = demo.root / "data" / "items.jsonl"
    items.write_text("".join(json.dumps({"id": str(i), "messages": [], "reference": "cat"}) + "\n" for i in range(3)))
    suite = demo.root / "conf" / "evals" / "exact.yaml"
    request = '{messages: [{role: user, content: "{{ item.reference }}"}]}'
    suite.write_text(
        f"exact:\n  data: {{path: data/items.jsonl, id: id}}\n  request: {request}\n{suite.read_text()[7:]}"
    )
    (demo.root / ".gitignore").write_text("/runs/\n/data/\n")
    project = Project(demo.root)
    write_lock(make_plan(project, "demo"))
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "no data"]):
        git(tmp_path / "repository", *words)
    assert again(demo, "demo@HEAD", "inputs").verdict.word == "reproduced"
    content = items.read_text()
    items.write_text(content.replace("cat", "dog"))
    changed = again(demo, "demo@HEAD", "config").verdict
    assert (changed.word, "exact: held-out items changed" in " ".join(changed.what)) == ("differs", True)
    items.unlink()
    gone = again(demo, "demo@HEAD", "config").verdict
    assert (gone.word, gone.what) == ("impossible", ("data/items.jsonl is gone",))
    items.write_text(content)
    change(demo, "data/rows.jsonl", '"it purrs', '"it quietly purrs')
    other = again(demo, "demo@HEAD", "config").verdict
    assert other.word == "impossible"
    assert "data/rows.jsonl has other bytes" in other.what[0]


def test_altered_evidence_concludes_nothing(sweep: Any) -> None:
    path = run_of(sweep).attempts()[0].path / "model.json"
    content = path.read_text()
    path.unlink()
    path.write_text(content.replace("ftjob", "FTjob"))
    for target in ("epochs=1", "demo[epochs=1]"):
        with pytest.raises(StaleError, match=r"the evidence was altered: 001/model\.json: changed") as error:
            again(sweep, target, "config")
        assert int(error.value.exit_code) == 4


def test_scores_differ_where_a_grader_judges_otherwise(sweep: Any) -> None:
    folder = next((run_of(sweep).path / "evals").iterdir())
    first = json.loads((folder / "grades.jsonl").read_text().splitlines()[0])
    reseal(folder, "grades.jsonl", lambda row: row | {"score": 1 - row["score"]} if row == first else row)
    found = again(sweep, "epochs=1", "scores").verdict
    assert (found.word, int(found.exit_code)) == ("differs", 11)
    assert f"grader animal judges 1 answers otherwise (tuned/{first['id']})" in found.what[0]


def test_other_bits_differ_and_under_another_arithmetic_they_are_impossible(sweep: Any) -> None:
    attempt = run_of(sweep).attempts()[0].path
    reseal(attempt, "results.json", lambda results: results | {"weights_digest": "f" * 64})
    found = again(sweep, "epochs=1", "bits").verdict
    assert (found.word, int(found.exit_code)) == ("differs", 11)
    assert "not ffffffffffff as in attempt 001" in found.what[0]
    reseal(attempt, "env.json", lambda env: env | {"numerics": "fp_of_another", "cpu": "Another CPU"})
    case = compared(sweep)
    case.verdicts.append(bits_of(case))
    subject = case.subject(sweep.root)
    assert (subject.verdict.word, int(subject.verdict.exit_code)) == ("impossible", 14)
    assert "the arithmetic is another one" in subject.verdict.what[0]
    differing = {one.name: one.matters for one in subject.differences}
    assert differing["numerics"] is True
    assert differing["cpu"] is False


def test_what_it_was_made_with_and_how_to_run_that(sweep: Any) -> None:
    def older(env: Any) -> Any:
        packages = env["packages"] | {"ftspec": env["packages"]["ftspec"] | {"version": "0.0.9"}}
        packages |= {"numpy": env["packages"]["numpy"] | {"record": "0" * 64}}
        return env | {"packages": packages, "git": {"commit": "a" * 40, "dirty": True}}

    reseal(run_of(sweep).attempts()[0].path, "env.json", older)
    told = "\n".join(reproduction_lines(again(sweep, "epochs=1", "config"), colour=False))
    assert "recorded with ftspec 0.0.9: `uvx --from ftspec==0.0.9 ftspec`" in told
    assert "commit: aaaaaaaaaaaa then" in told
    assert "working tree: changed since the commit then, as committed now; no matter" in told
    assert re.search(r"ftspec: 0\.0\.9 then, \S+ now; may matter", told)
    assert re.search(r"numpy: \S+ \(00000000\) then, .*may matter: other files under the same version", told)


def margin(demo: Any, value: float) -> None:
    change(demo, "conf/evals/exact.yaml", "  graders:", f"  compare: {{margin: {value}}}\n  graders:")


def test_equivalent_needs_a_margin_that_the_items_can_show(sweep: Any) -> None:
    """Twelve pairs without a difference: the interval is 18 points wide (2.71 / (12 + 2.71)), and .75 ** 12 = 3.2 % of
    gaps of 25 points look like that. What lies between: test_verdicts.
    """
    margin(sweep, 0.05)
    small = again(sweep, "demo[epochs=1]", "equivalent").verdict
    assert small.word == "inconclusive"
    assert small.needs == 163
    assert small.shown == "inconclusive (needs about 163 items)"
    change(sweep, "conf/evals/exact.yaml", "0.05", "0.25")
    large = equivalent_of(compared(sweep))
    assert (large.word, int(large.exit_code)) == ("reproduced", 0)
    assert "[-18.4..+18.4]" in large.what[0]


def test_the_conclusion_holds_with_and_without_run_directories(sweep: Any, tmp_path: Path) -> None:
    done = sweep.call("reproduce", "demo", "--level", "conclusion")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "winner epochs=2 by valid_loss" in done.stdout
    assert "every graded item is as before" in done.stdout
    folders = sorted(p.name for p in (sweep.root / "runs" / "demo" / "baselines").iterdir())
    assert [name.count(".") for name in folders] == [1, 2]
    assert sweep.call("verify").returncode == 0
    subprocess.run(["git", "clone", "-q", str(sweep.root), str(tmp_path / "clone")], check=True)
    alone = again(type(sweep)(tmp_path / "clone"), "demo", "conclusion")
    assert alone.subjects[0].verdict.word == "reproduced"
    assert "the claim is that of results.json" in alone.subjects[0].notes[0]


def test_a_killed_reproduction_goes_on_in_its_own_attempt(sweep: Any) -> None:
    child = sweep.start("reproduce", "epochs=2")
    attempt = run_of(sweep, "epochs=2").path / "attempts" / "002" / "requests.jsonl"
    deadline = time.monotonic() + 60
    while len(sweep.jobs()) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert attempt.is_file()
    done = sweep.call("reproduce", "epochs=2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [a.path.name for a in run_of(sweep, "epochs=2").attempts()] == ["001", "002"]
    assert len(sweep.jobs()) == sweep.keys_posted() == 3


def test_an_ad_hoc_run_is_reproduced_from_its_directory_alone(sweep: Any) -> None:
    assert sweep.call("run", "demo", "hyperparameters.n_epochs=1", "seed=9", "--only", "train").returncode == 0
    run = next(
        p
        for p in (sweep.root / "runs" / "demo").glob("*/run.json")
        if "seed=9" in (p.parent / ".hydra" / "overrides.yaml").read_text()
    )
    digest = json.loads(run.read_text())["digests"]["train"][7:19]
    found = again(sweep, digest, "inputs")
    assert [v.word for v in found.subjects[0].verdicts] == ["reproduced", "reproduced"]
    lacking = sweep.call("reproduce", "demo[seed=9]")
    assert lacking.returncode == 64
    assert "no run is called 'demo[seed=9]'; known: demo/default, demo/epochs=1" in lacking.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing"], 64, "no run is called 'nothing'; known: demo/epochs=1"),
        (["demo[nope]"], 64, "known: demo/epochs=1, demo/epochs=2"),
        (["demo@nope"], 64, "names no commit here"),
        (["demo@HEAD~1"], 64, "there is no experiments/demo.lock.json in revision HEAD~1"),
        (["epochs=1", "--level", "conclusion"], 64, "a conclusion is that of a sweep"),
        (["demo[epochs=1]", "--level", "conclusion"], 64, "a conclusion is that of a sweep"),
        (["epochs=1", "--level", "bits", "--provider", "openai"], 64, "a transfer is judged by scores alone"),
        (["epochs=1", "seed=4"], 64, "a reproduction changes nothing"),
        (["epochs=1", "--provider", "nobody"], 65, "nobody"),
        (["epochs=1", "--provider", "openai"], 65, "openai does not train 'tiny'"),
    ],
)
def test_what_cannot_be_meant_is_told(
    swept: Any, words: list[str], code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(swept.root)
    assert main(["reproduce", *words]) == code
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_the_page_is_true(sweep: Any, repository: Path) -> None:
    """docs/reproduce.md prints what these commands print, but for digests."""
    page = (repository / "docs" / "reproduce.md").read_text("utf-8")
    blocks = re.findall(r"```console\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        shown = {line[2:]: "" for line in block.splitlines() if line.startswith("$ ")}
        command = ""
        for line in block.splitlines(keepends=True):
            command = line[2:].rstrip() if line.startswith("$ ") else command
            shown[command] += "" if line.startswith("$ ") else line
        for words, expected in shown.items():
            program, *arguments = shlex.split(words)
            if program == "ftspec":
                printed = sweep.call(*arguments).stdout
            else:
                printed = subprocess.run(
                    [program, *arguments], cwd=sweep.root, check=True, capture_output=True
                ).stdout.decode()
            assert without_digests(printed) == without_digests(expected), words


def without_digests(text: str) -> str:
    return re.sub(r"\b[0-9a-f]{12}\b", "HEX", text)
