"""Answers: stop, limit, context, sampling, log-probabilities; the same request alone and among others."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from ftspec.engine.builtin import Builtin
from ftspec.engine.environment import environment
from ftspec.engine.generate import choose
from ftspec.engine.protocol import ModelRef, Sampling
from ftspec.engine.streams import Stream
from ftspec.spec.errors import DataError

COPY = [{"role": "system", "content": "Repeat the text."}, {"role": "user", "content": "river stone seven"}]


@pytest.fixture(scope="module")
def engine():
    return Builtin()


@pytest.fixture(scope="module")
def state(engine):
    return engine.load(ModelRef(base="tiny"))


def ask(engine, state, messages=COPY, tools=None, **sampling):
    prompt = engine.encode(state, messages, tools, generation_prompt=True)
    return engine.generate(state, prompt.ids, Sampling(calls=bool(tools), **sampling))


def test_the_base_can_copy(engine, state):
    (answer,) = ask(engine, state)
    assert (answer.text, answer.finish_reason) == ("river stone seven", "stop")


def test_stop_sequences_cut_the_answer(engine, state):
    (answer,) = ask(engine, state, stop=("seven", "stone"))
    assert (answer.text, answer.finish_reason) == ("river ", "stop")


def test_the_limit_counts_tokens(engine, state):
    (whole,) = ask(engine, state)
    (answer,) = ask(engine, state, limit=2)
    assert answer.tokens == 2
    assert answer.finish_reason == "length"
    assert whole.text.startswith(answer.text)
    (exact,) = ask(engine, state, limit=whole.tokens)
    assert (exact.text, exact.finish_reason) == (whole.text, "length")


def test_prompt_and_answer_share_the_context(engine, state):
    long = [{"role": "user", "content": "7" * 1010}]
    (answer,) = ask(engine, state, long)
    assert answer.tokens <= 1024 - 1013
    ask(engine, state, long, limit=11)
    for messages, limit in ((long, 12), ([{"role": "user", "content": "7" * 1021}], None)):
        with pytest.raises(DataError) as caught:
            ask(engine, state, messages, limit=limit)
        assert caught.value.code == "context_length_exceeded"


def test_equal_seeds_give_equal_samples(engine, state):
    first = ask(engine, state, temperature=1.5, seed=3, n=4, limit=12)
    assert [a.text for a in first] == [a.text for a in ask(engine, state, temperature=1.5, seed=3, n=4, limit=12)]
    assert first[0].text == ask(engine, state, temperature=1.5, seed=3, limit=12)[0].text
    assert len({a.text for a in first}) > 1
    assert [a.text for a in first] != [a.text for a in ask(engine, state, temperature=1.5, seed=4, n=4, limit=12)]


def test_choose_follows_the_distribution():
    logits = np.log(np.array([0.5, 0.3, 0.15, 0.05], np.float32))
    stream = Stream("choose")
    counts = np.bincount([choose(logits, 1.0, 1.0, stream) for _ in range(4000)], minlength=4) / 4000
    assert np.abs(counts - [0.5, 0.3, 0.15, 0.05]).max() < 0.03
    nucleus = {choose(logits, 1.0, 0.79, stream) for _ in range(500)}
    assert nucleus == {0, 1}
    assert {choose(logits, 1.0, 0.0, stream) for _ in range(50)} == {0}
    assert choose(logits, 0.0, 1.0, stream) == 0
    assert choose(np.array([1.0, 1.0], np.float32), 0.0, 1.0, stream) == 0


def test_logprobs_are_those_of_the_chosen_tokens(engine, state):
    (answer,) = ask(engine, state, top_logprobs=3)
    assert "".join(entry["token"] for entry in answer.logprobs) == answer.text
    for entry in answer.logprobs:
        assert entry["logprob"] == entry["top_logprobs"][0]["logprob"]
        assert bytes(entry["bytes"]).decode() == entry["token"]
        assert sum(math.exp(top["logprob"]) for top in entry["top_logprobs"]) <= 1 + 1e-9
    assert ask(engine, state)[0].logprobs is None
    assert ask(engine, state, top_logprobs=0)[0].logprobs[0]["top_logprobs"] == []


def test_tools_are_called_only_where_declared(engine, state):
    tool = {
        "name": "get_price",
        "parameters": {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]},
    }
    messages = [
        {"role": "system", "content": "Use the tools."},
        {"role": "user", "content": "get price with item lamp"},
    ]
    (answer,) = ask(engine, state, messages, [{"type": "function", "function": tool}])
    assert answer.finish_reason == "tool_calls"
    assert answer.text is None
    assert answer.tool_calls[0]["function"] == {"name": "get_price", "arguments": '{"item": "lamp"}'}
    (plain,) = ask(engine, state, messages)
    assert plain.tool_calls == []


def generator(requests):
    """Answers of the generator process, in order."""
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    command = [sys.executable, "-m", "ftspec.engine.generator"]
    done = subprocess.run(command, input=lines.encode(), env=environment(), capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_same_request_alone_and_among_8_gives_equal_answers(tiny, tmp_path):
    request = {
        "id": "r",
        "model": {"base": "tiny", "digest": tiny.digest},
        "messages": COPY,
        "temperature": 1.2,
        "seed": 5,
    }
    request |= {"n": 2, "logprobs": True, "top_logprobs": 2, "limit": 20}
    others = [
        request | {"id": str(i), "seed": i, "messages": [*COPY[:1], {"role": "user", "content": "word " * i}]}
        for i in range(7)
    ]
    alone = generator([request])
    among = generator(
        [*others[:4], request, *others[4:], request | {"id": "again", "model": {"base": "ftspec-scratch"}}]
    )
    assert alone[0] == among[4]
    assert [answer["id"] for answer in among] == ["0", "1", "2", "3", "r", "4", "5", "6", "again"]
    assert alone[0]["completion_tokens"] > 0
    assert alone[0]["system_fingerprint"].startswith("fp_")


def test_generator_survives_bad_requests(tiny):
    good = {"id": 1, "model": {"base": "tiny"}, "messages": COPY, "temperature": 0}
    answers = generator(
        [
            good | {"id": 0, "model": {"base": "no-such-model"}},
            good | {"id": 2, "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            good | {"id": 3, "limit": 5000},
            {"id": 4},
            good | {"id": 5, "model": {"weights": "/nowhere/weights.npz"}},
            good | {"id": 6, "model": {"base": "tiny", "digest": "0" * 64}},
            good,
        ]
    )
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [
        "unknown_model",
        "unsupported_content",
        "context_length_exceeded",
        "internal_error",
        "broken_weights",
        "digest_mismatch",
        None,
    ]
    assert answers[2]["error"]["param"] == "messages"
    assert answers[-1]["choices"][0]["text"] == "river stone seven"
