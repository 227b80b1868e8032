"""The main job through real processes: train, score, do nothing the second time, survive SIGKILL, never train twice."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ftspec.spec.errors import UsageError
from ftspec.workflows.run import RunOptions

DemoFactory = Callable[..., Any]


def outcome(run: Any) -> Any:
    """What a run must show again; only the name of the tuned model is another one in another server."""
    arms = {suite: scores["arms"]["tuned"] for suite, scores in run["scores"].items()}
    return run["label"], run["valid_loss"], {s: {k: v for k, v in a.items() if k != "model"} for s, a in arms.items()}


def _cpu_of_children() -> float:
    """CPU seconds of all processes that were waited for: the load of the machine is not in them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_a_sweep_is_trained_scored_and_then_left_alone(demo: Any) -> None:
    first = demo.json("run", "demo")
    assert {run["label"]: run["status"] for run in first["runs"]} == {"epochs=1": "trained", "epochs=2": "trained"}
    assert len(demo.jobs()) == 2
    arms = {row["arm"] for row in first["baselines"]}
    assert arms == {"base", "few_shot", "majority"}
    before = demo.scores()
    spent = _cpu_of_children()
    second = demo.ftspec("run", "demo")
    assert _cpu_of_children() - spent < 6
    assert "nothing to do" in second.stdout
    assert second.returncode == 0
    assert demo.scores() == before
    assert len(demo.jobs()) == 2


def test_nothing_to_do_imports_neither_openai_nor_numpy(sweep: Any) -> None:
    code = (
        "import sys; from ftspec.cli.main import main; assert main(['run', 'demo']) == 0;"
        "print([m for m in ('openai', 'numpy', 'httpx2', 'starlette', 'rapidfuzz') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=sweep.root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_file_of_a_run_is_there_and_sealed(sweep: Any) -> None:
    run = next((sweep.root / "runs" / "demo").glob("epochs=1.*"))
    for name in ("README.md", "config.yaml", ".hydra/config.yaml", ".hydra/overrides.yaml", "run.json"):
        assert (run / name).is_file(), name
    for name in ("train.jsonl", "valid.jsonl", "rows.jsonl"):
        assert (run / "data" / name).is_file(), name
    attempt = run / "attempts" / "001"
    for name in ("env.json", "requests.jsonl", "events.jsonl", "metrics.jsonl", "checkpoints.json", "model.json"):
        assert (attempt / name).is_file(), name
    assert (run / "latest").resolve() == attempt.resolve()
    sealed = [attempt, *(run / "evals").iterdir(), *(sweep.root / "runs" / "demo" / "baselines").iterdir()]
    assert len(sealed) == 3
    if shutil.which("sha256sum"):
        for folder in sealed:
            assert subprocess.run(["sha256sum", "-c", "--quiet", "SEALED"], cwd=folder).returncode == 0
    for suite in sealed[1:]:
        assert {p.name for p in suite.iterdir()} == {
            "suite.yaml",
            "responses.jsonl",
            "grades.jsonl",
            "scores.json",
            "SEALED",
        }


def test_a_new_suite_scores_without_training(sweep: Any) -> None:
    (sweep.root / "conf" / "evals" / "exact.yaml").write_text(
        "exact:\n  graders:\n    animal: {type: string_check}\n    long: {type: regex, pattern: '.'}\n"
    )
    plan = sweep.json("plan", "demo")
    assert [run["action"] for run in plan["runs"]] == ["score", "score"]
    assert sweep.call("run", "demo").returncode == 0
    assert len(sweep.jobs()) == 2
    assert len(list((sweep.root / "runs" / "demo").glob("*/evals/*/SEALED"))) == 4


def test_scores_come_back_after_the_server_state_is_gone(sweep: Any) -> None:
    """A sealed run needs no server: its weights lie in the blob store."""
    shutil.rmtree(sweep.root / "runs" / ".embedded")
    (sweep.root / "runs" / ".store" / "responses.sqlite").unlink()
    (sweep.root / "conf" / "evals" / "exact.yaml").write_text("exact:\n  graders:\n    animal: {type: string_check}\n")
    done = sweep.call("run", "demo")
    assert done.returncode == 0, done.stderr
    assert sweep.jobs() == [] or len(sweep.jobs()) <= 2
    assert "nothing to do" in sweep.call("run", "demo").stdout


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_with_the_same_scores(sweep: Any) -> None:
    expected = sweep.json("run", "demo")
    runs = sweep.root / "runs"
    runs.rename(sweep.root / "reference")
    source = random.Random(1)
    killed = 0
    for _ in range(9):
        child = sweep.start("run", "demo")
        try:
            child.wait(timeout=source.uniform(0.3, 3.5))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
            killed += 1
        else:
            break
    assert killed >= 1
    assert sweep.ftspec("run", "demo").returncode == 0
    assert len(sweep.jobs()) == sweep.keys_posted() == 2
    again = sweep.json("run", "demo")
    assert [outcome(run) for run in again["runs"]] == [outcome(run) for run in expected["runs"]]
    assert again["baselines"] == expected["baselines"]


@pytest.mark.slow
def test_two_processes_on_one_experiment_train_each_run_once(demo: Any) -> None:
    children = [demo.start("run", "demo") for _ in range(2)]
    assert [child.wait(timeout=120) for child in children] == [0, 0]
    assert len(demo.jobs()) == demo.keys_posted() == 2
    assert "nothing to do" in demo.ftspec("run", "demo").stdout


def test_the_same_training_of_two_experiments_is_done_once(sweep: Any) -> None:
    text = (sweep.root / "experiments" / "demo.yaml").read_text()
    (sweep.root / "experiments" / "twin.yaml").write_text(text.replace("which animal", "what animal"))
    assert sweep.json("plan", "twin")["reused"] + sweep.json("plan", "twin")["to_score"] == 2
    assert sweep.call("run", "twin").returncode == 0
    assert len(sweep.jobs()) == 2


def test_overrides_on_the_command_line_are_runs_of_their_own(demo: Any) -> None:
    done = demo.json("run", "demo", "hyperparameters.n_epochs=1", "seed=3,4")
    assert len(done["runs"]) == 2
    assert len(demo.jobs()) == 2


def test_runs_of_one_training_are_one_comparison_and_no_runner_up(demo: Any) -> None:
    """Rows of one answer each: both policies learn the same tokens. Holm counted the training twice."""
    words = ("demo", "~sweep", "hyperparameters.n_epochs=1", "weights=assistant,last_assistant_message")
    done = demo.json("run", *words)
    first, second = done["runs"]
    assert first["train"] == second["train"]
    (told,), (same,) = first["comparisons"].values(), second["comparisons"].values()
    assert told == same
    assert told["family"] == 1
    assert done["pick"]["runner_up"] is None
    assert len(demo.jobs()) == 1
    assert "of the same training" not in demo.call("plan", *words).stdout


def test_a_rule_for_the_winner_that_nothing_meets_is_an_error(demo: Any) -> None:
    done = demo.call("run", "demo", "sweep.select.by=exact.animal.acuracy")
    assert done.returncode == 65
    assert "did you mean exact.animal.accuracy? [unknown_metric]" in done.stderr
    assert demo.call("plan", "demo", "sweep.select.by=exact").returncode == 0
    assert demo.call("plan", "demo", "sweep.select.by=exact.animal.accuracy").returncode == 0


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("dataset.split.validation=null", "no winner: valid_loss needs a validation part"),
        ("dataset.split.validation=6,8", "winner chosen by: valid_loss, though of different rows"),
        ("seed=1,2", "winner chosen by: valid_loss\n"),
    ],
)
def test_the_plan_says_where_the_rule_cannot_choose(demo: Any, override: str, said: str) -> None:
    assert said in demo.call("plan", "demo", override).stdout


def test_a_part_that_a_run_does_not_have(demo: Any) -> None:
    with pytest.raises(UsageError, match="a run has no part 'trian'"):
        RunOptions(only=("trian",))  # type: ignore[arg-type]


def test_a_job_that_fails_is_told_with_its_reason_and_tried_anew(make_demo: DemoFactory) -> None:
    demo = make_demo()
    text = (demo.root / "experiments" / "demo.yaml").read_text()
    (demo.root / "experiments" / "demo.yaml").write_text(text.replace("validation: 8, test: 12", "test: 12"))
    path = demo.root / "data" / "rows.jsonl"
    path.write_text(path.read_text().replace('"it purrs', '"' + "very " * 600 + "purrs", 1))
    done = demo.call("run", "demo")
    assert done.returncode == 65
    assert "512" in done.stderr
    assert demo.jobs() == []


def test_another_base_model_is_asked_anew(demo: Any) -> None:
    # An untrained model writes on until it may not.
    suite = demo.root / "conf" / "evals" / "exact.yaml"
    suite.write_text(suite.read_text() + "  request: {params: {max_completion_tokens: 8}}\n")

    def baselines(*overrides: str) -> dict[str, str]:
        assert demo.call("run", "demo", "--only", "baselines", *overrides).returncode == 0
        folders = (demo.root / "runs" / "demo" / "baselines").glob("*/SEALED")
        found = {folder.parent.name: json.loads((folder.parent / "scores.json").read_text()) for folder in folders}
        return {name: scores["arms"]["base"]["model"] for name, scores in found.items()}

    (short,) = first = baselines()
    assert first == {short: "ftspec-tiny-1"}
    both = baselines("model=ftspec-scratch")
    assert both == first | {f"{short}.ftspec-scratch": "ftspec-scratch"}
    assert all(one["done"] for one in demo.json("plan", "demo")["baselines"])
    assert baselines("model=ftspec-scratch,tiny") == both


def test_only_parts(demo: Any) -> None:
    assert demo.call("run", "demo", "--only", "data").returncode == 0
    assert len(list((demo.root / "runs" / "demo").glob("epochs=*/run.json"))) == 2
    assert demo.jobs() == []
    assert demo.call("run", "demo", "--only", "baselines").returncode == 0
    assert demo.jobs() == []
    assert len(list((demo.root / "runs" / "demo" / "baselines").glob("*/SEALED"))) == 1
    assert demo.call("run", "demo").returncode == 0


def test_read_only_runs_is_one_clear_message(demo: Any) -> None:
    (demo.root / "runs").write_text("a file where the folder should be")
    done = demo.ftspec("run", "demo")
    assert done.returncode == 75
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Give children a Ctrl-C that stops them: what a shell starts in the background ignores it, and so do its own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_stopped_by_a_signal_it_says_how_to_go_on(demo: Any) -> None:
    """SIGTERM, as a CI runner sends it, then Ctrl-C: both leave what the same command goes on with."""
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        child = subprocess.Popen(
            [sys.executable, "-m", "ftspec", "run", "demo"],
            cwd=demo.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with child:
            assert child.stderr is not None
            said = child.stderr.readline()  # its first line of progress
            child.send_signal(number)
            said += child.stderr.read()
        assert child.returncode == code, said
        assert "stopped; the same command goes on where it was" in said
        assert "Traceback" not in said
    assert not list(demo.root.rglob("*.tmp"))
    assert demo.ftspec("run", "demo").returncode == 0
    assert len(demo.jobs()) == 2


def test_stopped_while_the_event_loop_is_made_it_says_so_and_nothing_else(demo: Any) -> None:
    code = (
        "import asyncio.selector_events as events, sys\n"
        "def stop(loop): raise KeyboardInterrupt\n"
        "events.BaseSelectorEventLoop._make_self_pipe = stop\n"
        "from ftspec.cli.main import main\n"
        "sys.exit(main(['run', 'demo']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=demo.root, capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.splitlines()[-1] == "stopped; the same command goes on where it was"
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_disk_that_fills_up_while_training_ends_and_goes_on_once_there_is_room(demo: Any, small_disk: Path) -> None:
    shutil.copytree(demo.root, small_disk, dirs_exist_ok=True)
    full = type(demo)(small_disk)
    done = full.ftspec("run", "demo", "hyperparameters.n_epochs=1")
    assert done.returncode == 75, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "[internal]" not in done.stderr
    assert not list(small_disk.rglob("*.tmp"))
    subprocess.run(["mount", "-o", "remount,size=30m", str(small_disk)], check=True)
    again = full.ftspec("run", "demo", "hyperparameters.n_epochs=1")
    assert again.returncode == 0, again.stderr
    assert full.ftspec("verify").returncode == 0


@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_folder_that_cannot_be_entered_or_written_is_one_clear_message(demo: Any, mode: int) -> None:
    drop = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    if drop and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere")
    runs = demo.root / "runs"
    runs.mkdir()
    runs.chmod(mode)
    try:
        for verb in ("plan", "run", "ls"):
            done = subprocess.run(
                [*drop, sys.executable, "-m", "ftspec", verb, "demo"], cwd=demo.root, capture_output=True, text=True
            )
            assert done.returncode == (0 if mode == 0o555 and verb != "run" else 75), done.stderr
            if done.returncode:
                assert "Permission denied" in done.stderr
                assert "[no_permission]" in done.stderr
    finally:
        runs.chmod(0o755)
    assert not list(runs.iterdir())
