"""What DESIGN asks of `run` when the world misbehaves: killed at durable steps under faults, full disks, odd clocks."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NEVER = 0
ONE = """\
defaults: [config, override evals: [exact], _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ label }}"}]
  split: {validation: 4, test: 6}
hyperparameters: {n_epochs: 1}
"""

# `run` in a process that dies before its n-th fsync, while the provider misbehaves: 429, 409, 5xx, answers lost after
# the commit, bodies cut off.
DOOMED = """
import os, signal, sys
from dataclasses import replace
deadly, seed = int(sys.argv[1]), int(sys.argv[2])
from ftspec.providers.pace import LOCAL
from ftspec.server.faults import Fault, FaultPlan, FaultyApp
import ftspec.workflows.run as run

pace = replace(LOCAL, post_timeout=2.0, call_timeout=30.0, tries=12, retries=25, looks=(0.05, 0.1), backoff=0.01)
faults = (Fault.REJECT_503, Fault.CONFLICT_409, Fault.RATE_LIMIT_1, Fault.HTML_502, Fault.ERROR_200, Fault.COMMIT_500,
          Fault.COMMIT_HANG, Fault.CUT_BODY)
storm = FaultPlan(faults=faults, rate=0.3, seed=seed)
connect = run.connect
run.connect = lambda provider, *, state: connect(
    provider, state=state, pace=pace, wrap=lambda app: FaultyApp(app, storm)
)
fsync, count = os.fsync, 0

def dying(fd):
    global count
    count += 1
    if count == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(fd)

os.fsync = dying
from ftspec.cli.main import main
sys.exit(main(["run", "demo"]))
"""

# The command line in a process whose clock stands ten days back.
LATE = """
import sys, time
now, now_ns = time.time, time.time_ns
time.time = lambda: now() - 864000
time.time_ns = lambda: now_ns() - 864000 * 10**9
from ftspec.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def child(demo: Any, code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=demo.root, capture_output=True, text=True, timeout=180)


def results(demo: Any) -> Any:
    """What must come out the same, however it came about; a model's name is its server's."""
    run = demo.json("run", "demo")["runs"][0]
    arms = run["scores"]["exact"]["arms"]["tuned"]
    return run["valid_loss"], {key: value for key, value in arms.items() if key != "model"}


@pytest.mark.slow
def test_killed_at_durable_steps_in_a_storm(make_demo: Callable[..., Any]) -> None:
    demo = make_demo(24, ONE)
    deaths = 0
    for number, deadly in enumerate([10, 26, 45, *[NEVER] * 5]):
        done = child(demo, DOOMED, str(deadly), str(number))
        if done.returncode == 0:
            break
        # Killed, or parked by the storm: either way the same command goes on.
        assert done.returncode in (-signal.SIGKILL, 75), done.stderr
        assert "Traceback" not in done.stderr
        deaths += done.returncode == -signal.SIGKILL
    assert deaths >= 2
    assert demo.keys_posted() == len(demo.jobs()) == 1
    assert demo.json("verify")["intact"] is True
    assert "nothing to do" in demo.ftspec("run", "demo").stdout
    calm = make_demo_beside(demo)
    assert calm.ftspec("run", "demo").returncode == 0
    assert results(demo) == results(calm)


def make_demo_beside(demo: Any) -> Any:
    import shutil

    beside = type(demo)(demo.root.parent / "calm")
    shutil.copytree(demo.root, beside.root, ignore=shutil.ignore_patterns("runs", "*.lock.json", "*.results.json"))
    return beside


@pytest.mark.slow
def test_a_full_disk_loses_nothing(make_demo: Callable[..., Any], small_disk: Path) -> None:
    demo = make_demo(24, ONE)
    (demo.root / "runs").symlink_to(small_disk)
    full = demo.ftspec("run", "demo")
    assert full.returncode == 75, full.stdout + full.stderr
    assert "No space left" in full.stderr + full.stdout
    assert "Traceback" not in full.stderr
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    done = demo.ftspec("run", "demo")
    assert done.returncode == 0, done.stderr
    assert demo.json("verify")["intact"] is True
    assert demo.keys_posted() <= 2


@pytest.mark.slow
def test_a_clock_that_goes_back(make_demo: Callable[..., Any]) -> None:
    demo = make_demo(24, ONE)
    assert demo.ftspec("run", "demo", "--only", "train").returncode == 0
    for verb in (
        ["ls"],
        ["plan", "demo"],
        ["run", "demo"],
        ["run", "demo"],
        ["ls"],
        ["verify"],
        ["runs", "gc", "--yes"],
    ):
        done = child(demo, LATE, *verb)
        assert done.returncode == 0, (verb, done.stderr)
    assert demo.keys_posted() == len(demo.jobs()) == 1
    assert demo.json("verify")["intact"] is True
    (row,) = demo.json("ls")["runs"]
    assert (row["status"], len(row["scores"])) == ("trained", 1)
