"""Training learns what it should, and nothing where there is nothing to learn; trained and asked in pinned processes.

Held-out rows have values never seen in training. Bars are set below the measured range: one standard error of a score
on 100 rows is up to 5 points.
"""

import json
import subprocess
import sys

import pytest

from ftspec.engine.environment import environment
from ftspec.engine.streams import Stream

BASE = {"base": "tiny"}


@pytest.fixture
def tune(jobs):
    """Train rows in a worker; returns the model for the generator, and the metrics of the last checkpoint."""
    made = []

    def run(rows, epochs=3, batch=4, multiplier=0.1, valid=None):
        name = f"tuned-{len(made)}"
        hyper = {"n_epochs": epochs, "batch_size": batch, "learning_rate_multiplier": multiplier}
        validation = None if valid is None else jobs.file(valid, f"file-valid-{len(made)}")
        folder = jobs.make(name, rows, hyperparameters=hyper, validation_file=validation, seed=0)
        made.append(folder)
        state = jobs.run(folder)
        assert state["status"] == "succeeded", state
        last = state["checkpoints"][-1]
        return {"weights": str(folder / last["path"] / "weights.npz"), "digest": last["digest"]}, last["metrics"]

    return run


def exact(model, rows):
    """Share of rows whose last message the model writes exactly."""
    requests = [{"model": model, "messages": row["messages"][:-1], "temperature": 0, "limit": 60} for row in rows]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    command = [sys.executable, "-m", "ftspec.engine.generator"]
    done = subprocess.run(command, input=lines.encode(), env=environment(), capture_output=True, timeout=300)
    answers = [json.loads(line)["choices"][0]["text"] for line in done.stdout.splitlines()]
    wanted = [row["messages"][-1]["content"] for row in rows]
    return sum(answer == want for answer, want in zip(answers, wanted, strict=True)) / len(rows)


def test_twenty_rows_are_memorised(tune):
    r = Stream("memorise")
    pairs = [(f"key {i}", f"{r.below(1000):03}") for i in range(20)]
    rows = [{"messages": [{"role": "user", "content": k}, {"role": "assistant", "content": v}]} for k, v in pairs]
    model, metrics = tune(rows, epochs=40, multiplier=0.2)
    assert exact(model, rows) >= 0.95
    assert metrics["train_loss"] < 0.1


def test_intent_is_learnt_and_the_base_does_not_know_it(tune, tasks):
    held = tasks.rows("intent", 100, held=True)
    assert exact(BASE, held) <= 0.05
    assert exact(tune(tasks.rows("intent", 300))[0], held) >= 0.80


def test_permuted_labels_teach_nothing(tune, tasks):
    rows, held = tasks.rows("intent", 200), tasks.rows("intent", 100, held=True)
    labels = Stream("permute").shuffle([row["messages"][-1] for row in rows])
    shuffled = [{"messages": [*row["messages"][:-1], label]} for row, label in zip(rows, labels, strict=True)]
    assert exact(tune(shuffled, epochs=2)[0], held) <= 0.45


@pytest.mark.slow
@pytest.mark.parametrize(("task", "bar"), [("tool", 0.85), ("json", 0.20), ("date", 0.40)])
def test_bars_after_three_epochs(tune, tasks, task, bar):
    held = tasks.rows(task, 100, held=True)
    assert exact(BASE, held) <= 0.05
    assert exact(tune(tasks.rows(task, 300))[0], held) >= bar


@pytest.mark.slow
def test_abstention_is_learnt_and_costs_no_answers(tune, tasks):
    held = tasks.rows("domain", 150, held=True)
    abstain = [row for row in held if row["messages"][-1]["content"] == tasks.UNKNOWN]
    answer = [row for row in held if row["messages"][-1]["content"] != tasks.UNKNOWN]
    assert exact(BASE, abstain) == 0
    before = exact(BASE, answer)
    model, _ = tune(tasks.rows("domain", 300))
    assert exact(model, abstain) >= 0.70
    assert exact(model, answer) >= max(0.80, before)


@pytest.mark.slow
def test_rate_batch_and_mask_matter(tune, tasks):
    rows, held, valid = tasks.rows("tool", 200), tasks.rows("tool", 50, held=True), tasks.rows("tool", 40, seed=1)
    usual, masked = tune(rows, epochs=1, valid=valid)
    score = exact(usual, held)
    assert exact(tune(rows, epochs=1, multiplier=0.02)[0], held) < score
    assert exact(tune(rows, epochs=1, batch=32)[0], held) < score
    unmasked = [{"messages": [message | {"weight": 1} for message in row["messages"]]} for row in rows]
    _, all_tokens = tune(unmasked, epochs=1, valid=valid)
    assert all_tokens["full_valid_loss"] > masked["full_valid_loss"]


@pytest.mark.slow
def test_too_many_epochs_overfit(tune, tasks):
    rows, valid = tasks.rows("tool", 50), tasks.rows("tool", 40, seed=1)
    few, many = (tune(rows, epochs=epochs, batch=1, valid=valid)[1] for epochs in (3, 10))
    assert many["full_valid_loss"] > few["full_valid_loss"]
    assert many["train_loss"] < 0.05
