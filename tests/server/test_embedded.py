"""The real engine behind the server: uploads, training and answers, in process and over TCP, one SIGKILL included."""

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx2
import openai
import pytest

from ftspec.server.app import serving
from ftspec.server.restore import restore_model
from ftspec.storage import is_locked, read_json
from ftspec.wire.responses import Event
from ftspec.wire.results_csv import parse_results

COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black", "blood": "red"}
TRAIN = [
    {"messages": [{"role": "user", "content": f"{thing} {n}"}, {"role": "assistant", "content": colour}]}
    for n in range(4)
    for thing, colour in COLOURS.items()
]
FILE = ("\n".join(json.dumps(row) for row in TRAIN) + "\n").encode()


def sdk(**options):
    return openai.AsyncOpenAI(api_key="none", max_retries=0, _strict_response_validation=True, **options)


async def ended(client, job, *statuses):
    async with asyncio.timeout(90):
        while (found := await client.fine_tuning.jobs.retrieve(job)).status not in (
            statuses or ("succeeded", "failed", "cancelled")
        ):
            await asyncio.sleep(0.1)
    return found


async def train(client, n_epochs=6, **options):
    file = await client.files.create(file=("train.jsonl", FILE), purpose="fine-tune")
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": n_epochs, "batch_size": 2}}}
    return await client.fine_tuning.jobs.create(
        model="tiny", training_file=file.id, validation_file=None, method=method, seed=1, **options
    )


async def in_process(state, scenario):
    async with serving(state) as app:
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with sdk(base_url="http://embedded/v1", http_client=httpx2.AsyncClient(transport=transport)) as client:
            return await scenario(client)


async def ask(client, model, text, **options):
    messages = [{"role": "user", "content": text}]
    answer = await client.chat.completions.create(
        model=model, messages=messages, temperature=0, max_completion_tokens=20, **options
    )
    return answer.choices[0]


def test_trains_answers_and_survives_the_loss_of_its_worker(tmp_path):
    state = tmp_path / "state"

    async def whole(client):
        job = await train(client, suffix="colours")
        done = await ended(client, job.id)
        assert done.status == "succeeded", done.error
        assert done.hyperparameters.learning_rate_multiplier == 0.1
        events = [Event.read(event) async for event in client.fine_tuning.jobs.list_events(job.id, limit=7)]
        steps = [event.metrics["step"] for event in reversed(events) if event.metrics]
        assert steps == list(range(1, 61))
        assert [event.id for event in events if event.message.startswith("Created")] == [events[-1].id]
        csv, weights = done.result_files
        raw = (await client.files.content(csv)).content
        assert base64.b64decode(raw).startswith(b"step,")
        assert len(parse_results(raw)) == 60
        content = (await client.files.content(weights)).content
        checkpoints = (await client.fine_tuning.jobs.checkpoints.list(job.id)).data
        assert [c.step_number for c in checkpoints] == [60, 50, 40, 30, 20, 10]
        assert checkpoints[0].fine_tuned_model_checkpoint == done.fine_tuned_model
        before, after = [
            (await ask(client, model, "sky 9")).message.content for model in ("tiny", done.fine_tuned_model)
        ]
        assert before != after
        assert after in COLOURS.values()
        first = await ask(client, checkpoints[-1].fine_tuned_model_checkpoint, "sky 9", logprobs=True, top_logprobs=2)
        assert len(first.logprobs.content[0].top_logprobs) == 2
        with pytest.raises(openai.BadRequestError) as caught:
            await ask(client, "tiny", "word " * 2000)
        assert caught.value.code == "context_length_exceeded"

        again = await train(client)
        await ended(client, again.id, "running")
        folder = state / "jobs" / again.id
        raw_jobs = client.fine_tuning.jobs.with_raw_response  # `paused` is not among the SDK's words
        await raw_jobs.pause(again.id)
        async with asyncio.timeout(20):
            while read_json(folder / "state.json")["status"] != "paused":
                await asyncio.sleep(0.05)
        kill_workers(state)
        assert not is_locked(folder / "worker.lock")
        assert json.loads((await raw_jobs.retrieve(again.id)).text)["status"] == "paused"
        await raw_jobs.resume(again.id)
        repeated = await ended(client, again.id)
        assert repeated.status == "succeeded"
        digests = [read_json(state / "jobs" / name / "state.json")["weights_digest"] for name in (job.id, again.id)]
        assert digests[0] == digests[1]
        assert read_json(folder / "state.json")["attempts"] == 2
        return done, content, digests[0], after

    done, content, digest, answer = asyncio.run(in_process(state, whole))

    # The model comes back from its weights alone, in a state that never saw the job.
    (tmp_path / "weights.npz").write_bytes(content)
    job = done.model_dump(mode="json")
    for written in (True, False):
        assert written is restore_model(
            tmp_path / "other", job, root="ftspec-tiny-1", weights=tmp_path / "weights.npz", digest=digest
        )

    async def restored(client):
        assert (await ask(client, done.fine_tuned_model, "sky 9")).message.content == answer
        assert len((await client.files.list()).data) == 1
        listed = [job async for job in client.fine_tuning.jobs.list()]
        assert [job.status for job in listed] == ["succeeded"]

    asyncio.run(in_process(tmp_path / "other", restored))


def kill_workers(state):
    """SIGKILL the workers of this state folder."""
    found = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    pids = [int(line.split()[0]) for line in found.splitlines() if f"ftspec.engine.worker {state}/" in line]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(is_locked(path) for path in state.glob("jobs/*/worker.lock")) and time.monotonic() < deadline:
        time.sleep(0.02)


def test_a_bad_row_fails_the_job_and_a_cancelled_one_ends(tmp_path):
    async def scenario(client):
        rows = FILE.splitlines()
        rows[4] = b'{"messages": []}'
        file = await client.files.create(file=("bad.jsonl", b"\n".join(rows)), purpose="fine-tune")
        bad = await client.fine_tuning.jobs.create(model="tiny", training_file=file.id)
        long = await train(client, n_epochs=50)
        await ended(client, long.id, "running")
        await client.fine_tuning.jobs.cancel(long.id)
        assert (await ended(client, long.id)).status == "cancelled"
        assert (await client.fine_tuning.jobs.cancel(long.id)).status == "cancelled"
        failed = await ended(client, bad.id)
        assert failed.status == "failed"
        assert failed.error.code == "invalid_training_file"
        assert failed.error.param == "training_file"
        assert "Example 5" in failed.error.message

    asyncio.run(in_process(tmp_path / "state", scenario))


SERVE = """
import sys, uvicorn
from pathlib import Path
from ftspec.server.app import embedded_app
uvicorn.run(embedded_app(Path(sys.argv[1])), port=int(sys.argv[2]), log_level="warning")
print("numpy" in sys.modules)
"""


def test_over_tcp_a_killed_server_finds_its_job_again(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def start():
        return subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tmp_path / "state"), str(port)], stdout=subprocess.PIPE, text=True
        )

    async def ready(client):
        async with asyncio.timeout(30):
            while True:
                try:
                    return await client.models.list()
                except openai.APIConnectionError:
                    await asyncio.sleep(0.1)

    async def scenario():
        async with sdk(base_url=f"http://127.0.0.1:{port}/v1") as client:
            server = start()
            try:
                await ready(client)
                job = await train(client, extra_headers={"Idempotency-Key": "k"})
                server.kill()
                server.communicate()
                server = start()
                await ready(client)
                done = await ended(client, job.id)
                assert done.status == "succeeded"
                assert (await client.files.content(done.result_files[1])).content[:2] == b"PK"
                assert (await ask(client, done.fine_tuned_model, "snow 9")).message.content
                stream = await client.chat.completions.create(
                    model="tiny", messages=[{"role": "user", "content": "x"}], stream=True, max_tokens=3
                )
                assert [chunk async for chunk in stream][-1].choices[0].finish_reason
                assert [item.id async for item in client.fine_tuning.jobs.list()] == [job.id]
                server.send_signal(signal.SIGINT)
                assert server.communicate(timeout=20)[0].strip() in ("False", "")
            finally:
                server.kill()
                server.communicate()

    asyncio.run(scenario())


def test_the_server_imports_neither_numpy_nor_openai():
    code = (
        "import ftspec.server.app, ftspec.engine.bases, ftspec.engine.launch, sys;"
        "ftspec.engine.bases.resolve('tiny'); print([m for m in ('numpy', 'openai') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
