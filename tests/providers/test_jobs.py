"""A job from its first request to what it leaves behind, over the real server."""

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import pytest

from ftspec.providers.jobs import TrainResult
from ftspec.spec.errors import DataError, Exit, ProviderError, SpecError
from ftspec.spec.events import JobCreated, JobStatus, TrainStep
from ftspec.wire.results_csv import parse_results


def test_a_job_from_start_to_end(play: Any, place: Any, rows: Any) -> None:
    valid = rows(5, seed=9)
    (place.root / "valid.jsonl").write_bytes(valid)
    request = replace(
        place.request(), valid_file=place.root / "valid.jsonl", valid_sha256=hashlib.sha256(valid).hexdigest()
    )
    result: TrainResult = play(lambda p, c: p.train(c, request))
    assert result.status == "succeeded"
    assert result.model is not None
    assert "demo-" in result.model
    assert result.resolved == {"n_epochs": 2, "batch_size": 1, "learning_rate_multiplier": 0.1}
    assert result.error is None
    assert [c["step_number"] for c in result.checkpoints] == sorted(c["step_number"] for c in result.checkpoints)
    assert result.results_csv is not None
    assert [row.step for row in parse_results(result.results_csv)] == [1, 2, 3, 4]
    assert place.blobs.read(result.artifacts["weights"]).endswith(b"epoch 2")
    assert {m["name"] for m in result.metrics} == {"train_loss", "train_accuracy"}
    assert [m["step"] for m in result.metrics if m["name"] == "train_loss"] == [1, 2, 3, 4]
    ids = [event["id"] for event in result.events]
    assert len(ids) == len(set(ids))
    assert result.events[0]["message"].startswith("Created fine-tuning job")
    assert [e.step for e in place.events if isinstance(e, TrainStep)] == [1, 2, 3, 4]
    assert [e.adopted for e in place.events if isinstance(e, JobCreated)] == [False]
    assert [e.status for e in place.events if isinstance(e, JobStatus)][-1] == "succeeded"


def test_the_body_and_the_journal(play: Any, place: Any) -> None:
    play(lambda p, c: p.train(c))
    intent, *records = place.journal()
    assert intent["record"] == "intent"
    assert (intent["identity"], intent["project"]) == ("embedded", None)
    assert len(intent["key"]) == 32
    kinds = [(r["record"], r.get("of")) for r in records]
    assert kinds == [
        ("request", "file:train"),
        ("answer", "file:train"),
        ("request", "job"),
        ("answer", "job"),
        ("ended", None),
    ]
    body = records[2]["body"]
    assert body["method"] == {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": "auto", "learning_rate_multiplier": "auto"}},
    }
    assert body["seed"] == 7
    assert body["suffix"] == f"demo-{intent['key'][:8]}"
    assert body["metadata"]["ftspec_key"] == intent["key"]
    assert body["metadata"]["ftspec_attempt"] == "abababababab#001"
    assert body["metadata"]["team"] == "blue"
    (job,) = place.jobs()
    assert job["metadata"] == body["metadata"]
    assert job["idempotency_key"] == intent["key"]


def test_the_normalised_digest_is_the_same_in_every_attempt(play: Any, place: Any) -> None:
    async def twice(p: Any, c: Any) -> None:
        await p.train(c)
        other = replace(p.request(), attempt_id="abababababab#002", suffix=None)
        await p.train(c, other, "002")

    play(twice)
    first, second = (next(r for r in place.journal(n) if r.get("of") == "job") for n in ("001", "002"))
    assert first["sha256"] != second["sha256"]
    assert first["normalised_sha256"] == second["normalised_sha256"]
    assert len(place.files()) == 1
    assert len(place.jobs()) == 2


def test_the_same_call_again_adopts_the_job(play: Any, place: Any) -> None:
    async def again(p: Any, c: Any) -> tuple[TrainResult, TrainResult]:
        return await p.train(c), await p.train(c)

    first, second = play(again)
    assert first.job == second.job
    assert (first.events, first.metrics, first.artifacts) == (second.events, second.metrics, second.artifacts)
    assert place.posts("/fine_tuning/jobs") == 1
    assert place.posts("/files") == 1


def test_cancellation_leaves_the_job_running_and_the_next_call_adopts_it(play: Any, place: Any) -> None:
    async def interrupted(p: Any, c: Any) -> TrainResult:
        task = asyncio.create_task(p.train(c))
        while not any(isinstance(event, JobStatus) and event.status == "running" for event in p.events):
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert p.statuses() == ["running"]
        return await p.train(c)

    result = play(interrupted, seconds=0.5)
    assert result.status == "succeeded"
    assert place.posts("/fine_tuning/jobs") == 1
    assert place.posts("/cancel") == 0


def test_cancel_ends_it(play: Any, place: Any) -> None:
    async def stopped(p: Any, c: Any) -> Any:
        assert await p.cancel(c) is None
        task = asyncio.create_task(p.train(c))
        while not any(isinstance(event, JobStatus) and event.status == "running" for event in p.events):
            await asyncio.sleep(0.01)
        said = await p.cancel(c)
        return said, await task, await p.cancel(c)

    said, result, again = play(stopped, seconds=30)
    assert said in ("running", "cancelled")
    assert result.status == again == "cancelled"
    assert result.artifacts == {}


def test_a_failed_job_names_its_rows(play: Any, place: Any, rows: Any) -> None:
    result = play(lambda p, c: p.train(c, p.request(rows(3))))
    assert result.status == "failed"
    assert result.error["code"] == "invalid_n_examples"
    assert result.error["lines"] == []
    assert place.posts("/fine_tuning/jobs") == 1


def test_the_guard_rails_stand_before_the_request(play: Any, place: Any) -> None:
    hyperparameters = {"n_epochs": 3, "learning_rate_multiplier": 2e-5}
    with pytest.raises(SpecError) as caught:
        play(lambda p, c: p.train(c, p.request(hyperparameters=hyperparameters)))
    assert caught.value.code == "looks_absolute"
    assert place.posts("/fine_tuning/jobs") == 0


def test_altered_training_bytes_are_refused(play: Any, place: Any) -> None:
    request = place.request()
    request.train_file.write_bytes(b"other\n")
    with pytest.raises(DataError, match="altered_file"):
        play(lambda p, c: p.train(c, request))


def test_an_attempt_stays_with_its_account(play: Any, place: Any) -> None:
    play(lambda p, c: p.train(c))
    with pytest.raises(ProviderError) as caught:
        play(lambda p, c: p.train(replace(c, identity="https://api.example.com/v1#other")))
    assert caught.value.code == "other_account"
    with pytest.raises(DataError, match="other_training"):
        play(lambda p, c: p.train(c, p.request(train_digest="sha256:" + "cd" * 32)))


def test_a_model_that_does_not_exist_is_told_with_its_place(play: Any, place: Any) -> None:
    with pytest.raises(ProviderError) as caught:
        play(lambda p, c: p.train(c, p.request(model="gpt-9")))
    assert caught.value.code == "model_not_found"
    assert caught.value.exit_code is Exit.FAILED
    assert place.posts("/fine_tuning/jobs") == 1


def test_deleted_server_state_is_trained_anew(play: Any, place: Any) -> None:
    import shutil

    async def lost(p: Any, c: Any) -> tuple[TrainResult, TrainResult]:
        first = await p.train(c)
        shutil.rmtree(p.state)
        return first, await p.train(c)

    first, second = play(lost)
    assert first.job != second.job
    assert second.status == "succeeded"
    assert len(place.jobs()) == 1


def test_two_calls_at_once_make_one_job(play: Any, place: Any) -> None:
    async def both(p: Any, c: Any) -> Any:
        return await asyncio.gather(p.train(c), p.train(c))

    first, second = play(both)
    assert first.job == second.job
    assert place.posts("/fine_tuning/jobs") == 1


def test_twelve_runs_over_one_data_set_upload_it_once(play: Any, place: Any) -> None:
    async def sweep(p: Any, c: Any) -> Any:
        requests = [p.request(attempt_id=f"{n:012d}#001", seed=n) for n in range(12)]
        return await asyncio.gather(*(p.train(c, r, f"{n:03d}") for n, r in enumerate(requests)))

    results = play(sweep)
    assert len({result.job for result in results}) == 12
    assert place.posts("/files") == 1
    assert place.posts("/fine_tuning/jobs") == 12


def test_a_detached_job_is_adopted_later(play: Any, place: Any) -> None:
    async def detached(p: Any, c: Any) -> tuple[str, str, TrainResult]:
        return await p.start(c), await p.start(c), await p.train(c)

    first, second, result = play(detached)
    assert first == second == result.job
    assert place.posts("/fine_tuning/jobs") == 1
