"""The gradient, the cache and the loss mask, in float64 where numbers are compared."""

import numpy as np
import pytest

from ftspec.engine.fingerprint import digest
from ftspec.engine.model import Cache, Config, Parameters, forward, initialize, loss_and_gradient, normals
from ftspec.engine.optimizer import AdamW

SMALL = Config(vocabulary=20, width=16, layers=2, heads=2, hidden=32, context=32, dtype="float64")


@pytest.fixture
def model():
    """Weights with gains and gates moved off their special start values."""
    parameters = initialize(SMALL, "test")
    parameters.flat[parameters.matrices :] += 0.3 * normals(parameters.size - parameters.matrices, "gates")
    return parameters


@pytest.fixture
def batch():
    r = np.random.default_rng(0)
    return r.integers(0, 20, (3, 9)), r.integers(0, 2, (3, 9)).astype(float)


def test_gradient_equals_central_differences(model, batch):
    gradient = Parameters(SMALL)
    loss_and_gradient(model, *batch, gradient)
    r = np.random.default_rng(1)
    places = [int(i) for name in model.views for i in r.choice(model[name].size, 12) + _start(model, name)]
    worst = 0.0
    for i in places:
        old, step = model.flat[i], 3e-5
        model.flat[i] = old + step
        high = loss_and_gradient(model, *batch).loss
        model.flat[i] = old - step
        low = loss_and_gradient(model, *batch).loss
        model.flat[i] = old
        worst = max(worst, abs((high - low) / (2 * step) - gradient.flat[i]) / (1e-5 + abs(gradient.flat[i])))
    assert worst < 1e-5


def _start(model, name):
    return (model[name].__array_interface__["data"][0] - model.flat.__array_interface__["data"][0]) // 8


def test_cache_equals_the_full_pass(model, batch):
    ids = batch[0][:1]
    full, _ = forward(model, ids, np.arange(9))
    cache = Cache(SMALL)
    parts = [forward(model, ids[:, :5], np.arange(5), cache)[0]]
    parts += [forward(model, ids[:, i : i + 1], np.arange(1), cache)[0] for i in range(5, 9)]
    assert np.abs(np.concatenate(parts) - full).max() < 1e-12


def test_selected_rows_equal_those_of_the_full_pass(model, batch):
    ids = batch[0]
    full, _ = forward(model, ids, np.arange(27))
    some, _ = forward(model, ids, np.array([3, 11, 26]))
    assert np.abs(some - full[[3, 11, 26]]).max() < 1e-12


def test_tokens_behind_the_last_target_change_nothing(model, batch):
    ids, weights = batch
    weights[:, 6:] = 0
    one, two = Parameters(SMALL), Parameters(SMALL)
    first = loss_and_gradient(model, ids, weights, one)
    other = ids.copy()
    other[:, 6:] = (other[:, 6:] + 7) % 20
    assert loss_and_gradient(model, other, weights, two) == first
    assert np.array_equal(one.flat, two.flat)


def test_weight_0_gives_a_gradient_of_exactly_zero(model, batch):
    """A row without weight beside one with: the gradient is that of the other row alone, at its unseen tokens zero."""
    ids, weights = batch
    ids[0], ids[1:] = ids[0] % 10, ids[1:] % 10 + 10
    weights[0], weights[1:] = 1, 0
    both = Parameters(SMALL)
    loss_and_gradient(model, ids, weights, both)
    perturbed = ids.copy()
    perturbed[1:] = (perturbed[1:] + 3) % 10 + 10
    again = Parameters(SMALL)
    loss_and_gradient(model, perturbed, weights, again)
    assert np.array_equal(both.flat, again.flat)


def test_the_loss_is_that_of_the_weighted_message_alone(model, batch):
    ids, weights = batch
    weights[:] = 0
    weights[1, 4:7] = 1
    one = loss_and_gradient(model, ids, weights)
    assert one.loss == pytest.approx(loss_and_gradient(model, ids[1:2], weights[1:2]).loss, abs=1e-12)
    assert one.weight == 3
    assert loss_and_gradient(model, ids, weights * 2).loss == pytest.approx(one.loss, abs=1e-12)


def test_a_batch_without_weight_is_refused(model, batch):
    with pytest.raises(ValueError, match="weight"):
        loss_and_gradient(model, batch[0], batch[1] * 0)


def test_padding_changes_nothing(model, batch):
    ids, weights = batch
    padded = np.pad(ids, ((0, 0), (0, 4)))
    assert loss_and_gradient(model, padded, np.pad(weights, ((0, 0), (0, 4)))).loss == pytest.approx(
        loss_and_gradient(model, ids, weights).loss, abs=1e-12
    )


def test_adamw_equals_its_formula(model):
    before, gradient = model.flat.copy(), Parameters(SMALL, normals(model.size, "g") * 3)
    g = gradient.flat.copy()
    norm = AdamW(model).step(model, gradient, 0.01)
    assert norm == pytest.approx(np.linalg.norm(g))
    g /= norm
    decay = np.where(np.arange(model.size) < model.matrices, 1 - 0.01 * 0.01, 1.0)
    m, v = 0.1 * g / (1 - 0.9), 0.05 * g * g / (1 - 0.95)
    assert np.abs(model.flat - (before * decay - 0.01 * m / (np.sqrt(v) + 1e-8))).max() < 1e-12


def test_initial_weights_are_fixed_for_ever():
    parameters = initialize(Config(vocabulary=30, width=8, layers=1, heads=2, hidden=16), "golden")
    assert digest(parameters) == "f6dcb8dbe65d95a0fa4c1e688439ef85172de71e3b412d064b2ba5709e53ab83"
    assert normals(50_000, "n").mean() == pytest.approx(0, abs=0.02)
    assert normals(50_000, "n").std() == pytest.approx(1, abs=0.02)


def test_the_shipped_size():
    assert Parameters(Config(vocabulary=964)).size == 714_496
