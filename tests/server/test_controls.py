import asyncio

import openai
import pytest

from ftspec.storage import FileLock, read_json


async def at(s, helpers, status):
    """A job in this state; `queued` has no worker."""
    job = await s.client.fine_tuning.jobs.create(
        model="tiny", training_file=await helpers.upload(s, n=5 if status == "failed" else 40)
    )
    if status == "queued":
        await s.launcher.stop()
        return job.id
    if status == "succeeded":
        await helpers.until(s, job.id, "succeeded")
        return job.id
    await helpers.until(s, job.id, "failed" if status == "failed" else "running")
    if status in ("paused", "cancelled"):
        await s.http.post(f"fine_tuning/jobs/{job.id}/{'pause' if status == 'paused' else 'cancel'}")
        await helpers.until(s, job.id, status)
    return job.id


FINAL = {
    ("queued", "cancel"): "cancelled",
    ("running", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
    ("cancelled", "cancel"): "cancelled",
    ("queued", "pause"): "paused",
    ("running", "pause"): "paused",
    ("paused", "pause"): "paused",
    ("queued", "resume"): "succeeded",
    ("running", "resume"): "succeeded",
    ("paused", "resume"): "succeeded",
}


@pytest.mark.parametrize("action", ["cancel", "pause", "resume"])
@pytest.mark.parametrize("status", ["queued", "running", "paused", "succeeded", "failed", "cancelled"])
def test_each_control_in_each_state_and_twice(play, helpers, status, action):
    async def scenario(s):
        job = await at(s, helpers, status)
        final = FINAL.get((status, action))
        for _ in range(2):
            answer = await s.http.post(f"fine_tuning/jobs/{job}/{action}")
            if final is None:
                assert answer.status_code == 400
                assert answer.json()["error"]["code"] == "invalid_job_state"
            else:
                assert answer.status_code == 200, answer.text
                assert answer.json()["id"] == job
        assert (await helpers.until(s, job, final or status))["status"] == (final or status)

    play(scenario, seconds=0.3 if status != "succeeded" else 0.02)


def test_a_queued_job_ends_at_once_and_keeps_its_events(play, helpers):
    async def scenario(s):
        job = await at(s, helpers, "queued")
        answer = await s.client.fine_tuning.jobs.cancel(job)
        assert answer.status == "cancelled"
        assert answer.finished_at is not None
        events = (await s.client.fine_tuning.jobs.list_events(job)).data
        assert [e.message.split(":")[0] for e in events] == ["Fine-tuning job cancelled", "Created fine-tuning job"]
        s.launcher.launch(s.state / "jobs" / job)
        await asyncio.sleep(0.05)
        assert read_json(s.state / "jobs" / job / "state.json")["status"] == "cancelled"

    play(scenario, seconds=30)


def test_a_worker_that_dies_after_cancel_leaves_no_hanging_job(play, helpers):
    async def scenario(s):
        job = await at(s, helpers, "running")
        lock = FileLock(s.state / "jobs" / job / "worker.lock")
        await s.launcher.stop()
        assert lock.acquire()
        assert (await s.client.fine_tuning.jobs.cancel(job)).status == "running"  # the worker is asked
        lock.release()
        assert (await s.client.fine_tuning.jobs.retrieve(job)).status == "cancelled"

    play(scenario, seconds=30)


def test_pause_holds_the_clock(play, helpers):
    async def scenario(s):
        job = await at(s, helpers, "running")
        await s.http.post(f"fine_tuning/jobs/{job}/pause")
        await helpers.until(s, job, "paused")
        await asyncio.sleep(0.4)
        assert (await s.http.get(f"fine_tuning/jobs/{job}")).json()["status"] == "paused"
        await s.http.post(f"fine_tuning/jobs/{job}/resume")
        assert (await helpers.until(s, job))["status"] == "succeeded"

    play(scenario, seconds=0.2)


def test_a_second_attempt_has_events_of_its_own(play, helpers):
    async def scenario(s):
        job = await at(s, helpers, "running")
        first = [e.id async for e in s.client.fine_tuning.jobs.list_events(job)]
        await s.launcher.stop()
        await asyncio.sleep(2.05)
        await helpers.until(s, job, "running", "succeeded")
        await asyncio.sleep(0.05)
        second = [e.id async for e in s.client.fine_tuning.jobs.list_events(job, limit=2)]
        assert set(first) & set(second) == {first[-1]}
        behind = await s.http.get(f"fine_tuning/jobs/{job}/events", params={"after": first[0]})
        assert [event["id"] for event in behind.json()["data"]] == [first[-1]]
        last = await s.http.get(f"fine_tuning/jobs/{job}/events", params={"after": first[-1]})
        assert last.json() == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}

    play(scenario, seconds=0.5)


def test_unknown_jobs_are_404(play):
    async def scenario(s):
        for job in ("ftjob-no", "..", "a.b", "x" * 200):
            for path in ("", "/events", "/checkpoints"):
                assert (await s.http.get(f"fine_tuning/jobs/{job}{path}")).status_code == 404
        with pytest.raises(openai.NotFoundError) as caught:
            await s.client.fine_tuning.jobs.cancel("ftjob-no")
        assert caught.value.code == "not_found"

    play(scenario)
