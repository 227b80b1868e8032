"""The client's model of a request and the server agree, on any body."""

import asyncio

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftspec.server.app import create_app
from ftspec.server.timed import TimedBases, TimedGenerator
from ftspec.wire.chat import parse_chat
from ftspec.wire.requests import InvalidRequest, JobCreate, parse_body

Scalar = st.none() | st.booleans() | st.integers(-2, 2**33) | st.sampled_from([0.5, 1e-6, 2.0, "auto", "", "x" * 65])
Hyper = st.dictionaries(st.sampled_from(["n_epochs", "batch_size", "learning_rate_multiplier", "beta"]), Scalar)
Options = st.fixed_dictionaries({}, optional={"hyperparameters": Hyper})
Method = st.fixed_dictionaries(
    {"type": st.sampled_from(["supervised", "dpo", "reinforcement", "sft"])},
    optional={"supervised": Options, "dpo": Options},
)
Job = st.fixed_dictionaries(
    {"model": st.sampled_from(["tiny"]), "training_file": st.sampled_from(["FILE"])},
    optional={
        "hyperparameters": Hyper,
        "method": Method,
        "suffix": Scalar,
        "seed": Scalar,
        "metadata": st.dictionaries(st.sampled_from(["k", "k" * 64, "k" * 65]), st.sampled_from(["v", "v" * 513, 1])),
        "other": Scalar,
    },
)
CHAT_FIELDS = ["temperature", "top_p", "n", "seed", "max_tokens", "stop", "logprobs", "presence_penalty", "user"]
Chat = st.fixed_dictionaries(
    {"model": st.just("tiny"), "messages": st.just([{"role": "user", "content": "x"}])},
    optional=dict.fromkeys(CHAT_FIELDS, Scalar),
)


class NoLauncher:
    def launch(self, job_dir):
        pass


def posted(state, path, body):
    async def main():
        app = create_app(state, launcher=NoLauncher(), generate=TimedGenerator(), bases=TimedBases())
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://embedded/v1") as http:
            if path == "fine_tuning/jobs":
                file = await http.post("files", files={"file": ("a", b"x")}, data={"purpose": "fine-tune"})
                body["training_file"] = file.json()["id"]
            answer = await http.post(path, json=body)
        await app.state.close()
        return answer

    return asyncio.run(main())


def expected(parse, body):
    try:
        return parse(body)
    except InvalidRequest as error:
        return (error.code, error.param)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(Job)
def test_jobs(tmp_path, body):
    wanted = expected(lambda b: parse_body(JobCreate, b), body)
    answer = posted(tmp_path / "state", "fine_tuning/jobs", body)
    if isinstance(wanted, tuple):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, *wanted)
    elif wanted.method_type == "supervised":
        assert answer.status_code == 200
        job = answer.json()
        assert job["hyperparameters"] == wanted.resolved_hyperparameters.model_dump()
        assert job["metadata"] == (wanted.metadata or {})
        assert job["user_provided_suffix"] == wanted.suffix
        assert wanted.seed is None or job["seed"] == wanted.seed
    else:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "method.type")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(Chat)
def test_chat(tmp_path, body):
    wanted = expected(parse_chat, body)
    answer = posted(tmp_path / "state", "chat/completions", body)
    if isinstance(wanted, tuple):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, *wanted)
    else:
        assert answer.status_code == 200
        assert len(answer.json()["choices"]) == wanted.n


@pytest.mark.parametrize("length", [1, 64, 65])
def test_suffix_bounds_on_the_server(tmp_path, length):
    body = {"model": "tiny", "training_file": "", "suffix": "s" * length}
    answer = posted(tmp_path / "state", "fine_tuning/jobs", body)
    assert answer.status_code == (200 if length <= 64 else 400)
