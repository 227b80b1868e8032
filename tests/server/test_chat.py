import asyncio
import json
import sys
import textwrap

import openai
import pytest

from ftspec.server.generators import GeneratorPool, GeneratorProcess

USER = [{"role": "user", "content": "hello"}]


def test_a_completion(play):
    async def scenario(s):
        answer = await s.client.chat.completions.create(
            model="tiny", messages=[{"role": "system", "content": "s"}, *USER], temperature=0, seed=3, n=2, stop=["x"]
        )
        assert [choice.index for choice in answer.choices] == [0, 1]
        assert answer.choices[0].message.content == "2 messages"
        assert answer.choices[0].message.refusal is None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 4, 7)
        assert answer.system_fingerprint.startswith("fp_")
        assert answer.model == "tiny"
        assert s.generator.requests == [
            {
                "model": {"base": "ftspec-tiny-1"},
                "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}],
                "tools": None,
                "limit": None,
                "temperature": 0,
                "top_p": 1.0,
                "seed": 3,
                "stop": ["x"],
                "n": 2,
                "logprobs": False,
                "top_logprobs": 0,
            }
        ]

    play(scenario)


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream(play, usage):
    async def scenario(s):
        options = {"stream_options": {"include_usage": True}} if usage else {}
        stream = await s.client.chat.completions.create(model="tiny", messages=USER, stream=True, **options)
        chunks = [chunk async for chunk in stream]
        assert chunks[0].choices[0].delta.role == "assistant"
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "1 messages"
        assert len({chunk.id for chunk in chunks}) == 1
        last = chunks[-2] if usage else chunks[-1]
        assert last.choices[0].finish_reason == "stop"
        assert (chunks[-1].choices == []) == usage
        assert not usage or chunks[-1].usage.total_tokens == 5
        raw = await s.http.post("chat/completions", json={"model": "tiny", "messages": USER, "stream": True})
        assert raw.headers["content-type"].startswith("text/event-stream")
        assert raw.content.endswith(b"data: [DONE]\n\n")

    play(scenario)


def test_calls_and_logprobs_pass_through(play):
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    token = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}

    async def scenario(s):
        async def generate(request):
            choice = {
                "text": None,
                "tool_calls": [call],
                "finish_reason": "tool_calls",
                "logprobs": {"content": [token], "refusal": None},
            }
            return {"choices": [choice], "prompt_tokens": 1, "completion_tokens": 1, "system_fingerprint": "fp_x"}

        s.generator.generate = generate
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        answer = await s.client.chat.completions.create(model="tiny", messages=USER, tools=[tool], logprobs=True)
        assert answer.choices[0].message.tool_calls[0].function.name == "f"
        assert answer.choices[0].logprobs.content[0].logprob == -0.5
        assert answer.system_fingerprint == "fp_x"
        echoed = answer.choices[0].message.model_dump()
        reply = {"role": "tool", "tool_call_id": "call_1", "content": "42"}
        assert await s.client.chat.completions.create(model="tiny", messages=[*USER, echoed, reply])
        stream = await s.client.chat.completions.create(model="tiny", messages=USER, tools=[tool], stream=True)
        calls = [c.choices[0].delta.tool_calls async for c in stream if c.choices[0].delta.tool_calls]
        assert [(c[0].index, c[0].function.name) for c in calls] == [(0, "f")]

    play(scenario)


def test_errors_of_chat(play):
    async def scenario(s):
        for model in ("nope", "org/slash", "ft:no:such::model", "ft:x:ckpt-step-3", ""):
            answer = await s.http.post("chat/completions", json={"model": model, "messages": USER})
            assert answer.status_code == (404 if model else 400)
        for body, code in (({"user": "me"}, "unsupported_parameter"), ({"temperature": 3}, "invalid_value")):
            with pytest.raises(openai.BadRequestError) as caught:
                await s.client.chat.completions.create(model="tiny", messages=USER, **body)
            assert (caught.value.code, caught.value.param) == (code, next(iter(body)))

        for code, status in (("context_length_exceeded", 400), ("generator_failed", 500), ("internal_error", 500)):

            async def generate(request, code=code):
                return {"error": {"code": code, "message": "m", "param": None}}

            s.generator.generate = generate
            answer = await s.http.post("chat/completions", json={"model": "tiny", "messages": USER})
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)

    play(scenario)


def test_every_error_has_openai_s_body(play):
    async def scenario(s):
        for method, path, status in [
            ("GET", "nothing", 404),
            ("POST", "uploads", 404),
            ("GET", "fine_tuning/model_limits", 404),
            ("PUT", "files", 405),
            ("GET", "chat/completions", 405),
            ("GET", "models/Qwen%2FQwen3-8B", 404),
            ("DELETE", "models/Qwen/Qwen3-8B", 404),
            ("GET", "http://embedded/", 404),
        ]:
            answer = await s.http.request(method, path)
            assert answer.status_code == status, path
            assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

        async def generate(request):
            raise RuntimeError("secret")

        s.generator.generate = generate
        with pytest.raises(openai.InternalServerError) as caught:
            await s.client.chat.completions.create(model="tiny", messages=USER)
        assert caught.value.code == "internal_error"
        assert "secret" not in str(caught.value)

    play(scenario)


def test_models(play):
    async def scenario(s):
        names = [model.id async for model in s.client.models.list()]
        assert names == ["tiny", "ftspec-tiny-1", "ftspec-scratch"]
        for name in names:
            assert (await s.client.models.retrieve(name)).id == name

    play(scenario)


ECHO = """
    import json, os, sys
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("die") and not os.path.exists(request["die"]):
            open(request["die"], "w").close()
            sys.exit("out of memory")
        if request.get("always"):
            sys.exit("cannot do that")
        print(json.dumps({"id": request["id"], "pid": os.getpid(), "said": request["say"]}), flush=True)
"""


@pytest.fixture
def echo(tmp_path):
    script = tmp_path / "echo.py"
    script.write_text(textwrap.dedent(ECHO))
    return (sys.executable, str(script))


def test_a_generator_process_lives_on_and_comes_back(echo, tmp_path):
    async def scenario():
        process = GeneratorProcess(echo, {})
        answers = await asyncio.gather(*(process.generate({"say": n}) for n in range(200)))
        assert [answer["said"] for answer in answers] == list(range(200))
        assert len({answer["pid"] for answer in answers}) == 1
        again = await process.generate({"say": "back", "die": str(tmp_path / "died")})
        assert again["said"] == "back"
        assert again["pid"] != answers[0]["pid"]
        failed = await process.generate({"say": 1, "always": True})
        assert failed["error"]["code"] == "generator_failed"
        assert "cannot do that" in failed["error"]["message"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await process.generate({"say": "unheard"})
        assert (await process.generate({"say": "x" * 300_000}))["said"] == "x" * 300_000
        await process.aclose()
        await process.aclose()
        assert (await process.generate({"say": "after"}))["said"] == "after"
        await process.aclose()

    asyncio.run(scenario())


def test_a_pool_keeps_a_model_in_one_process(echo):
    async def scenario():
        pool = GeneratorPool(echo, {}, 2)
        seen = {}
        for digest in "abcdefgh" * 2:
            answer = await pool.generate({"say": 1, "model": {"weights": "w", "digest": digest}})
            assert seen.setdefault(digest, answer["pid"]) == answer["pid"]
        assert len(set(seen.values())) == 2
        assert (await pool.generate({"say": 1, "model": {"base": "tiny"}}))["pid"] in seen.values()
        await pool.aclose()

    asyncio.run(scenario())


def test_a_pool_survives_a_second_event_loop(echo):
    pool = GeneratorPool(echo, {}, 1)

    async def ask():
        return await pool.generate({"say": 1, "model": {"base": "x"}})

    async def ask_and_close():
        answer = await ask()
        await pool.aclose()
        return answer

    assert json.dumps(asyncio.run(ask_and_close())["said"]) == "1"
    assert asyncio.run(ask_and_close())["said"] == 1
