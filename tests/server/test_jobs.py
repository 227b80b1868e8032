import asyncio
import base64

import openai
import pytest

from ftspec.storage import read_json, write_json
from ftspec.wire.responses import Checkpoint, Event, File, Job, in_step_order
from ftspec.wire.results_csv import parse_results


def test_a_job_from_upload_to_weights(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        job = await s.client.fine_tuning.jobs.create(
            model="tiny",
            training_file=file,
            suffix="route.v1",
            seed=7,
            metadata={"ftspec_key": "k"},
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        )
        assert job.status == "queued"
        assert job.fine_tuned_model is None
        assert job.hyperparameters.n_epochs == 2
        assert job.hyperparameters.batch_size == "auto"
        assert job.model == "ftspec-tiny-1"
        await helpers.until(s, job.id)
        job = await s.client.fine_tuning.jobs.retrieve(job.id)
        assert job.status == "succeeded"
        assert job.hyperparameters.batch_size == 1
        assert job.method.supervised.hyperparameters.n_epochs == 2
        assert job.fine_tuned_model.startswith("ft:ftspec-tiny-1:embedded:route-v1:")
        assert job.trained_tokens == 80
        assert Job.read(job).metadata == {"ftspec_key": "k"}
        csv, weights = job.result_files
        raw = (await s.client.files.content(csv)).content
        assert base64.b64decode(raw).startswith(b"step,train_loss,train_accuracy")
        assert [row.step for row in parse_results(raw)] == [1, 2, 3, 4]
        assert (await s.client.files.content(weights)).content == f"{job.id} epoch 2".encode()
        for name in (csv, weights):
            info = File.read(await s.client.files.retrieve(name))
            assert info.purpose == "fine-tune-results"
            assert info.bytes == len((await s.client.files.content(name)).content)
        listed = await s.client.files.list(purpose="fine-tune-results")
        assert {item.id for item in listed.data} == {csv, weights}
        return job

    play(scenario)


def test_events_and_checkpoints(play, helpers):
    async def scenario(s):
        job = await s.client.fine_tuning.jobs.create(
            model="tiny", training_file=await helpers.upload(s), hyperparameters={"n_epochs": 3}
        )
        first = await s.client.fine_tuning.jobs.list_events(job.id)
        assert first.data[-1].message == f"Created fine-tuning job: {job.id}"
        await helpers.until(s, job.id)
        job = await s.client.fine_tuning.jobs.retrieve(job.id)
        events = [Event.read(e) async for e in s.client.fine_tuning.jobs.list_events(job.id, limit=3)]
        assert len({event.id for event in events}) == len(events) == 3 + 1 + 6 + 2
        assert events[0].message == "The job has successfully completed"
        assert events[-1].message.startswith("Created fine-tuning job")
        assert [e.metrics["step"] for e in reversed(events) if e.metrics] == [1, 2, 3, 4, 5, 6]
        listed = [c async for c in s.client.fine_tuning.jobs.checkpoints.list(job.id, limit=2)]
        assert [c.step_number for c in listed] == [6, 4, 2]
        assert listed[0].fine_tuned_model_checkpoint == job.fine_tuned_model
        assert listed[1].fine_tuned_model_checkpoint == f"{job.fine_tuned_model}:ckpt-step-4"
        assert [c.step_number for c in in_step_order([Checkpoint.read(c) for c in listed])] == [2, 4, 6]
        names = [model.id async for model in s.client.models.list()]
        for checkpoint in listed:
            assert checkpoint.fine_tuned_model_checkpoint in names
            got = await s.client.models.retrieve(checkpoint.fine_tuned_model_checkpoint)
            assert got.shutdown_date is None
            answer = await s.client.chat.completions.create(
                model=checkpoint.fine_tuned_model_checkpoint, messages=[{"role": "user", "content": "x"}]
            )
            assert answer.choices[0].message.content == "1 messages"
            assert s.generator.requests[-1]["model"]["weights"].endswith(
                f"epoch-{checkpoint.step_number // 2}/weights.npz"
            )

    play(scenario)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
def test_paging_of_jobs_events_and_files(play, helpers, count):
    """0, 1, limit, limit + 1 and 3 * limit items."""

    async def scenario(s):
        file = await helpers.upload(s)
        ids = []
        for number in range(count):
            metadata = {"even": "yes"} if number % 2 == 0 else None
            ids.append((await s.client.fine_tuning.jobs.create(model="tiny", training_file=file, metadata=metadata)).id)
        jobs = [job.id async for job in s.client.fine_tuning.jobs.list(limit=3)]
        assert jobs == ids[::-1]
        even = [job.id async for job in s.client.fine_tuning.jobs.list(limit=3, metadata={"even": "yes"})]
        assert even == ids[::2][::-1]
        none = [job.id async for job in s.client.fine_tuning.jobs.list(limit=3, extra_query={"metadata": "null"})]
        assert none == ids[1::2][::-1]
        for number in range(count):
            await helpers.upload(s, seed=number + 1)
        files = [item.filename async for item in s.client.files.list(limit=3, order="asc", purpose="fine-tune")]
        assert files == [f"train-{number}.jsonl" for number in range(count + 1)]
        assert [f.filename async for f in s.client.files.list(limit=3, purpose="fine-tune")] == files[::-1]

    play(scenario, seconds=30)


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("fine_tuning/jobs?after=ftjob-nothing", "after"),
        ("fine_tuning/jobs?limit=0", "limit"),
        ("fine_tuning/jobs?limit=x", "limit"),
        ("fine_tuning/jobs?limit=-1", "limit"),
        ("fine_tuning/jobs?limit=99999999999999999999999", "limit"),
        ("fine_tuning/jobs?status=running", "status"),
        ("fine_tuning/jobs?metadata=x", "metadata"),
        ("files?after=file-nothing", "after"),
        ("files?limit=10001", "limit"),
        ("files?order=up", "order"),
        ("fine_tuning/jobs/JOB/events?after=x", "after"),
        ("fine_tuning/jobs/JOB/events?after=ftevent-JOB-1-99999", "after"),
        ("fine_tuning/jobs/JOB/checkpoints?after=x", "after"),
    ],
)
def test_bad_queries_are_400(play, helpers, path, param):
    async def scenario(s):
        job = await s.client.fine_tuning.jobs.create(model="tiny", training_file=await helpers.upload(s))
        answer = await s.http.get(path.replace("JOB", job.id))
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param

    play(scenario, seconds=30)


def test_the_event_tail_gets_each_event_once_while_new_ones_arrive(play, helpers):
    async def scenario(s):
        job = await s.client.fine_tuning.jobs.create(
            model="tiny", training_file=await helpers.upload(s), hyperparameters={"n_epochs": 20}
        )
        seen = []
        while True:
            over = (await s.client.fine_tuning.jobs.retrieve(job.id)).status == "succeeded"
            fresh = []
            async for event in s.client.fine_tuning.jobs.list_events(job.id, limit=2):
                if event.id in seen:
                    break
                fresh.append(event.id)
                await asyncio.sleep(0)
            seen += fresh[::-1]
            if over:
                break
            await asyncio.sleep(0.005)  # in process nothing else waits
        assert len(seen) == len(set(seen)) == 1 + 3 + 40 + 2
        assert [int(name.rpartition("-")[2]) for name in seen] == list(range(len(seen)))

    play(scenario, seconds=0.5)


def test_a_restart_finds_everything_and_trains_the_orphan_to_its_end(play, helpers, tmp_path):
    async def before(s):
        file = await helpers.upload(s)
        done = await s.client.fine_tuning.jobs.create(model="tiny", training_file=file)
        await helpers.until(s, done.id)
        orphan = await s.client.fine_tuning.jobs.create(model="tiny", training_file=file)
        await helpers.until(s, orphan.id, "running")
        await s.launcher.stop()
        return file, done.id, orphan.id

    file, done, orphan = play(before, seconds=0.5)

    async def after(s):
        assert (await s.client.files.retrieve(file)).id == file
        assert (await s.client.fine_tuning.jobs.retrieve(done)).status == "succeeded"
        assert s.launcher.launches == 1  # recovered at the start, not polled
        assert (await helpers.until(s, orphan))["status"] == "succeeded"
        assert [job.id async for job in s.client.fine_tuning.jobs.list()] == [orphan, done]

    play(after, seconds=0.05)


def test_a_polled_orphan_is_launched_again_but_not_at_each_poll(play, helpers):
    async def scenario(s):
        job = await s.client.fine_tuning.jobs.create(model="tiny", training_file=await helpers.upload(s))
        await helpers.until(s, job.id, "running")
        await s.launcher.stop()
        before = s.launcher.launches
        for _ in range(50):
            await s.client.fine_tuning.jobs.retrieve(job.id)
        assert s.launcher.launches == before  # launched less than two seconds ago
        assert (await helpers.until(s, job.id))["status"] == "succeeded"
        assert s.launcher.launches == before + 1

    play(scenario, seconds=0.3)


def test_idempotency_key(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        body = {"model": "tiny", "training_file": file, "extra_headers": {"Idempotency-Key": "one"}}
        first = await s.client.fine_tuning.jobs.create(**body)
        assert (await s.client.fine_tuning.jobs.create(**body)).id == first.id
        with pytest.raises(openai.ConflictError) as caught:
            await s.client.with_options(max_retries=5).fine_tuning.jobs.create(**body, seed=3)
        assert caught.value.code == "idempotency_key_reused"
        assert caught.value.response.headers["x-should-retry"] == "false"
        assert helpers.posts(s.state, "/jobs") == 3
        other = await s.client.fine_tuning.jobs.create(**{**body, "extra_headers": {"Idempotency-Key": "two"}})
        assert other.id != first.id
        header = {"Idempotency-Key": "file"}
        one = await s.client.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune", extra_headers=header)
        two = await s.client.files.create(file=("a.jsonl", b"{}"), purpose="fine-tune", extra_headers=header)
        assert one.id == two.id
        with pytest.raises(openai.ConflictError):
            await s.client.files.create(file=("a.jsonl", b"[]"), purpose="fine-tune", extra_headers=header)
        return first.id

    first = play(scenario, seconds=30)

    async def again(s):
        found = [job.id async for job in s.client.fine_tuning.jobs.list()]
        assert first in found
        assert len(found) == 2

    play(again, seconds=30)


def test_two_apps_on_one_folder_honour_one_key(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        async with helpers.served(s.state, seconds=30) as other:
            create = {"model": "tiny", "training_file": file, "extra_headers": {"Idempotency-Key": "k"}}
            sides = [s if number % 2 else other for number in range(10)]
            jobs = await asyncio.gather(*(side.client.fine_tuning.jobs.create(**create) for side in sides))
            assert len({job.id for job in jobs}) == 1
            assert [job.id async for job in other.client.fine_tuning.jobs.list()] == [jobs[0].id]

    play(scenario, seconds=30)


def test_a_cancelled_request_commits_whole_or_not_at_all(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        body = {"model": "tiny", "training_file": file, "metadata": {"k": "v"}}
        for number in range(30):
            task = asyncio.ensure_future(s.client.fine_tuning.jobs.create(**body))
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        jobs = [job async for job in s.client.fine_tuning.jobs.list(metadata={"k": "v"})]
        for job in jobs:
            assert job.status in ("queued", "validating_files", "running")
            assert read_json(s.state / "jobs" / job.id / "job.json")["training_file"] == f"files/{file}/content"

    play(scenario, seconds=30)


def test_a_failed_job_names_its_error(play, helpers):
    async def scenario(s):
        job = await s.client.fine_tuning.jobs.create(model="tiny", training_file=await helpers.upload(s, n=9))
        await helpers.until(s, job.id)
        job = await s.client.fine_tuning.jobs.retrieve(job.id)
        assert (job.status, job.error.code, job.error.param) == ("failed", "invalid_n_examples", "training_file")
        assert job.result_files == []
        assert job.fine_tuned_model is None

    play(scenario)


def test_a_tuned_model_and_its_checkpoint_are_bases_again(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        job = await s.client.fine_tuning.jobs.create(model="tiny", training_file=file, hyperparameters={"n_epochs": 2})
        model = (await helpers.until(s, job.id))["fine_tuned_model"]
        second = await s.client.fine_tuning.jobs.create(model=model, training_file=file, suffix="b")
        record = read_json(s.state / "jobs" / second.id / "job.json")
        assert record["base"]["job"] == job.id
        assert record["base"]["epoch"] is None
        assert record["base"]["digest"]
        assert record["fine_tuned_model"].startswith("ft:ftspec-tiny-1:embedded:b:")
        assert second.model == model
        third = await s.client.fine_tuning.jobs.create(model=f"{model}:ckpt-step-2", training_file=file)
        assert read_json(s.state / "jobs" / third.id / "job.json")["base"]["epoch"] == 1
        await s.client.models.delete(model)
        for call in (s.client.models.retrieve(model), s.client.models.delete(model)):
            with pytest.raises(openai.NotFoundError) as caught:
                await call
            assert caught.value.code == "model_not_found"
        with pytest.raises(openai.NotFoundError):
            await s.client.fine_tuning.jobs.create(model=model, training_file=file)
        with pytest.raises(openai.PermissionDeniedError):
            await s.client.models.delete("tiny")

    play(scenario)


def test_job_create_is_checked(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        cases = [
            ({}, "model", "missing_required_parameter"),
            ({"model": "tiny", "training_file": file, "n_epochs": 3}, "n_epochs", "unsupported_parameter"),
            ({"model": "tiny", "training_file": "file-no"}, "training_file", "file_not_found"),
            ({"model": "tiny", "training_file": "../x"}, "training_file", "file_not_found"),
            ({"model": "nope", "training_file": file}, "model", "model_not_found"),
            ({"model": "ft:nope", "training_file": file}, "model", "model_not_found"),
            ({"model": "tiny", "training_file": file, "validation_file": file}, "validation_file", "invalid_value"),
            (
                {"model": "tiny", "training_file": file, "method": {"type": "dpo"}},
                "method.type",
                "unsupported_parameter",
            ),
            (
                {
                    "model": "tiny",
                    "training_file": file,
                    "integrations": [{"type": "wandb", "wandb": {"project": "p"}}],
                },
                "integrations",
                "unsupported_parameter",
            ),
        ]
        for body, param, code in cases:
            answer = await s.http.post("fine_tuning/jobs", json=body)
            error = answer.json()["error"]
            assert (error["param"], error["code"]) == (param, code), body
            assert answer.status_code == (404 if code == "model_not_found" else 400)
        for raw in (b"", b"[]", b"{", b"\xff", b'{"model": NaN}', b'{"model": "\\ud800"}', b"[" * 100_000):
            answer = await s.http.post("fine_tuning/jobs", content=raw)
            assert answer.status_code == 400, raw[:20]
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
        assert [job async for job in s.client.fine_tuning.jobs.list()] == []

    play(scenario)


def test_a_launcher_that_fails_does_not_lose_the_job(play, helpers):
    class Broken:
        launches = 0

        def launch(self, job_dir):
            raise OSError("no processes left")

        async def stop(self):
            pass

    async def scenario(s):
        job = await s.client.fine_tuning.jobs.create(model="tiny", training_file=await helpers.upload(s))
        assert job.status == "queued"
        assert (await s.client.fine_tuning.jobs.retrieve(job.id)).status == "queued"

    play(scenario, launcher=Broken())


def test_state_of_the_worker_is_shown_as_it_stands(play, helpers):
    async def scenario(s):
        job = await s.client.fine_tuning.jobs.create(model="tiny", training_file=await helpers.upload(s))
        folder = s.state / "jobs" / job.id
        write_json(folder / "state.json", {"status": "validating_files"})
        assert (await s.client.fine_tuning.jobs.retrieve(job.id)).status == "validating_files"

    class Idle:
        def launch(self, job_dir):
            pass

        async def stop(self):
            pass

    play(scenario, launcher=Idle())
