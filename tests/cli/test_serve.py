"""`ftspec serve` over TCP: a plain OpenAI script, with strict validation of every answer."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A serving process; yields its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ftspec", "serve", "--port", "0", "--state", str(tmp_path / "state")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    found = re.search(r"http://\S+/v1", line)
    assert found, line
    yield found[0]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert "Traceback" not in errors


def test_a_plain_openai_script_uploads_trains_lists_chats_and_streams(server: str, tmp_path: Path) -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"colour of {n}?"}, {"role": "assistant", "content": "blue"}]}
        for n in range(20)
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with OpenAI(base_url=server, api_key="any", _strict_response_validation=True) as client:
        with path.open("rb") as stream:
            uploaded = client.files.create(file=stream, purpose="fine-tune")
        job = client.fine_tuning.jobs.create(
            model="tiny",
            training_file=uploaded.id,
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}},
            seed=1,
        )
        deadline = time.monotonic() + 60
        while job.status not in ("succeeded", "failed", "cancelled") and time.monotonic() < deadline:
            time.sleep(0.2)
            job = client.fine_tuning.jobs.retrieve(job.id)
        assert job.status == "succeeded"
        assert job.fine_tuned_model is not None
        assert any(event.type == "metrics" for event in client.fine_tuning.jobs.list_events(job.id, limit=100))
        assert len(list(client.fine_tuning.jobs.checkpoints.list(job.id))) == 3
        assert job.fine_tuned_model in {model.id for model in client.models.list()}
        question = [{"role": "user", "content": "colour of 5?"}]
        answer = client.chat.completions.create(model=job.fine_tuned_model, messages=question, temperature=0)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == "blue"
        stream_ = client.chat.completions.create(
            model=job.fine_tuned_model,
            messages=question,  # type: ignore[arg-type]
            temperature=0,
            stream=True,
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream_ if chunk.choices]
        assert "".join(pieces) == "blue"


def test_a_taken_port_is_one_clear_message(server: str) -> None:
    port = server.rpartition(":")[2].partition("/")[0]
    done = subprocess.run(
        [sys.executable, "-m", "ftspec", "serve", "--port", port, "--state", "x"], capture_output=True, text=True
    )
    assert done.returncode == 64
    assert "--port 0" in done.stderr
