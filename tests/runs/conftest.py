"""Small sealed run directories, made by the functions that `run` uses, without a training."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ftspec.runs.directory import Attempt, NewRun, RunDirectory, create_run
from ftspec.runs.seal import seal, seal_digest
from ftspec.storage import BlobStore, write_json


def write_scores(folder: Path, suite: str, attempt: Attempt | None, value: float = 0.5) -> None:
    """The files of a scored suite, sealed."""
    metrics = {"a.accuracy": {"value": value, "low": 0.1, "high": 0.9, "n": 5}}
    scores = {
        "schema": 1,
        "suite": suite,
        "eval": "sha256:" + "e" * 64,
        "primary": "a.accuracy",
        "arms": {"tuned": {"model": None, "metrics": metrics}},
        "attempt": seal_digest(attempt.path) if attempt else None,
    }
    (folder).mkdir(parents=True)
    (folder / "responses.jsonl").write_text('{"id":"1"}\n')
    write_json(folder / "scores.json", scores)
    seal(folder)


def finish(run: RunDirectory, weights: bytes, *, score: bool = True) -> Attempt:
    """One more attempt with a model of its own, sealed and scored."""
    blobs = BlobStore(run.path.parent.parent / ".store")
    attempt = run.open_attempt(fresh=True)
    sha256 = blobs.put_bytes(weights)
    blobs.link(sha256, attempt.path / "weights.npz")
    (attempt.path / "requests.jsonl").write_text('{"record":"intent","at":1000.5}\n')
    write_json(attempt.path / "model.json", {"model": "ft:x", "artifacts": {"weights": sha256}})
    write_json(attempt.path / "results.json", {"outcome": "succeeded", "valid_loss": 0.25})
    seal(attempt.path, run.sealed_outside())
    run.point_latest(attempt)
    if score:
        write_scores(run.evals("routing", "sha256:" + "e" * 64, attempt), "routing", attempt)
    return attempt


def plan_run(runs: Path, number: int = 1, *, commit: str | None = None) -> RunDirectory:
    """A run directory before its first attempt; `commit` is what another checkout would record."""
    blobs = BlobStore(runs / ".store")
    config = blobs.put_bytes(b"model: tiny\n")
    parts = {role: blobs.put_bytes(f"{role} of all\n".encode()) for role in ("train", "valid", "test")}
    facts = {
        "schema": 1,
        "experiment": "demo",
        "label": f"seed={number}",
        "point": {"seed": number},
        "digests": {"train": f"sha256:{number:012x}{'a' * 52}", "data": "sha256:" + "d" * 64},
        "data": {role: {"sha256": sha256, "rows": 1, "tokens": 1} for role, sha256 in parts.items()},
        "configs": [{"path": "experiments/demo.yaml", "sha256": config}],
        "git": {"commit": commit},
    }
    new = NewRun(
        experiment="demo",
        label=f"seed={number}",
        facts=facts,
        readme=f"# run {number}\n",
        config="model: tiny\n",
        hydra_config="model: tiny\n",
        overrides=json.dumps([f"seed={number}"]) + "\n",
        data={"train.jsonl": parts["train"], "valid.jsonl": parts["valid"]},
    )
    return create_run(runs, blobs, new)


@pytest.fixture
def make_runs(tmp_path: Path) -> Callable[..., Path]:
    """Build a `runs/` with finished runs and baselines."""

    def make(name: str = "runs", count: int = 2, *, commit: str | None = None) -> Path:
        runs = tmp_path / name
        for number in range(1, count + 1):
            finish(plan_run(runs, number, commit=commit), b"weights %d" % number)
        write_scores(runs / "demo" / "baselines" / "routing.eeeeeeeeeeee", "routing", None)
        return runs

    return make


@pytest.fixture
def finish_run() -> Callable[..., Attempt]:
    """See `finish`."""
    return finish


@pytest.fixture
def new_run() -> Callable[..., RunDirectory]:
    """See `plan_run`."""
    return plan_run
