"""Items of a part or a file, few-shot choice, and the request an arm is asked."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.data.template import MissingFieldError
from ftspec.evals.items import Item, item_of, items_digest, items_of_file, items_of_part, prompt_key, split_turn
from ftspec.evals.requests import ArmRequests, messages_of
from ftspec.evals.shots import choose
from ftspec.spec.errors import DataError
from ftspec.spec.suite import Arm, Request


def row(user: str, answer: str | None = "a", **more: Any) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": "S"}, {"role": "user", "content": user}]
    if answer is not None:
        messages.append({"role": "assistant", "content": answer})
    return {"messages": messages, **more}


def test_a_turn_is_everything_after_a_user_message() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "first"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "tool_calls": [call], "weight": 1},
        {"role": "tool", "content": "t", "tool_call_id": "1"},
        {"role": "assistant", "content": "done"},
    ]
    prompt, answer = split_turn({"messages": messages})
    assert prompt == messages[:3]
    assert answer == {"role": "assistant", "tool_calls": [call]}
    item = item_of({"messages": messages})
    assert item.fields["expected_calls"] == [call["function"]]
    assert "reference" not in item.fields
    assert split_turn(row("q", None)) == (row("q", None)["messages"], None)
    assert split_turn({"prompt": "p", "completion": "c"}) == (
        [{"role": "user", "content": "p"}],
        {"role": "assistant", "content": "c"},
    )


def test_a_validation_part_gives_items_without_weights(part: Any) -> None:
    rows = [row("q"), row("q"), row("r", "b")]
    rows[2]["messages"][2]["weight"] = 0
    items = items_of_part(part("valid", rows))
    assert [item.id for item in items] == [items[0].id, items[0].id + ".2", items[2].id]
    assert items[2].fields["reference"] == "b"
    del rows[2]["messages"][2]["weight"]
    assert items_digest(items) == items_digest(items_of_part(part("valid", rows)))


def test_a_test_part_holds_items_already(part: Any) -> None:
    rows = [{"id": "x", "messages": [{"role": "user", "content": "q"}], "reference": "a", "metadata": {"c": 4}}]
    (item,) = items_of_part(part("test", rows), cluster="c")
    assert (item.id, item.cluster) == ("x", "4")
    assert item.fields["expected_calls"] == []


def test_items_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text('{"q": 1, "name": "a", "v": "x"}\n\n{"q": 2, "name": "b"}\n')
    one, two = items_of_file(path, id="name", cluster="v")
    assert (one.id, one.cluster, two.id, two.cluster) == ("a", "x", "b", None)
    assert len({item.id for item in items_of_file(path)}) == 2


@pytest.mark.parametrize(
    ("text", "id", "line"),
    [
        ('{"a": 1}\n{"a": 1}\n', None, 2),
        ('{"a": 1}\n{"a": 1, "b": 2}\n', "a", 2),
        ('{"a": 1}\n{"b": 2}\n', "a", 2),
        ('{"a": 1}\n[1]\n', None, 2),
        ('{"a": 1}\n\n \n{"a": 1}\n', None, 4),
        ('\n{"b": 2}\n', "a", 2),
        ('{"a": 1\n', None, 1),
        ("[" * 100_000 + "\n", None, 1),
    ],
)
def test_files_that_cannot_be_items_name_the_line(tmp_path: Path, text: str, id: str | None, line: int) -> None:
    path = tmp_path / "items.jsonl"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        items_of_file(path, id=id)
    assert error.value.problems[0].line == line


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        items_of_file(tmp_path / "none.jsonl")


@given(st.lists(st.text(max_size=4), max_size=30), st.integers(1, 6), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_shots_do_not_depend_on_order_and_never_show_an_item(users: list[str], k: int, shuffle: random.Random) -> None:
    rows = [row(user, f"a{user}") for user in users]
    exclude = {prompt_key(row(users[0])["messages"][:2])} if users else set()
    chosen = choose(rows, k, "v1", exclude=exclude)
    shuffle.shuffle(rows)
    assert choose(rows, k, "v1", exclude=exclude) == chosen
    asked = [shot[0]["content"] for shot in chosen]
    assert len(set(asked)) == len(asked) == min(k, len(set(users) - set(users[:1])))
    assert not users or users[0] not in asked


def test_shots_change_with_the_salt_and_keep_most_of_themselves_under_additions() -> None:
    rows = [row(str(i), "a") for i in range(300)]
    one = choose(rows, 5, "v1", exclude=set())
    assert one != choose(rows, 5, "v2", exclude=set())
    more = choose([*rows, *(row(f"n{i}") for i in range(30))], 5, "v1", exclude=set())
    assert sum(shot in more for shot in one) >= 3
    weighted = [{"messages": [{**m, "weight": 0} for m in r["messages"]]} for r in rows]
    assert choose(weighted, 5, "v1", exclude=set()) == one
    assert choose([row("q", None)], 5, "v1", exclude=set()) == ()


ITEM = Item("x", {"messages": row("q")["messages"][:2], "text": "q", "n": 3})
BASE = {"model": "@base"}


def test_prompts_of_arms() -> None:
    def asked(arm: dict[str, Any], request: dict[str, Any] | None = None) -> list[tuple[str, str]]:
        messages = messages_of(Request.model_validate(request or {}), Arm.model_validate(BASE | arm), ITEM)
        return [(message["role"], message["content"]) for message in messages]

    assert asked({}) == [("system", "S"), ("user", "q")]
    assert asked({"prompt": None}) == [("user", "q")]
    assert asked({"prompt": "P {{ item.n }}"}) == [("system", "P {{ item.n }}"), ("user", "q")]
    request = {
        "messages": [
            {"role": "system", "content": "Do: {{ arm.prompt }}"},
            {"role": "user", "content": "{{ item.text }} {{ item.n }}"},
        ]
    }
    assert asked({"prompt": "P"}, request) == [("system", "Do: P"), ("user", "q 3")]
    assert asked({}, request) == [("user", "q 3")]
    # What a prompt or an item says is never expanded again.
    assert asked({"prompt": "{{ item.text }}"}, request)[0] == ("system", "Do: {{ item.text }}")


def test_shots_stand_before_the_last_user_message() -> None:
    shots = [[{"role": "user", "content": "s"}, {"role": "assistant", "content": "t"}]]
    messages = messages_of(Request(), Arm(model="@base"), ITEM, shots)
    assert [message["content"] for message in messages] == ["S", "s", "t", "q"]


def test_what_an_item_lacks_is_named() -> None:
    request = Request.model_validate({"messages": [{"role": "user", "content": "{{ item.nope.deep }}"}]})
    with pytest.raises(MissingFieldError, match=r"item\.nope\.deep"):
        messages_of(request, Arm(model="@base"), ITEM)
    with pytest.raises(ValueError, match="no list of messages"):
        messages_of(Request(), Arm(model="@base"), Item("y", {"messages": "hello"}))


def requests(params: dict[str, Any] | None = None, **more: Any) -> ArmRequests:
    settings: dict[str, Any] = {"model": "m", "identity": "p"} | more
    request = Request.model_validate({"params": params or {}})
    return ArmRequests("base", request, Arm(model="@base"), **settings)


def test_bodies() -> None:
    body = requests({"max_completion_tokens": 9, "seed": 4}).body(ITEM, 2)
    expected = {"model": "m", "messages": ITEM.fields["messages"], "temperature": 0.0, "max_completion_tokens": 9}
    assert body == expected | {"seed": 6}
    tools = [{"type": "function", "function": {"name": "f"}}]
    with_tools = Item("z", {**ITEM.fields, "tools": tools})
    assert requests().body(with_tools)["tools"] == tools
    assert requests({"tools": []}).body(with_tools).get("tools") is None


def test_every_part_of_a_request_is_in_its_key() -> None:
    def key(item: Item = ITEM, sample: int = 0, params: dict[str, Any] | None = None, **more: Any) -> str:
        asked = requests(params, **more)
        return asked.key(asked.body(item), sample)

    other = Item("other id", ITEM.fields)
    assert key() == key(other)
    changed = Item("x", {"messages": row("Q")["messages"][:2]})
    keys = [
        key(),
        key(changed),
        key(sample=1),
        key(params={"temperature": 0.5}),
        key(params={"seed": 1}),
        key(model="n"),
        key(identity="p\nq"),
        key(shots=[[{"role": "user", "content": "s"}, {"role": "assistant", "content": "t"}]]),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(found) == 64 for found in keys)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(-(2**53) + 1, 2**53 - 1), max_size=4))
@settings(max_examples=50, deadline=None)
def test_keys_do_not_depend_on_the_order_of_fields(fields: dict[str, Any]) -> None:
    asked = requests()
    tools = [{"type": "function", "function": {"name": "f", "parameters": fields}}]
    turned = json.loads(json.dumps(tools))
    turned[0]["function"]["parameters"] = dict(reversed(fields.items()))
    one, two = (asked.body(Item("x", {**ITEM.fields, "tools": given})) for given in (tools, turned))
    assert asked.key(one, 0) == asked.key(dict(reversed(two.items())), 0)
