"""The loop does what the plan says: steps, checkpoints, counts, cancelling."""

import tempfile
from pathlib import Path

import pytest

from ftspec.engine.builtin import Builtin
from ftspec.engine.loop import train
from ftspec.engine.plan import Hyper, n_steps
from ftspec.engine.protocol import Checkpoint, ModelRef, Sampling, Step
from ftspec.engine.template import render_row

TINY = ModelRef(base="tiny")


@pytest.fixture(scope="module")
def engine():
    return Builtin()


@pytest.fixture
def fine_tune(engine, tiny, tmp_path):
    """Train rows; returns (result, emitted items, state of the final weights)."""

    def run(rows, hyper, valid=(), ref=TINY, cancelled=lambda: False):
        encoded = [[render_row(tiny.tokenizer, row) for row in part] for part in (rows, valid)]
        emitted = []
        out = Path(tempfile.mkdtemp(dir=tmp_path))
        result = train(engine, ref, *encoded, hyper, out, emitted.append, cancelled)
        state = engine.load(ModelRef(weights=out / f"epoch-{len(result.checkpoints)}" / "weights.npz"))
        return result, emitted, state

    return run


def test_steps_and_checkpoints_are_what_the_plan_says(fine_tune, tasks):
    rows, hyper = tasks.rows("intent", 25), Hyper(3, 4, 0.1, 1)
    result, emitted, _ = fine_tune(rows, hyper, valid=tasks.rows("intent", 20, seed=1))
    steps = [item for item in emitted if isinstance(item, Step)]
    checkpoints = [item for item in emitted if isinstance(item, Checkpoint)]
    assert len(steps) == n_steps(25, hyper) == 21
    assert [step.step for step in steps] == list(range(1, 22))
    assert [c.step for c in checkpoints] == [7, 14, 21]
    assert result.digest == checkpoints[-1].digest
    assert len({c.digest for c in checkpoints}) == 3
    assert [step.step for step in steps if "valid_loss" in step.metrics] == [10, 20, 21]
    assert [step.step for step in steps if "full_valid_loss" in step.metrics] == [7, 14, 21]
    assert steps[0].lr < steps[8].lr < steps[9].lr == steps[20].lr == pytest.approx(0.0005)


def test_token_counts(fine_tune, tasks, tiny):
    rows = tasks.rows("intent", 20)
    result, _, _ = fine_tune(rows, Hyper(2, 8, 0.1, 1))
    encoded = [render_row(tiny.tokenizer, row) for row in rows]
    assert result.trained_tokens == 2 * sum(len(row.ids) for row in encoded)
    assert result.loss_tokens == 2 * sum(sum(row.weights) for row in encoded)


def test_a_vanishing_rate_leaves_the_base(fine_tune, tasks, engine):
    _, _, state = fine_tune(tasks.rows("intent", 12), Hyper(1, 4, 1e-30, 0))
    held = tasks.rows("intent", 5, held=True)
    for row in held:
        prompt = engine.encode(state, row["messages"][:-1], generation_prompt=True)
        answers = [engine.generate(s, prompt.ids, Sampling(limit=30))[0].text for s in (state, engine.load(TINY))]
        assert answers[0] == answers[1]


def test_cancelling_stops_between_steps(fine_tune, tasks, engine, tiny, tmp_path):
    asked = iter([False] * 4 + [True])
    rows = [render_row(tiny.tokenizer, row) for row in tasks.rows("intent", 12)]
    emitted = []
    result = train(engine, TINY, rows, [], Hyper(3, 4, 0.1, 0), tmp_path, emitted.append, lambda: next(asked))
    assert result.cancelled
    assert result.digest is None
    assert len(result.steps) == 4
    assert len(result.checkpoints) == 1


def test_a_row_without_weight_cannot_be_trained(fine_tune):
    row = {"messages": [{"role": "user", "content": "a"}]}
    with pytest.raises(ValueError, match="weight"):
        fine_tune([row] * 4, Hyper(1, 4, 0.1, 0))
