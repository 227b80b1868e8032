"""Weights on disk: identity, refusals, the shipped base and its recipe."""

import json

import numpy as np
import pytest

from ftspec.engine.bases import names, resolve
from ftspec.engine.checkpoint import load, load_base, save
from ftspec.engine.fingerprint import digest, numerics
from ftspec.engine.pretrain import main as pretrain
from ftspec.spec.errors import DataError
from ftspec.storage import sha256_file


@pytest.fixture(scope="module")
def weights():
    return load_base(resolve("tiny"))


def test_the_shipped_files_are_those_of_the_card(tiny, weights):
    card = json.loads((tiny.folder / "base.json").read_text())
    for name, expected in card["files"].items():
        assert sha256_file(tiny.folder / name) == expected
    assert digest(weights) == card["digest"] == tiny.digest
    assert (tiny.folder / "weights.npz").stat().st_size < 1_600_000


def test_what_is_saved_is_read_back(weights, tmp_path):
    saved = save(weights, tmp_path / "w.npz", base="ftspec-tiny-1")
    base, read = load(tmp_path / "w.npz", saved)
    assert base.name == "ftspec-tiny-1"
    assert np.array_equal(read.flat, weights.flat)
    assert saved == digest(weights)
    first = (tmp_path / "w.npz").read_bytes()
    save(weights, tmp_path / "w.npz", base="ftspec-tiny-1")
    assert (tmp_path / "w.npz").read_bytes() == first


def test_the_identity_is_the_values_not_the_archive(weights):
    other = weights.copy()
    assert digest(other) == digest(weights)
    other.flat[0] += 1
    assert digest(other) != digest(weights)


def test_wrong_weights_are_refused(weights, tmp_path):
    path = tmp_path / "w.npz"
    save(weights, path, base="ftspec-tiny-1")
    with pytest.raises(DataError, match="digest"):
        load(path, "0" * 64)
    path.write_bytes(path.read_bytes()[:-5000])
    cases = {"torn": path}
    np.savez(tmp_path / "shape.npz", base_name=np.array("ftspec-tiny-1"), e=np.zeros(3))
    np.savez(tmp_path / "nameless.npz", e=np.zeros(3))
    np.savez(tmp_path / "pickled.npz", base_name=np.array("ftspec-tiny-1"), e=np.array([{}], dtype=object))
    arrays = weights.views | {"g": weights["g"] * np.nan, "base_name": np.array("ftspec-tiny-1")}
    np.savez(tmp_path / "nan.npz", **arrays)
    cases |= {name: tmp_path / f"{name}.npz" for name in ("shape", "nameless", "pickled", "nan", "missing")}
    for name, case in cases.items():
        with pytest.raises(DataError) as caught:
            load(case)
        assert caught.value.code == "broken_weights", name


def test_unknown_models_name_the_known_ones():
    with pytest.raises(DataError, match="tiny, ftspec-tiny-1, ftspec-scratch") as caught:
        resolve("gpt-4o")
    assert caught.value.code == "unknown_model"
    assert names() == ("tiny", "ftspec-tiny-1", "ftspec-scratch")
    assert resolve("tiny") is resolve("ftspec-tiny-1")


def test_scratch_is_random_but_always_the_same(pinned):
    code = (
        "from ftspec.engine.bases import resolve;from ftspec.engine.checkpoint import load_base;"
        "from ftspec.engine.fingerprint import digest;print(digest(load_base(resolve('ftspec-scratch'))))"
    )
    assert pinned(code).strip() == digest(load_base(resolve("ftspec-scratch")))
    assert resolve("ftspec-scratch").digest != resolve("tiny").digest


@pytest.mark.slow
def test_the_first_steps_of_the_recipe_give_the_recorded_weights(tiny, tmp_path, capfd):
    """The merges and 20 steps, made again in this process: bits only where the numerics are equal, else the loss."""
    assert pretrain(["--out", str(tmp_path), "--steps", "20", "--check", str(tiny.folder)]) == 0, capfd.readouterr().out
    assert (tmp_path / "merges.json").read_bytes() == (tiny.folder / "merges.json").read_bytes()
    assert numerics()["numpy"]
