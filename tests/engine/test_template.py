"""All roles, tools, calls and weights of the chat form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.engine.bases import resolve
from ftspec.engine.counter import TinyCounter
from ftspec.engine.template import conversation, parse, render, render_row, signature
from ftspec.engine.tokenizer import ASST, CALL, END, SYS, TOOL, TOOLS, USER
from ftspec.spec.errors import DataError

T = resolve("tiny").tokenizer
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather\n now",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["c", "f"]}, "days": {"type": "array"}},
            "required": ["city"],
        },
    },
}
CALLED = {"id": "x", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
DIALOGUE = [
    {"role": "developer", "content": "Help."},
    {"role": "user", "content": [{"type": "text", "text": "Wea"}, {"type": "text", "text": "ther?"}]},
    {"role": "assistant", "content": None, "tool_calls": [CALLED]},
    {"role": "tool", "tool_call_id": "x", "content": "7 degrees"},
    {"role": "assistant", "content": "It is 7."},
]


def test_every_role_and_the_tools_are_rendered():
    row = render(T, DIALOGUE, [WEATHER])
    definition = "get_weather(city: string, unit?: c|f, days?: any[]) Weather now"
    expected = [TOOLS, *T.encode(definition), END]
    expected += [SYS, *T.encode("Help."), END, USER, *T.encode("Weather?"), END]
    expected += [ASST, CALL, *T.encode('get_weather({"city": "Oslo"})'), END]
    expected += [TOOL, *T.encode("7 degrees"), END, ASST, *T.encode("It is 7."), END]
    assert row.ids == expected
    assert signature(WEATHER) == definition


def test_weights_hold_for_text_calls_and_end_but_not_for_roles():
    row = render(T, DIALOGUE, [WEATHER])
    for message, span in zip(DIALOGUE, row.spans, strict=True):
        inside = row.weights[span.start : span.stop]
        learned = float(message["role"] == "assistant")
        assert inside == [0.0] + [learned] * (len(inside) - 1)
        assert span.learned == sum(inside)
        assert row.ids[span.stop - 1] == END
    assert sum(row.weights[: row.spans[0].start]) == 0


def test_explicit_weights_win():
    messages = [
        {"role": "user", "content": "a", "weight": 1},
        {"role": "assistant", "content": "b", "weight": 0},
        {"role": "assistant", "content": "c", "weight": 1},
        {"role": "assistant", "content": "d", "weight": None},
    ]
    assert [span.learned > 0 for span in render(T, messages).spans] == [True, False, True, True]


def test_the_prompt_ends_where_the_assistant_speaks():
    row = render(T, DIALOGUE[:2], generation_prompt=True)
    assert row.ids == [*render(T, DIALOGUE[:2]).ids, ASST]
    assert row.weights[-1] == 0
    whole = render(T, [*DIALOGUE[:2], DIALOGUE[-1]])
    assert whole.ids[: len(row.ids)] == row.ids


def test_names_and_refusals_are_rendered():
    row = render(T, [{"role": "user", "name": "ann", "content": "hi"}, {"role": "assistant", "refusal": "no"}])
    assert row.ids == [USER, *T.encode("ann: "), *T.encode("hi"), END, ASST, *T.encode("no"), END]


def test_prompt_and_completion_are_a_user_and_an_assistant():
    row = render_row(T, {"prompt": "2+2", "completion": "4"})
    assert row == render(T, [{"role": "user", "content": "2+2"}, {"role": "assistant", "content": "4"}])


def test_old_functions_are_tools():
    old = {"messages": [{"role": "user", "content": "x"}], "functions": [WEATHER["function"]]}
    assert render(T, *conversation(old)).ids == render(T, old["messages"], [WEATHER]).ids


@given(st.text(), st.text(), st.sampled_from(["system", "developer", "user", "assistant", "tool"]))
def test_text_never_makes_structure(text, name, role):
    row = render(T, [{"role": role, "content": text, "name": name}])
    assert [i for i in row.ids if i < 8] == [row.ids[0], END]


@given(st.dictionaries(st.text(min_size=1), st.one_of(st.text(), st.integers(), st.booleans()), max_size=4), st.text())
def test_calls_parse_back(arguments, text):
    source = json.dumps(arguments)
    message = {
        "role": "assistant",
        "content": text,
        "tool_calls": [{"function": {"name": "f_1", "arguments": source}}] * 2,
    }
    ids = render(T, [message]).ids[1:-1]
    answer = parse(T, ids)
    assert (answer.text or "") == text
    assert [call["function"] for call in answer.tool_calls] == [{"name": "f_1", "arguments": source}] * 2
    assert len({call["id"] for call in answer.tool_calls}) == 2
    assert answer == parse(T, ids)


def test_a_call_without_a_name_stays_text():
    assert parse(T, [CALL, *T.encode("no call here")]).text == "no call here"
    assert parse(T, [CALL, *T.encode("f({")]).tool_calls[0]["function"] == {"name": "f", "arguments": "{"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "unsupported_content"),
        ({"role": "user", "content": ["x"]}, "unsupported_content"),
        ({"role": "user", "content": 3}, "broken_message"),
        ({"role": "robot", "content": "x"}, "unknown_role"),
        ("x", "unknown_role"),
        ({"role": "assistant", "tool_calls": [{}]}, "broken_message"),
        ({"role": "assistant", "tool_calls": ["x"]}, "broken_message"),
        ({"role": ["user"], "content": "x"}, "unknown_role"),
        ({"role": "assistant", "tool_calls": "xy"}, "broken_message"),
        ({"role": "assistant", "tool_calls": 3}, "broken_message"),
    ],
)
def test_broken_messages_have_a_code(message, code):
    with pytest.raises(DataError) as caught:
        render(T, [message])
    assert caught.value.code == code


@pytest.mark.parametrize(
    "row", [{}, {"messages": []}, {"messages": "x"}, {"prompt": "x"}, {"prompt": 1, "completion": ""}]
)
def test_broken_rows_have_a_code(row):
    with pytest.raises(DataError) as caught:
        conversation(row)
    assert caught.value.code == "broken_row"


def test_the_counter_counts_the_row():
    counter = TinyCounter()
    row = render(T, DIALOGUE, [WEATHER])
    counts = counter.count_row(DIALOGUE, [WEATHER])
    assert len(counts) == len(DIALOGUE) + 1
    assert sum(counts) == len(row.ids)
    assert counter.count_row(DIALOGUE)[-1] == 0
    assert sum(counter.learned_row(DIALOGUE, [WEATHER])) == sum(row.weights)
    assert counter.exact
    assert counter.identity == T.identity
