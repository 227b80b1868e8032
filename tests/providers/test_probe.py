"""The mask probe on the embedded engine, and what its counts mean."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.providers.connect import connect
from ftspec.providers.probe import CANARY, MARKER, MaskProbe, leak_bound, probe_mask, probe_rows, read_probe, verdict_of
from ftspec.spec.errors import ProviderError
from ftspec.spec.events import silent
from ftspec.spec.experiment import Provider
from ftspec.storage import BlobStore


def probed(root: Path, fault: str | None, **hyperparameters: Any) -> MaskProbe:
    def wrap(app: Any) -> Any:
        async def faulty(scope: Any, receive: Any, send: Any) -> None:
            await app(scope | {"ftspec.fault": fault}, receive, send)

        return faulty

    async def main() -> MaskProbe:
        async with asyncio.timeout(120), connect(Provider(), state=root / "state", environ={}, wrap=wrap) as connection:
            return await probe_mask(
                connection,
                "tiny",
                folder=root / "probe",
                blobs=BlobStore(root / "store"),
                emit=silent,
                hyperparameters={"n_epochs": 5, "batch_size": "auto", "learning_rate_multiplier": "auto"}
                | hyperparameters,
            )

    return asyncio.run(main())


@pytest.mark.slow
def test_the_embedded_engine_obeys_weights(tmp_path: Path) -> None:
    probe = probed(tmp_path, None)
    assert probe.verdict == "native", probe.sentence
    assert read_probe(tmp_path / "probe") == probe
    assert probe.n == 20
    assert "above 14%" in probe.sentence


@pytest.mark.slow
def test_an_engine_that_ignores_weights_is_found_out(tmp_path: Path) -> None:
    probe = probed(tmp_path, "mask_ignored")
    assert probe.verdict == "ignored", probe.sentence


def test_nothing_learnt_is_inconclusive(tmp_path: Path) -> None:
    probe = probed(tmp_path, None, n_epochs=1, learning_rate_multiplier=0.001)
    assert probe.verdict == "inconclusive", probe.sentence


def test_rows_mask_the_canary_alone() -> None:
    rows = [json.loads(line) for line in probe_rows().splitlines()]
    assert len(rows) == 20
    for row in rows:
        weights = {m["content"]: m["weight"] for m in row["messages"] if m["role"] == "assistant"}
        assert weights == {CANARY: 0, MARKER: 1}


@pytest.mark.parametrize(
    ("canary", "marker", "base", "verdict"),
    [
        (0, 20, 0, "native"),
        (2, 10, 0, "native"),
        (20, 20, 0, "ignored"),
        (10, 0, 0, "ignored"),
        (0, 9, 0, "inconclusive"),
        (5, 20, 0, "inconclusive"),
        (15, 20, 15, "native"),
        (15, 2, 15, "inconclusive"),
    ],
)
def test_verdicts(canary: int, marker: int, base: int, verdict: str) -> None:
    assert verdict_of(20, canary, marker, base) == verdict


def test_bounds() -> None:
    assert leak_bound(20, 0) == pytest.approx(1 - 0.05 ** (1 / 20))
    assert leak_bound(20, 20) == 1.0
    assert leak_bound(20, 1) == pytest.approx(0.2161, abs=1e-4)


def test_a_host_that_must_deploy_is_not_probed_by_halves(play: Any, place: Any) -> None:
    from ftspec.providers.profiles import load_profile

    async def deployed(p: Any, c: Any) -> None:
        await probe_mask(c, "tiny", folder=p.attempt("probe"), blobs=p.blobs, emit=silent)

    with pytest.raises(ProviderError, match="needs_deployment"):
        play(deployed, profile={"serve": load_profile("azure").serve})
    assert place.jobs() == []
