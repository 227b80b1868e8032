from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.wire.errors import BadAnswer
from ftspec.wire.ids import checkpoint_model_id, derived_id, new_id, split_checkpoint, tuned_model_id
from ftspec.wire.responses import Checkpoint, Event, File, Job, ModelInfo, in_step_order

REAL = {
    "object": "fine_tuning.job",
    "id": "ftjob-1",
    "model": "gpt-4o-mini-2024-07-18",
    "created_at": 1734000000,
    "finished_at": None,
    "fine_tuned_model": None,
    "organization_id": "org",
    "result_files": None,
    "status": "failed",
    "validation_file": None,
    "training_file": "file-1",
    "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8},
    "trained_tokens": None,
    "error": {},
    "user_provided_suffix": None,
    "seed": 7,
    "estimated_finish": None,
    "integrations": [],
    "usage_metrics": None,
    "shared_with_openai": False,
}


def test_a_real_job():
    job = Job.read(REAL)
    assert (job.status, job.terminal, job.known, job.error, job.result_files) == ("failed", True, True, None, ())
    assert job.hyperparameters["learning_rate_multiplier"] == 1.8


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, None),
        ({"code": None, "message": None, "param": None}, None),
        ({"code": "invalid_training_file", "message": "m", "param": "training_file"}, "invalid_training_file"),
        ({"code": 7, "message": "m"}, "7"),
    ],
)
def test_errors_of_jobs(error, expected):
    job = Job.read({**REAL, "error": error})
    assert (job.error.code if job.error else None) == expected


def test_hyperparameters_from_either_place():
    options = {"hyperparameters": {"n_epochs": 2, "beta": 0.1, "batch_size": None}}
    for top in (None, {"n_epochs": 9}):
        job = Job.read({**REAL, "hyperparameters": top, "method": {"type": "dpo", "dpo": options}})
        assert job.hyperparameters == {"n_epochs": 2, "beta": 0.1}
    assert Job.read({**REAL, "hyperparameters": None}).hyperparameters == {}
    assert Job.read({**REAL, "method": {"type": "supervised"}}).hyperparameters["n_epochs"] == 3


@pytest.mark.parametrize("status", ["pausing", "pending", "compressing", "", "SUCCEEDED"])
def test_unknown_words_are_not_terminal(status):
    job = Job.read({**REAL, "status": status})
    assert not job.terminal
    assert not job.known


@pytest.mark.parametrize("kind", [Job, Event, Checkpoint, File, ModelInfo])
@pytest.mark.parametrize("raw", ["<html>", None, [], 3, {}, {"id": None}, {"id": 3}, {"id": ""}])
def test_what_is_no_answer(kind, raw):
    with pytest.raises(BadAnswer):
        kind.read(raw)


def test_an_error_body_with_a_success_status_keeps_its_code():
    with pytest.raises(BadAnswer) as caught:
        Job.read({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})
    assert caught.value.code == "rate_limit_exceeded"


def test_events_and_checkpoints():
    event = Event.read({"id": "ft-event-1", "created_at": 1.5, "type": "metrics", "data": {"step": 3, "x": "y"}})
    assert (event.created_at, event.metrics, event.data["x"]) == (1, {"step": 3}, "y")
    assert Event.read({"id": "e", "data": None, "type": None}).metrics == {}
    raw = {"id": "ftckpt_2", "step_number": 20, "fine_tuned_model_checkpoint": "ft:m"}
    second = Checkpoint.read({**raw, "metrics": {"valid_loss": None, "train_loss": 1}})
    first = Checkpoint.read({**raw, "id": "ftckpt_1", "step_number": 3, "metrics": None})
    assert second.metrics == {"train_loss": 1}
    assert in_step_order([second, first]) == [first, second]


@given(st.dictionaries(st.sampled_from(list(REAL)), st.none() | st.integers() | st.text() | st.lists(st.none())))
def test_any_change_gives_a_job_or_a_bad_answer(changes):
    with suppress(BadAnswer):
        assert Job.read({**REAL, **changes}).id


def test_names():
    name = tuned_model_id("base", "ftjob-1", "a.b c/ü:d")
    assert name.startswith("ft:base:embedded:a-b-c---d:")
    assert len(name.rpartition(":")[2]) == 8
    assert "::" in tuned_model_id("base", "ftjob-1", None)
    assert split_checkpoint(checkpoint_model_id(name, 12)) == (name, 12)
    assert split_checkpoint(name) == (name, None)
    assert len({new_id("f-") for _ in range(1000)}) == 1000
    assert derived_id("x_", "a", 1) == derived_id("x_", "a", 1) != derived_id("x_", "a", 2)
