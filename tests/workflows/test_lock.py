"""The lock through real commands: what it holds, what makes it stale and why, what `--save` writes."""

import json
import shutil
from collections import Counter
from typing import Any

import pytest

from ftspec.compose import Project
from ftspec.runs.known import read_results
from ftspec.runs.lock import read_lock
from ftspec.workflows.locking import lock_of, lock_state, write_lock
from ftspec.workflows.plan import make_plan

EXPERIMENT = "experiments/demo.yaml"


def lock(demo: Any) -> Any:
    path = demo.root / "experiments" / "demo.lock.json"
    return read_lock(path.read_bytes(), file=str(path))


def change(demo: Any, file: str, old: str, new: str) -> None:
    path = demo.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_run_writes_lock_and_results_and_a_clone_writes_the_same(demo: Any) -> None:
    done = demo.call("run", "demo")
    assert done.returncode == 0, done.stderr
    assert "commit experiments/demo.lock.json experiments/demo.results.json" in done.stdout
    path = demo.root / "experiments" / "demo.lock.json"
    first, known = path.read_bytes(), (demo.root / "experiments" / "demo.results.json").read_bytes()
    locked = read_lock(first)
    assert [run.label for run in locked.runs] == ["epochs=1", "epochs=2"]
    assert [source.path for source in locked.sources] == ["data/rows.jsonl"]
    results = read_results(known)
    assert {row.run for row in results.results} == {"epochs=1", "epochs=2"}
    assert all(row.weights and row.numerics and row.value is not None for row in results.results)
    assert {row.arm for row in results.baselines} == {"base", "few_shot", "majority"}
    for line in first.decode().splitlines():
        assert str(demo.root) not in line
    clone = demo.root.parent / "elsewhere" / "clone"
    shutil.copytree(demo.root, clone, ignore=shutil.ignore_patterns("runs"))
    (clone / "experiments" / "demo.lock.json").unlink()
    other = type(demo)(clone)
    assert other.ftspec("lock", "demo", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="5").returncode == 0
    assert (clone / "experiments" / "demo.lock.json").read_bytes() == first
    assert (clone / "experiments" / "demo.results.json").read_bytes() == known
    assert demo.call("run", "demo", "--locked").returncode == 0
    assert path.read_bytes() == first


def test_ad_hoc_overrides_never_enter_the_lock(demo: Any) -> None:
    assert demo.call("lock").returncode == 0
    before = (demo.root / "experiments" / "demo.lock.json").read_bytes()
    assert demo.call("run", "demo", "hyperparameters.n_epochs=1", "seed=9", "--only", "data").returncode == 0
    assert (demo.root / "experiments" / "demo.lock.json").read_bytes() == before
    refused = demo.call("run", "demo", "seed=9", "--locked")
    assert refused.returncode == 4
    assert "no lock" in refused.stderr


CATS = "{name: cats, match: {role: assistant, content_contains: cat}, weight: 0}"
NO_CATS = f"seed: 3\nweights: {{on_empty: drop, rules: [{CATS}]}}"
STALE = [
    ("row", "data/rows.jsonl", '"it purrs', '"it quietly purrs', "data: rows of data/rows.jsonl changed"),
    ("prompt", EXPERIMENT, "Name the animal.", "Which animal?", "data: the prompt (dataset.messages) changed"),
    ("weight", EXPERIMENT, "seed: 3", NO_CATS, "loss weights changed"),
    ("epoch", EXPERIMENT, "n_epochs: [1, 2]", "n_epochs: [1, 3]", "config: new run (epochs=3)"),
    (
        "rate",
        EXPERIMENT,
        "seed: 3",
        "seed: 3\nhyperparameters: {batch_size: 8}",
        "hyperparameters.batch_size auto -> 8",
    ),
    ("seed", EXPERIMENT, "seed: 3", "seed: 4", "config: seed 3 -> 4"),
    ("grader", "conf/evals/exact.yaml", "type: label", "type: string_check", "graders changed"),
    ("base", EXPERIMENT, "model: tiny", "model: ftspec-scratch", "base: model tiny -> ftspec-scratch"),
]


@pytest.mark.parametrize(("file", "old", "new", "cause"), [s[1:] for s in STALE], ids=[s[0] for s in STALE])
def test_each_changed_input_is_named(demo: Any, file: str, old: str, new: str, cause: str) -> None:
    project = Project(demo.root)
    write_lock(make_plan(project, "demo"))
    change(demo, file, old, new)
    told = [str(change) for change in lock_state(make_plan(project, "demo")).changes]
    assert any(cause in text for text in told), told


def test_a_stale_lock_warns_refuses_and_is_written_anew(demo: Any) -> None:
    assert demo.call("lock", "demo").returncode == 0
    change(demo, "data/rows.jsonl", '"it purrs', '"it quietly purrs')
    checked = demo.call("lock", "demo", "--check")
    assert checked.returncode == 4, checked.stdout
    assert "data: rows of data/rows.jsonl changed" in checked.stderr
    warned = demo.call("plan", "demo")
    assert warned.returncode == 0
    assert "stale_lock" in warned.stderr
    assert "the lock is of the last run; `ftspec run demo` writes it anew" in warned.stderr
    assert "stale_lock" in demo.call("validate", "demo").stderr
    refused = demo.call("run", "demo", "--locked")
    assert refused.returncode == 4
    assert "ftspec lock demo" in refused.stderr
    assert not (demo.root / "runs" / "demo").exists()
    assert demo.call("lock").returncode == 0
    assert demo.call("lock", "--check").returncode == 0


def test_comments_key_order_margins_and_names_leave_the_lock_alone(demo: Any) -> None:
    assert demo.call("lock", "demo").returncode == 0
    before = (demo.root / "experiments" / "demo.lock.json").read_bytes()
    change(demo, EXPERIMENT, "seed: 3", "tags: [x]  # words\nbudget: {max_usd: 5}\nseed: 3")
    change(demo, "conf/evals/exact.yaml", "exact:\n", "exact:\n  compare: {margin: 0.1}\n")
    assert demo.call("lock", "demo", "--check").returncode == 0
    assert demo.call("lock", "demo").returncode == 0
    assert (demo.root / "experiments" / "demo.lock.json").read_bytes() == before


def test_conflicts_broken_and_newer_locks_are_told(demo: Any) -> None:
    path = demo.root / "experiments" / "demo.lock.json"
    missing = demo.call("lock", "--check")
    assert missing.returncode == 4
    assert "no_lock" in missing.stderr
    assert demo.call("lock").returncode == 0
    good = path.read_text()
    for text, code in (
        ("<<<<<<< HEAD\n" + good, "merge_conflict"),
        (good[:-20], "broken_file"),
        (good.replace('"schema":1', '"schema":99'), "newer_version"),
        (good.replace('"seed":3', '"seed":"x"'), "broken_file"),
    ):
        path.write_text(text)
        done = demo.call("lock", "--check")
        assert done.returncode == 65
        assert code in done.stderr
        assert "Traceback" not in done.stderr
    path.write_text("<<<<<<< HEAD\n")
    assert demo.call("lock").returncode == 0
    assert path.read_text() == good


def test_adding_a_run_adds_a_line(demo: Any) -> None:
    assert demo.call("lock").returncode == 0
    path = demo.root / "experiments" / "demo.lock.json"
    before = path.read_text().splitlines()
    change(demo, EXPERIMENT, "[1, 2]", "[1, 4, 2]")
    assert demo.call("lock").returncode == 0
    after = path.read_text().splitlines()
    assert len(after) == len(before) + 1
    assert set(before) < set(after)
    assert demo.json("lock", "--check")["locks"][0]["stale"] is False


def test_save_writes_overrides_and_nothing_else(demo: Any) -> None:
    done = demo.call("run", "demo", "seed=9", "hyperparameters.batch_size=8", "--save", "--only", "data")
    assert done.returncode == 0, done.stderr
    text = (demo.root / EXPERIMENT).read_text()
    assert "seed: 9" in text
    assert "hyperparameters: {batch_size: 8}" in text
    locked = lock(demo)
    assert {run.seed for run in locked.runs} == {9}
    assert locked.runs[0].hyperparameters["batch_size"] == 8
    swept = demo.call("run", "demo", "seed=1,2", "weights=all_messages", "--save", "--only", "data")
    assert swept.returncode == 65
    assert "left as it is" in swept.stderr
    assert (demo.root / EXPERIMENT).read_text() == text
    swept = demo.call("run", "demo", "seed=1,2", "--save", "--only", "data")
    assert swept.returncode == 0, swept.stderr
    assert len(lock(demo).runs) == 4
    fixed = demo.call("run", "demo", "hyperparameters.n_epochs=2", "--save", "--only", "data")
    assert fixed.returncode == 0, fixed.stderr
    assert {run.hyperparameters["n_epochs"] for run in lock(demo).runs} == {2}


def test_known_results_of_another_machine_stay(sweep: Any) -> None:
    path = sweep.root / "experiments" / "demo.results.json"
    before = path.read_bytes()
    shutil.rmtree(sweep.root / "runs")
    assert sweep.call("lock").returncode == 0
    assert path.read_bytes() == before
    change(sweep, EXPERIMENT, "[1, 2]", "[2]")
    assert sweep.call("lock").returncode == 0
    known = json.loads(path.read_text())
    assert [row["run"] for row in known["results"]] == ["epochs=2"]
    assert known["pick"] == []


def test_rows_of_a_file_that_several_sources_and_runs_read_are_added_up(demo: Any) -> None:
    kinds = Counter(json.loads(line)["label"] for line in (demo.root / "data" / "rows.jsonl").read_text().splitlines())
    where = "{{path: data/rows.jsonl, where: {{label: {}}}}}".format
    change(demo, EXPERIMENT, "[{path: data/rows.jsonl}]", f"[{where('cat')}, {where('dog')}]")
    change(demo, EXPERIMENT, "test: 12", f"test: {where('cow')}")
    change(demo, EXPERIMENT, "hyperparameters.n_epochs: [1, 2]", "dataset.sources.1.where.label: [[dog, cat], dog]")
    plan = make_plan(Project(demo.root), "demo")
    both, one = (sum(kinds[kind] for kind in held) for held in (("cat", "dog", "cow", "cat"), ("cat", "dog", "cow")))
    assert [[(s.path, s.rows) for s in run.prepared.sources] for run in plan.runs] == [
        [("data/rows.jsonl", both)],
        [("data/rows.jsonl", one)],
    ]
    locked = read_lock(lock_of(plan).to_bytes())
    assert [source.rows for source in locked.sources] == [both]
    assert [recipe.rows for recipe in locked.recipes] == [(both,), (one,)]
    assert [rows for run in locked.runs for _, rows in locked.sources_of(run.data).values()] == [both, one]
