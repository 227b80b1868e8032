from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.wire import limits
from ftspec.wire.chat import parse_chat
from ftspec.wire.requests import InvalidRequest, JobCreate, parse_body

BARE = {"model": "m", "training_file": "f"}
USER = [{"role": "user", "content": "hello"}]

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def problems(body, parse=lambda body: parse_body(JobCreate, body)):
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    return {problem.path: problem.code for problem in caught.value.problems}


PLACES = {
    "hyperparameters": lambda values: {**BARE, "hyperparameters": values},
    "method.supervised.hyperparameters": lambda values: {
        **BARE,
        "method": {"type": "supervised", "supervised": {"hyperparameters": values}},
    },
    "method.dpo.hyperparameters": lambda values: {
        **BARE,
        "method": {"type": "dpo", "dpo": {"hyperparameters": values}},
    },
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("n_epochs", ["auto", 1, 50], [0, 51, "3", "Auto", True, 1.0, None, [1]]),
        ("batch_size", ["auto", 1, 256], [0, 257, "8", False, 2.5, None]),
        (
            "learning_rate_multiplier",
            ["auto", 1e-9, 0.1, 2, 100],
            [0, -1, "0.1", True, None, float("nan"), float("inf")],
        ),
    ],
)
def test_hyperparameters_both_sides_of_each_bound(place, name, good, bad):
    for value in good:
        request = parse_body(JobCreate, PLACES[place]({name: value}))
        assert getattr(request.resolved_hyperparameters, name) == value
    for value in bad:
        assert list(problems(PLACES[place]({name: value}))) == [f"{place}.{name}"]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"model": ""}, "model"),
        ({"training_file": None}, "training_file"),
        ({"suffix": ""}, "suffix"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**31}, "seed"),
        ({"seed": True}, "seed"),
        ({"metadata": {str(i): "v" for i in range(17)}}, "metadata"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}] * 6}, "integrations"),
        ({"integrations": [{"type": "other"}]}, "integrations[0].type"),
        ({"method": {"type": "sft"}}, "method.type"),
        ({"method": {"type": "dpo", "supervised": {}}}, "method"),
        ({"method": {"type": "reinforcement"}}, "method"),
        ({"method": {"type": "reinforcement", "reinforcement": {"grader": {"type": "label_model"}}}}, None),
        ({"n_epoch": 3}, "n_epoch"),
        ({"hyperparameters": {"n_epoch": 3}}, "hyperparameters.n_epoch"),
    ],
)
def test_bounds_of_the_other_fields(changes, place):
    found = problems({**BARE, **changes})
    assert place is None or place in found
    if place is not None and place.endswith("n_epoch"):
        assert found[place] == "unsupported_parameter"


@pytest.mark.parametrize(
    "changes",
    [
        {"suffix": "x"},
        {"suffix": "x" * 64},
        {"seed": 0},
        {"seed": 2**31 - 1},
        {"metadata": {"k" * 64: "v" * 512, **{str(i): "" for i in range(15)}}},
        {"suffix": None, "seed": None, "metadata": None, "validation_file": None, "integrations": None},
        {"integrations": [{"type": "wandb", "wandb": {"project": "p", "tags": ["a"]}}] * 5},
        {"method": {"type": "supervised"}, "hyperparameters": {"n_epochs": 3}},
        {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 2.0}}}},
        {
            "method": {
                "type": "reinforcement",
                "reinforcement": {
                    "grader": {"type": "multi", "graders": {"a": {"type": "string_check"}}, "calculate_output": "a"},
                    "hyperparameters": {"compute_multiplier": 10, "eval_samples": 1, "reasoning_effort": "low"},
                },
            }
        },
    ],
)
def test_what_the_api_takes(changes):
    assert parse_body(JobCreate, {**BARE, **changes})


def test_two_places_may_agree_but_not_differ():
    def both(n):
        return {
            **BARE,
            "hyperparameters": {"n_epochs": 3},
            "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": n}}},
        }

    assert parse_body(JobCreate, both(3)).resolved_hyperparameters.n_epochs == 3
    assert problems(both(4)) == {"": "invalid_value"}


def test_all_problems_at_once():
    found = problems({"model": 3, "seed": -1, "x": 1})
    assert found == {
        "model": "invalid_type",
        "training_file": "missing_required_parameter",
        "seed": "invalid_value",
        "x": "unsupported_parameter",
    }


@given(Json)
def test_any_json_is_a_request_or_a_coded_error(body):
    for parse in (lambda b: parse_body(JobCreate, b), parse_chat):
        with suppress(InvalidRequest):
            parse(body)


@given(st.dictionaries(st.sampled_from([*JobCreate.model_fields, "zz"]), Json))
def test_any_fields_are_a_request_or_a_coded_error(fields):
    with suppress(InvalidRequest):
        parse_body(JobCreate, {**BARE, **fields})


def chat(**fields):
    return parse_chat({"model": "m", "messages": USER, **fields})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("temperature", [0, 0.0, 2, None], [-0.1, 2.1, "1", True]),
        ("top_p", [0, 1, None], [-0.1, 1.1]),
        ("n", [1, 128, None], [0, 129, 1.0, True]),
        ("stop", ["a", [], ["a"] * 4, None], ["", ["a"] * 5, [""], 3]),
        ("max_tokens", [1, 10**6, None], [0, -1, 1.5]),
        ("max_completion_tokens", [1, None], [0]),
        ("seed", [0, -1, 2**40, None], [1.5, "1"]),
        ("presence_penalty", [0, 0.0, None], [0.1, -2.1]),
        ("frequency_penalty", [0, None], [2, 3]),
        ("logprobs", [True, False, None], [1, "yes"]),
        ("response_format", [{"type": "text"}, None], [{"type": "json_object"}]),
        ("tool_choice", ["auto", None], ["none", "required"]),
        ("parallel_tool_calls", [True, None], [False, 1]),
        ("store", [False, None], [True, 0]),
        ("logit_bias", [{}, None], [{"50256": -100}]),
        ("modalities", [["text"]], [["audio"], ["text", "audio"]]),
        ("user", [None], ["me"]),
        ("reasoning_effort", [None], ["low"]),
        ("functions", [None], [[]]),
        ("stream_options", [None], [{"include_usage": True}]),
    ],
)
def test_chat_both_sides_of_each_bound(name, good, bad):
    for value in good:
        assert chat(**{name: value})
    for value in bad:
        found = problems({"model": "m", "messages": USER, name: value}, parse_chat)
        assert {place.split("[")[0].split(".")[0] for place in found} == {name}


def test_chat_rules_over_several_fields():
    assert problems({"model": "m", "messages": USER, "max_tokens": 1, "max_completion_tokens": 1}, parse_chat)
    assert problems({"model": "m", "messages": USER, "top_logprobs": 1}, parse_chat) == {
        "top_logprobs": "invalid_value"
    }
    assert chat(logprobs=True, top_logprobs=limits.TOP_LOGPROBS[1]).top_logprobs == 20
    assert problems({"model": "m", "messages": USER, "logprobs": True, "top_logprobs": 21}, parse_chat)
    assert chat(stream=True, stream_options={"include_usage": True})
    assert (chat(max_tokens=3).limit, chat(max_completion_tokens=4).limit, chat().limit) == (3, 4, None)
    assert (chat(stop="a").stops, chat(stop=["a", "b"]).stops, chat().stops) == (["a"], ["a", "b"], [])


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("message", "plain"),
    [
        ({"role": "developer", "content": "x"}, {"role": "developer", "content": "x"}),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "n"},
            {"role": "user", "content": "ab", "name": "n"},
        ),
        (
            {"role": "assistant", "content": None, "tool_calls": [CALL], "refusal": None, "annotations": []},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
        ),
        (
            {"role": "tool", "content": "42", "tool_call_id": "c1"},
            {"role": "tool", "content": "42", "tool_call_id": "c1"},
        ),
    ],
)
def test_messages_of_all_roles(message, plain):
    assert parse_chat({"model": "m", "messages": [message]}).messages[0].plain() == plain


@pytest.mark.parametrize(
    "message",
    [
        {"role": "robot", "content": "x"},
        {"role": "user"},
        {"role": "user", "content": None},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        {"role": "user", "content": "x", "tool_calls": [CALL]},
        {"role": "user", "content": "x", "weight": 1},
        {"role": "user", "content": "x", "tool_call_id": "c1"},
        {"role": "tool", "content": "x"},
        {"role": "assistant", "tool_calls": [{**CALL, "type": "custom"}]},
        {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]},
        "hello",
    ],
)
def test_messages_that_are_refused(message):
    assert problems({"model": "m", "messages": [message]}, parse_chat)
