"""The real engine behind the client: a training that outlives its caller, and the same bits again."""

import asyncio
import hashlib
import json
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest

from ftspec.providers.connect import connect
from ftspec.providers.jobs import TrainRequest, TrainResult, train
from ftspec.spec.events import Event, JobCreated, JobStatus, TrainStep
from ftspec.spec.experiment import Provider
from ftspec.storage import BlobStore


def request_of(root: Path, **hyperparameters: Any) -> TrainRequest:
    rows = []
    for i in range(12):
        colour = ["red", "blue"][i % 2]
        messages = [{"role": "user", "content": f"item {i}"}, {"role": "assistant", "content": colour}]
        rows.append(json.dumps({"messages": messages}))
    content = ("\n".join(rows) + "\n").encode()
    path = root / "train.jsonl"
    path.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    return TrainRequest(
        subject="run",
        train_digest="sha256:" + "cd" * 32,
        attempt_id="cdcdcdcdcdcd#001",
        model="tiny",
        method="supervised",
        hyperparameters={"n_epochs": 1, "learning_rate_multiplier": 0.2} | hyperparameters,
        seed=3,
        suffix=None,
        metadata={},
        train_file=path,
        train_sha256=sha256,
        valid_file=None,
        valid_sha256=None,
    )


def trained(root: Path, events: list[Event], **hyperparameters: Any) -> TrainResult:
    root.mkdir(exist_ok=True)
    (root / "attempt").mkdir(exist_ok=True)

    async def main() -> TrainResult:
        async with asyncio.timeout(90), connect(Provider(), state=root / "state", environ={}) as connection:
            return await train(
                connection,
                request_of(root, **hyperparameters),
                attempt=root / "attempt",
                blobs=BlobStore(root / "store"),
                emit=events.append,
            )

    return asyncio.run(main())


def test_the_same_training_twice_gives_the_same_bits(tmp_path: Path) -> None:
    events: list[Event] = []
    one, two = (trained(tmp_path / name, events) for name in ("a", "b"))
    assert one.status == two.status == "succeeded"
    assert one.job != two.job
    assert one.weights_digest is not None
    assert one.weights_digest == two.weights_digest
    assert one.artifacts == two.artifacts
    assert one.fingerprint == two.fingerprint
    assert one.metrics == two.metrics
    kinds = [type(event) for event in events]
    assert kinds.index(TrainStep) < len(kinds) - 1
    assert isinstance(events[-1], JobStatus)


@pytest.mark.slow
def test_a_killed_caller_leaves_a_job_that_trains_on(tmp_path: Path) -> None:
    def fatal(event: Event) -> None:
        if isinstance(event, TrainStep):
            os.kill(os.getpid(), signal.SIGKILL)

    class Fatal(list[Event]):
        def append(self, event: Event) -> None:
            fatal(event)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            trained(tmp_path, Fatal(), n_epochs=50)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    events: list[Event] = []
    result = trained(tmp_path, events, n_epochs=50)
    assert result.status == "succeeded"
    assert [event.adopted for event in events if isinstance(event, JobCreated)] == [True]
    assert len(list((tmp_path / "state" / "jobs").glob("*/job.json"))) == 1
    steps = [metric["step"] for metric in result.metrics if metric["name"] == "train_loss"]
    assert steps == list(range(1, len(steps) + 1))
