"""Function calls of a row: one object a call, functions that exist, arguments they take, ids that pair up."""

import json
from typing import Any

import pytest

from ftspec.data import RowRules
from ftspec.spec.errors import DataError

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string", "pattern": "^[A-Z]"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "stop"}},
]


def call(arguments: str, name: str = "weather", id: str = "c1") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def row(*calls: dict[str, Any], answers: tuple[str, ...] = ("c1",), tools: Any = TOOLS) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "look"},
        {"role": "assistant", "content": None, "tool_calls": list(calls)},
        *({"role": "tool", "tool_call_id": name, "content": "x"} for name in answers),
        {"role": "assistant", "content": "done"},
    ]
    return {"messages": messages} | ({} if tools is None else {"tools": tools})


GOOD = '{"city": "Oslo", "days": 2}'


@pytest.mark.parametrize(
    "good",
    [
        row(call(GOOD)),
        row(call(GOOD), tools=None),
        row(call("{}", "stop")),
        row(call('{"anything": [1]}', "stop")),
        row(call(GOOD), call(GOOD, id="c2"), answers=("c2", "c1")),
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [call(GOOD)]}]},
    ],
)
def test_good_calls(project: Any, good: dict[str, Any]) -> None:
    assert project.rows([good]).prepare().parts["train"].rows == 1


@pytest.mark.parametrize(
    ("bad", "code", "said"),
    [
        (row(call(json.dumps(GOOD))), "tool_args", "arguments are encoded twice"),
        (row(call(json.dumps(GOOD)), tools=None), "tool_args", "arguments are encoded twice"),
        (row(call("[1]")), "tool_args", "arguments are a list, not an object"),
        (row(call("null")), "tool_args", "arguments are null, not an object"),
        (row(call("")), "tool_args", "arguments are not JSON"),
        (row(call('{"city": ')), "tool_args", "arguments are not JSON"),
        (row(call('{"days": 2}')), "tool_args", "weather: 'city' is a required property"),
        (row(call('{"city": "Oslo", "days": "2"}')), "tool_args", "weather: days: '2' is not of type 'integer'"),
        (row(call('{"city": "oslo"}')), "tool_args", "does not match"),
        (row(call('{"city": "Oslo", "wind": 1}')), "tool_args", "Additional properties are not allowed"),
        (row(call(GOOD, "wether")), "tool_names", "calls 'wether', which tools does not define"),
        (row(call(GOOD), answers=()), "tool_ids", "the call 'c1' is never answered"),
        (row(call(GOOD), answers=("c1", "c1")), "tool_ids", "which no call before it waits for"),
        (row(call(GOOD), answers=("x",)), "tool_ids", "which no call before it waits for"),
        (row(call(GOOD), call(GOOD)), "tool_ids", "the id 'c1' was used before"),
    ],
)
def test_bad_calls(project: Any, make_chat: Any, bad: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        project.rows([make_chat("a", "b"), bad]).prepare()
    problem = caught.value.problems[0]
    assert (problem.code, problem.line) == (code, 2)
    assert said in problem.message
    assert problem.path.startswith("messages[")


def test_all_calls_at_once(project: Any) -> None:
    with pytest.raises(DataError) as caught:
        project.rows([row(call("[]"), call('{"days": 0, "x": 1}', id="c2"), answers=("c1", "c2"))]).prepare()
    places = [problem.path.split(".")[1] for problem in caught.value.problems]
    assert places == ["tool_calls[0]", *["tool_calls[1]"] * 3]


def test_one_validator_a_schema_and_none_without_tools(project: Any, make_chat: Any, monkeypatch: Any) -> None:
    from ftspec.data import contract

    made: list[bytes] = []
    original = contract._validator.__wrapped__
    monkeypatch.setattr(contract, "_validator", lambda schema: made.append(schema) or original(schema))
    project.rows([make_chat(f"q{n}", "a") for n in range(20)]).prepare()
    assert made == []
    project.rows([row(call(GOOD)) for _ in range(5)]).prepare()
    assert len(set(made)) == 1


def test_special_tokens_are_errors_at_hosts(project: Any, make_chat: Any) -> None:
    project.rows([make_chat("a", "b"), make_chat("say <|endoftext|> now", "b"), make_chat("<|other|>", "c")])
    with pytest.raises(DataError) as caught:
        project.prepare(limits=RowRules(min_rows=1))
    assert [(problem.code, problem.line) for problem in caught.value.problems] == [("special_token", 2)]
    assert project.prepare(limits=RowRules(min_rows=1, special_tokens=())).parts["train"].rows == 3
