"""The order of rows is fixed for ever, and planning imports no numpy."""

import pytest

from ftspec.engine.plan import Hyper, auto_batch, n_steps, plan, rate_at, resolve_auto
from ftspec.engine.streams import Stream
from ftspec.spec.errors import DataError


@pytest.mark.parametrize(
    ("seed", "epoch", "golden"),
    [
        (0, 0, [[7, 4, 1, 9], [8, 2, 3, 0], [6, 5]]),
        (7, 1, [[9, 4, 1, 2], [5, 3, 7, 8], [6, 0]]),
        (2147483647, 2, [[5, 9, 0, 3], [1, 8, 2, 7], [4, 6]]),
    ],
)
def test_golden_order(seed, epoch, golden):
    assert plan(10, Hyper(3, 4, 0.1, seed), epoch) == golden


@pytest.mark.parametrize("n", [1, 7, 64, 100])
@pytest.mark.parametrize("batch", [1, 3, 8, 256])
def test_each_row_once_an_epoch(n, batch):
    hyper = Hyper(3, batch, 0.1, 5)
    epochs = [plan(n, hyper, epoch) for epoch in range(3)]
    for batches in epochs:
        assert sorted(i for rows in batches for i in rows) == list(range(n))
        assert all(len(rows) == batch for rows in batches[:-1])
    assert sum(map(len, epochs)) == n_steps(n, hyper)
    assert n < 5 or epochs[0] != epochs[1]


@pytest.mark.parametrize(
    ("n", "epochs", "batch"),
    [(10, 10, 1), (20, 5, 1), (50, 3, 1), (100, 3, 1), (300, 3, 4), (900, 3, 8), (10_000, 2, 8)],
)
def test_auto_table(n, epochs, batch):
    assert resolve_auto(n, {"n_epochs": "auto", "batch_size": None}, 3) == Hyper(epochs, batch, 0.1, 3)
    assert auto_batch(n) == batch


def test_explicit_values_win():
    asked = {"n_epochs": 2, "batch_size": 5, "learning_rate_multiplier": 0.3}
    assert resolve_auto(1000, asked, 1) == Hyper(2, 5, 0.3, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_epochs": 0},
        {"n_epochs": 51},
        {"n_epochs": 2.0},
        {"n_epochs": True},
        {"batch_size": 257},
        {"batch_size": "4"},
        {"learning_rate_multiplier": 0},
        {"learning_rate_multiplier": float("nan")},
        {"learning_rate_multiplier": float("inf")},
        {"learning_rate_multiplier": True},
    ],
)
def test_values_outside_the_limits_are_refused(wrong):
    with pytest.raises(DataError) as caught:
        resolve_auto(100, wrong, 1)
    assert caught.value.code == "invalid_hyperparameters"
    assert caught.value.problems[0].path == next(iter(wrong))


def test_the_rate_rises_then_stays():
    hyper = Hyper(1, 1, 0.1, 0)
    assert rate_at(1, 0.005, hyper) == pytest.approx(0.00005)
    assert rate_at(10, 0.005, hyper) == rate_at(500, 0.005, hyper) == pytest.approx(0.0005)


def test_streams_are_fixed_for_ever():
    r = Stream("golden", 1)
    assert [r.below(1000) for _ in range(6)] == [583, 594, 943, 129, 178, 882]
    assert sorted(Stream(2).shuffle(list(range(20)))) == list(range(20))
    assert len(set(Stream(3).sample(range(50), 20))) == 20
    assert all(0 <= Stream("u", i).uniform() < 1 for i in range(50))


def test_planning_imports_no_numpy(pinned):
    modules = "tokenizer template counter plan bases rows environment job launch protocol streams mixture pretrain"
    modules += " worker generator"
    code = (
        "import sys,importlib\n"
        f"for name in '{modules}'.split(): importlib.import_module('ftspec.engine.'+name)\n"
        "from ftspec.engine.counter import TinyCounter; TinyCounter().count(['x'])\n"
        "print('numpy' in sys.modules)"
    )
    assert pinned(code) == "False\n"
