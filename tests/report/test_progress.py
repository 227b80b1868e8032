"""Progress consumes events: redrawn lines on a terminal, plain lines elsewhere."""

import io
import os
import pty
import subprocess
import sys

from ftspec.report.progress import LiveDisplay, PlainDisplay
from ftspec.spec.events import (
    Answered,
    Event,
    Notice,
    Planned,
    RunFinished,
    Scored,
    StageFinished,
    StageStarted,
    TrainStep,
)

EVENTS: list[Event] = [
    Planned(experiment="demo", runs=2, to_train=2, reused=0),
    StageStarted(subject="epochs=1", stage="train", total=4),
    *(TrainStep(subject="epochs=1", step=i, total_steps=4, train_loss=2.0 / i) for i in range(1, 5)),
    StageFinished(subject="epochs=1", stage="train", seconds=1.0),
    Answered(subject="epochs=1", suite="exact/tuned", done=3, total=12),
    Scored(subject="epochs=1", suite="exact", metric="a.accuracy", value=0.5, low=0.2, high=0.8, n=12),
    Notice(level="warning", code="x", message="control \x1b[2J characters", subject="epochs=1"),
    RunFinished(subject="epochs=1", outcome="trained", seconds=2.0),
    RunFinished(subject="epochs=2", outcome="failed", message="why"),
]


def test_plain_lines_are_few_and_inert() -> None:
    stream = io.StringIO()
    with PlainDisplay(stream) as show:
        for event in EVENTS:
            show(event)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "demo: 2 of 2 runs to train, 0 reused"
    assert "epochs=1  train 4/4  loss 0.500" in lines
    assert "epochs=1  exact a.accuracy 0.50 [0.20-0.80] on 12 items" in lines
    assert "\x1b" not in stream.getvalue()


def test_the_live_display_takes_every_event() -> None:
    with LiveDisplay() as show:
        for event in EVENTS:
            show(event)


def test_reused_runs_are_counted_once() -> None:
    with LiveDisplay() as show:
        show(Planned(experiment="demo", runs=3, to_train=1, reused=2))
        for label, outcome in (("epochs=1", "reused"), ("epochs=2", "reused"), ("epochs=3", "trained")):
            show(RunFinished(subject=label, outcome=outcome, seconds=1.0))
        show(StageStarted(subject="epochs=4", stage="train", total=4))
        assert str(show._render()).startswith(" 3/3")


def test_on_a_terminal_progress_is_redrawn_in_place() -> None:
    code = (
        "from ftspec.cli.terminal import is_live; from ftspec.report.progress import display; import sys, time\n"
        "from ftspec.spec.events import Planned, StageStarted, TrainStep\n"
        "assert is_live()\n"
        "with display(is_live()) as show:\n"
        "    show(Planned(experiment='demo', runs=2, to_train=2, reused=0))\n"
        "    show(StageStarted(subject='epochs=1', stage='train', total=40))\n"
        "    for i in range(1, 9):\n"
        "        show(TrainStep(subject='epochs=1', step=i, total_steps=40, train_loss=3.0 / i)); time.sleep(0.1)\n"
    )
    main, side = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR")} | {"TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, "-c", code], stdout=side, stderr=side, env=environment)
    os.close(side)
    seen = b""
    try:
        while chunk := os.read(main, 4096):
            seen += chunk
    except OSError:  # Linux answers EIO when the other side has closed
        pass
    os.close(main)
    assert process.wait() == 0, seen.decode()
    text = seen.decode()
    assert "0/2  epochs=1   train" in text
    assert "eta 0:0" in text
    assert "loss 3.00" in text
