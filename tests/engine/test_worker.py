"""Jobs end in the right status, with the same bits, whatever happens to their workers."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ftspec.engine.environment import environment
from ftspec.engine.job import slot_count
from ftspec.engine.launch import _children, _reap, launch
from ftspec.storage import FileLock, is_locked
from ftspec.wire.results_csv import parse_results

LONG = {"n_epochs": 50, "batch_size": 1, "learning_rate_multiplier": "auto"}


@pytest.fixture
def reference(jobs):
    """Digest of the default job, trained without any trouble."""
    return jobs.run(jobs.make("reference"))["weights_digest"]


def test_a_job_leaves_what_the_server_reads(jobs, tiny):
    folder = jobs.make("one", validation_file=jobs.file(json_rows(4), "file-valid"))
    state = jobs.run(folder)
    assert state["status"] == "succeeded"
    assert state["resolved"] == {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.1}
    assert state["error"] is None
    assert state["started_at"] <= state["finished_at"]
    assert state["fingerprint"]["base_digest"] == tiny.digest
    assert state["trained_tokens"] > state["loss_tokens"] > 0
    assert [entry["step"] for entry in state["checkpoints"]] == [5, 10]
    assert state["checkpoints"][-1]["digest"] == state["weights_digest"]
    for entry in state["checkpoints"]:
        assert (folder / entry["path"] / "weights.npz").exists()
        assert json.loads((folder / entry["path"] / "metrics.json").read_text())["digest"] == entry["digest"]
        assert "full_valid_loss" in entry["metrics"]
    events = jobs.events(folder)
    texts = [event["message"] for event in events if event["type"] == "message"]
    assert texts == [
        "Created fine-tuning job: ftjob-one",
        "Validating training file: file-one",
        "Validating validation file: file-valid",
        "Files validated, moving job to queued state",
        "Fine-tuning job started",
        "Checkpoint created at step 5",
        "Checkpoint created at step 10",
        "New fine-tuned model created: ft:ftspec-tiny-1:embedded::one",
        "The job has successfully completed",
    ]
    metrics = [event["data"] for event in events if event["type"] == "metrics"]
    assert [data["step"] for data in metrics] == list(range(1, 11))
    assert {data["total_steps"] for data in metrics} == {10}
    assert "valid_loss" in metrics[-1]
    assert "full_valid_loss" in metrics[4]
    assert "valid_loss" not in metrics[0]
    results = parse_results((folder / "results.csv").read_bytes())
    assert [row.step for row in results] == list(range(1, 11))
    assert results[0].train_loss == pytest.approx(metrics[0]["train_loss"], abs=1e-5)


def json_rows(n):
    roles = ("user", "assistant")
    return [{"messages": [{"role": role, "content": f"{role} {i}"} for role in roles]} for i in range(n)]


def test_two_processes_and_one_from_a_busy_parent_give_the_same_bits(jobs, reference):
    other = jobs.make("other")
    assert jobs.run(other)["weights_digest"] == reference
    third = jobs.make("third")
    code = (
        "import sys, numpy\nfrom pathlib import Path\nfrom ftspec.engine.launch import launch\n"
        "numpy.ones((300, 300)) @ numpy.ones((300, 300)); launch(Path(sys.argv[1]))"
    )
    parent = environment() | {"OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "5"}
    subprocess.run([sys.executable, "-c", code, str(third)], env=parent, check=True, timeout=60)
    jobs.until(lambda: jobs.state(third)["status"] == "succeeded")
    assert jobs.state(third)["weights_digest"] == reference


def test_another_seed_gives_other_bits(jobs, reference):
    assert jobs.run(jobs.make("seeded", seed=8))["weights_digest"] != reference


def test_a_killed_worker_s_job_ends_with_the_same_bits(jobs):
    hyper = {"n_epochs": 6, "batch_size": 2, "learning_rate_multiplier": "auto"}
    whole = jobs.run(jobs.make("whole", hyperparameters=hyper))
    folder = jobs.make("killed", hyperparameters=hyper)
    worker = jobs.worker(folder)
    jobs.until(lambda: jobs.steps(folder) > 25)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert jobs.state(folder)["status"] == "running"
    assert not is_locked(folder / "worker.lock")
    with (folder / "events.jsonl").open("ab") as stream:
        stream.write(b'{"torn')
    again = jobs.run(folder)
    assert again["status"] == "succeeded"
    assert again["weights_digest"] == whole["weights_digest"]
    assert jobs.steps(folder) == 60
    assert again["attempts"] == 2


def test_cancel_while_training(jobs):
    folder = jobs.make("cancel", hyperparameters=LONG)
    worker = jobs.worker(folder)
    jobs.until(lambda: jobs.steps(folder) > 2)
    (folder / "cancel").touch()
    assert worker.wait(20) == 0
    state = jobs.state(folder)
    assert state["status"] == "cancelled"
    assert state["trained_tokens"] > 0
    assert state["weights_digest"] is None
    assert jobs.steps(folder) < 1000
    assert jobs.events(folder)[-1]["message"] == "Fine-tuning job cancelled"


def test_cancel_before_training_needs_no_slot(jobs):
    folder = jobs.make("early")
    (folder / "cancel").touch()
    held = [FileLock(jobs.root / "slots" / f"{k}.lock") for k in range(slot_count())]
    assert all(lock.acquire() for lock in held)
    launch(folder)
    jobs.until(lambda: jobs.state(folder)["status"] == "cancelled")
    for lock in held:
        lock.release()


def test_pause_and_resume_give_the_same_bits(jobs):
    hyper = {"n_epochs": 6, "batch_size": 2, "learning_rate_multiplier": "auto"}
    whole = jobs.run(jobs.make("whole", hyperparameters=hyper))
    folder = jobs.make("paused", hyperparameters=hyper)
    worker = jobs.worker(folder)
    jobs.until(lambda: jobs.steps(folder) > 5)
    (folder / "pause").touch()
    jobs.until(lambda: jobs.state(folder)["status"] == "paused")
    steps = jobs.steps(folder)
    other = jobs.make("meanwhile")
    assert jobs.run(other)["status"] == "succeeded"
    assert jobs.steps(folder) == steps < 60
    (folder / "pause").unlink()
    assert worker.wait(30) == 0
    state = jobs.state(folder)
    assert state["status"] == "succeeded"
    assert state["weights_digest"] == whole["weights_digest"]


def test_pause_then_cancel(jobs):
    folder = jobs.make("both", hyperparameters=LONG)
    worker = jobs.worker(folder)
    jobs.until(lambda: jobs.steps(folder) > 2)
    (folder / "pause").touch()
    jobs.until(lambda: jobs.state(folder)["status"] == "paused")
    (folder / "cancel").touch()
    assert worker.wait(20) == 0
    assert jobs.state(folder)["status"] == "cancelled"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"id": "ftjob-other"}', '{"id": "ftjob-corrupt"}'])
def test_a_corrupt_job_fails_and_does_not_block_others(jobs, content):
    folder = jobs.make("corrupt")
    (folder / "job.json").write_text(content)
    healthy = jobs.make("healthy")
    assert jobs.run(folder)["status"] == "failed"
    assert jobs.state(folder)["error"]["code"] in ("broken_file", "internal_error")
    assert jobs.state(healthy)["status"] == "succeeded"


def test_bad_files_and_values_fail_with_code_and_param(jobs):
    good = json_rows(12)
    nine = jobs.make("nine", good[:9])
    broken = jobs.make("broken", b"{}\n" * 12)
    valid = jobs.make("valid", good, validation_file=jobs.file(b"x\n", "file-bad"))
    epochs = jobs.make("epochs", good, hyperparameters={"n_epochs": 99})
    digest = jobs.make("digest", good, base={"name": jobs.base.name, "digest": "0" * 64})
    outside = jobs.make("outside", good, training_file="../../etc/passwd")
    jobs.run(nine)
    errors = {folder.name[6:]: jobs.state(folder)["error"] for folder in (nine, broken, valid, epochs, digest, outside)}
    assert {name: (error["code"], error["param"]) for name, error in errors.items()} == {
        "nine": ("invalid_n_examples", "training_file"),
        "broken": ("invalid_training_file", "training_file"),
        "valid": ("invalid_validation_file", "validation_file"),
        "epochs": ("invalid_hyperparameters", "n_epochs"),
        "digest": ("digest_mismatch", None),
        "outside": ("broken_file", None),
    }
    assert "Example 1:" in errors["broken"]["message"]


def test_a_training_that_diverges_says_so(jobs):
    folder = jobs.make("diverges", hyperparameters={"n_epochs": 5, "batch_size": 1, "learning_rate_multiplier": 1e30})
    error = jobs.run(folder)["error"]
    assert (error["code"], error["param"]) == ("training_diverged", "learning_rate_multiplier")


def test_a_tuned_model_is_a_base_again(jobs, reference):
    first = jobs.root / "jobs" / "ftjob-reference"
    digest = jobs.state(first)["weights_digest"]
    for epoch in (None, 2):
        base = {"model": "ft:x", "job": "ftjob-reference", "epoch": epoch, "digest": digest}
        state = jobs.run(jobs.make(f"chained-{epoch}", base=base))
        assert state["status"] == "succeeded", state
        assert state["fingerprint"]["base_digest"] == digest
        assert state["weights_digest"] != digest


def test_the_ignored_mask_fault_is_real(jobs):
    rows = [
        {"messages": [*row["messages"], {"role": "assistant", "content": "x", "weight": 0}]} for row in json_rows(12)
    ]
    honest, broken = jobs.run(jobs.make("honest", rows)), jobs.run(jobs.make("faulty", rows, fault="mask_ignored"))
    assert broken["loss_tokens"] > honest["loss_tokens"]
    assert broken["trained_tokens"] == honest["trained_tokens"]


def test_one_worker_trains_whatever_is_queued_oldest_first(jobs):
    folders = [jobs.make(f"q{i}", created_at=1_700_000_000 - i) for i in range(3)]
    jobs.run(folders[0])
    assert all(jobs.state(folder)["status"] == "succeeded" for folder in folders)
    finished = [os.stat(folder / "results.csv").st_mtime_ns for folder in folders]
    assert finished[0] < finished[2] < finished[1]


def test_no_job_is_stranded_and_slots_bound_the_workers(jobs):
    folders = [jobs.make(f"s{i}") for i in range(5)]
    most = 0
    threads = [threading.Thread(target=launch, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline = time.monotonic() + 60
    while not all(jobs.state(folder)["status"] == "succeeded" for folder in folders):
        most = max(most, sum(jobs.state(folder)["status"] == "running" for folder in folders))
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert most <= slot_count()
    assert len({jobs.state(folder)["weights_digest"] for folder in folders}) == 1
    assert {jobs.state(folder)["attempts"] for folder in folders} == {1}


def test_threads_may_start_workers_at_once(jobs):
    ended = [subprocess.Popen([sys.executable, "-c", ""]) for _ in range(40)]
    for child in ended:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    _children.update(child.pid for child in ended)
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(_reap) for _ in range(64)]:
            done.result()
    assert not _children & {child.pid for child in ended}
    for child in ended:
        child.returncode = 0  # reaped above


def test_two_workers_never_share_a_job(jobs):
    folder = jobs.make("shared", hyperparameters={"n_epochs": 4, "batch_size": 1, "learning_rate_multiplier": 0.1})
    workers = [jobs.worker(folder) for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    state = jobs.state(folder)
    assert (state["status"], state["attempts"], jobs.steps(folder)) == ("succeeded", 1, 80)


def test_a_worker_outlives_its_parent_and_ctrl_c(jobs):
    folder = jobs.make("orphan")
    code = (
        "import os, sys, signal\nfrom pathlib import Path\nfrom ftspec.engine.launch import launch\n"
        "launch(Path(sys.argv[1])); os.killpg(os.getpgrp(), signal.SIGINT)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], start_new_session=True, capture_output=True, timeout=60)
    jobs.until(lambda: jobs.state(folder)["status"] == "succeeded")


def test_a_job_whose_worker_always_dies_fails_in_the_end(jobs):
    folder = jobs.make("dying")
    (folder / "state.json").write_text(json.dumps({"status": "running", "attempts": 20}))
    (folder / "stderr.log").write_text("Killed: out of memory\n")
    error = jobs.run(folder)["error"]
    assert error["code"] == "worker_died"
    assert "out of memory" in error["message"]


def test_modules_of_the_folder_it_is_started_in_are_not_the_workers(jobs, tmp_path):
    place = tmp_path / "project"
    place.mkdir()
    for name in ("numpy", "msgspec", "json"):
        (place / f"{name}.py").write_text("raise SystemExit('imported from the project')\n")
    folder = jobs.make("beside")
    code = "import sys\nfrom pathlib import Path\nfrom ftspec.engine.launch import launch\nlaunch(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-P", "-c", code, str(folder)], cwd=place, check=True)
    jobs.until(lambda: jobs.state(folder)["status"] == "succeeded")
