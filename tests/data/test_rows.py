"""How raw rows become rows that are trained on: templates, extracted fields, tools, shots, preference rows."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from ftspec.data import RowRules, items, read_rows
from ftspec.spec.dataset import Dataset
from ftspec.spec.errors import DataError, SpecError

GSM8K = {
    "sources": [{"path": "data/rows.jsonl"}],
    "extract": {"answer": r"(?s)^(?P<reasoning>.*)\n#### (?P<final>.+)$"},
    "messages": [
        {"role": "user", "content": "{{ question }}"},
        {"role": "assistant", "content": "{{ reasoning }}", "weight": 0},
        {"role": "assistant", "content": "{{ final }}", "weight": 1},
    ],
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def problems(project: Any, dataset: dict[str, Any]) -> list[tuple[str, int]]:
    with pytest.raises((DataError, SpecError)) as caught:
        project.prepare(dataset)
    return [(p.code, p.line) for p in caught.value.problems]


def test_named_groups_of_a_pattern_become_fields(project: Any) -> None:
    project.rows([{"question": "1+1?", "answer": "One and one.\nSo two.\n#### 2"}])
    done = project.prepare(GSM8K)
    (row,) = read_rows(done.parts["train"])
    assert [(m["role"], m["content"], m.get("weight")) for m in row["messages"]] == [
        ("user", "1+1?", None),
        ("assistant", "One and one.\nSo two.", 0),
        ("assistant", "2", None),
    ]
    assert (done.parts["train"].messages, done.parts["train"].learned_messages) == (3, 1)


def test_rows_of_another_form_are_told_with_their_line(project: Any) -> None:
    project.rows(
        [
            {"question": "q", "answer": "no mark"},
            {"question": "q"},
            {"question": "q", "answer": "x\n#### 1", "final": "y"},
        ]
    )
    assert problems(project, GSM8K) == [("missing_field", 2), ("extract", 1), ("extract", 3)]


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ({"a": "("}, "does not compile"),
        ({"a": "x"}, "no named group"),
        ({"a": "(?P<x>.)", "b": "(?P<x>.)"}, "a makes a field 'x' too"),
    ],
)
def test_patterns_that_make_no_sense(project: Any, patterns: dict[str, str], words: str) -> None:
    project.rows([{"a": "1", "b": "2"}])
    with pytest.raises(SpecError, match=words):
        project.prepare({**GSM8K, "extract": patterns})


def test_a_slow_pattern_stops(project: Any) -> None:
    project.rows([{"question": "q", "answer": "a" * 60 + "!"}])
    assert problems(project, {**GSM8K, "extract": {"answer": "^(?P<reasoning>(a|aa)+)$"}}) == [("regex_timeout", 1)]


def test_extract_and_row_tools_need_a_template() -> None:
    for more in ({"extract": {"a": "(?P<x>.)"}}, {"tools": {"field": "tools"}}):
        with pytest.raises(ValidationError, match="add dataset"):
            Dataset.model_validate({"sources": [{"path": "x"}], **more})


def test_a_row_brings_its_own_tools(project: Any) -> None:
    messages = [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "a"}]
    dataset = {"messages": messages, "tools": {"field": "functions"}}
    project.rows([{"q": "1", "functions": [TOOL]}, {"q": "2", "functions": None}, {"q": "3", "functions": []}])
    found = [row.get("tools") for row in read_rows(project.prepare(dataset).parts["train"])]
    assert found == [[TOOL], None, None]
    project.rows([{"q": "1", "functions": "f"}, {"q": "2"}])
    assert problems(project, dataset) == [("missing_field", 2), ("tools", 1)]
    with pytest.raises(SpecError) as caught:
        project.prepare({"messages": messages, "tools": {"field": "3"}})
    assert str(caught.value) == (
        "dataset.tools.field: not a field: '3'; write a name, a path such as a.b[0], or any name in brackets: [\"3\"] "
        "[template]"
    )


def test_fixed_shots_stand_before_each_row_and_are_not_learned(project: Any) -> None:
    shots = [
        {"role": "system", "content": "Name the queue."},
        {"role": "user", "content": "My card was eaten."},
        {"role": "assistant", "content": "card", "weight": 0},
    ]
    messages = [*shots, {"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ a }}"}]
    project.rows([{"q": f"question {n}", "a": "cash"} for n in range(40)])
    done = project.prepare({"messages": messages, "split": {"test": 5}})
    for row in read_rows(done.parts["train"]):
        assert [m.get("weight") for m in row["messages"]] == [None, None, 0, None, None]
    assert all(len(item["messages"]) == 4 for item in items(done.parts["test"]))
    assert done.parts["train"].learned_messages == 35
    assert done.overlap == 0


ASKED = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "x"}], "tools": [TOOL]}


def pair(wanted: Any = "good", other: Any = "bad", **more: Any) -> dict[str, Any]:
    return {
        "input": ASKED,
        "preferred_output": [{"role": "assistant", "content": wanted}],
        "non_preferred_output": [{"role": "assistant", "content": other}],
        **more,
    }


def test_preference_rows(project: Any) -> None:
    rows = [pair(input={"messages": [{"role": "user", "content": f"question {n}"}]}, customer=n % 4) for n in range(40)]
    project.rows(rows)
    done = project.prepare({"split": {"test": 8, "by": "customer"}})
    assert done.row_format == "preference"
    assert (done.parts["train"].rows, done.parts["test"].rows) == (30, 10)
    assert done.parts["train"].learned_messages == 60
    first = done.parts["train"].path.read_bytes().splitlines()[0]
    import rfc8785

    assert first == rfc8785.dumps(json.loads(first))
    assert set(json.loads(first)) == {"input", "preferred_output", "non_preferred_output"}
    assert next(items(done.parts["test"]))["reference"] == "good"
    assert done.references == (("good", 30),)
    weights = [json.loads(line)["weights"] for line in done.rows.read_text().splitlines()]
    assert set(weights) == {"011"}


@pytest.mark.parametrize(
    "row",
    [
        pair(other="good"),
        pair(wanted=""),
        pair(preferred_output=[]),
        pair(preferred_output=[{"role": "assistant", "content": "a"}] * 2),
        pair(input={"messages": [{"role": "assistant", "content": "x"}]}),
        pair(input={"messages": []}),
        pair(input={"messages": [{"role": "user", "content": "x", "weight": 0}]}),
        {"input": ASKED, "preferred_completion": [], "non_preferred_completion": []},
        {"input": ASKED, "preferred_output": []},
    ],
)
def test_preference_rows_that_no_host_takes(project: Any, row: Any) -> None:
    project.rows([pair(), row])
    found = problems(project, {})
    assert set(found) == {("dpo", 2)}


def test_a_preference_row_of_another_shape_names_its_path(project: Any) -> None:
    project.rows([pair(preferred_output=[{"role": "user", "content": "x"}])])
    with pytest.raises(DataError, match=r"preferred_output\[0\]"):
        project.prepare()


def test_rows_must_have_a_format_that_is_trained_on(project: Any, make_chat: Any) -> None:
    project.rows([pair()])
    with pytest.raises(DataError, match="these are preference rows; by this method openai trains chat rows"):
        project.prepare(limits=RowRules(min_rows=1))
    project.rows([make_chat("a", "b")])
    with pytest.raises(DataError, match="trains preference rows"):
        project.prepare(limits=RowRules(min_rows=1, formats=("preference",)))


NESTED = {"val": [["v1", "a"]], "train": [["t1", "a"], ["t2", "oos"]], "oos": [["t3", "oos"]]}
INTENTS = [{"role": "user", "content": "{{ text }}"}, {"role": "assistant", "content": "{{ intent }}"}]


def nested(field: str, columns: Any = ("text", "intent")) -> dict[str, Any]:
    return {"path": "data/all.json", "field": field, "columns": list(columns)}


def test_lists_under_a_key_with_named_columns_and_replaced_values(project: Any) -> None:
    project.raw(json.dumps(NESTED, indent=2).encode(), "data/all.json")
    dataset = {
        "sources": [nested("train"), nested("oos")],
        "split": {"validation": nested("val")},
        "messages": INTENTS,
        "replace": {"intent": {"oos": "I don't know."}},
    }
    done = project.prepare(dataset)
    said = [[m["content"] for m in row["messages"]] for row in read_rows(done.parts["train"])]
    assert said == [["t1", "a"], ["t2", "I don't know."], ["t3", "I don't know."]]
    text = (project.root / "data/all.json").read_text().split("\n")
    lines = [json.loads(line)["line"] for line in done.rows.read_text().splitlines()]
    assert [text[line].strip() for line in lines] == ['"t1",', '"t2",', '"t3",', '"v1",']


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        (nested("trian"), "field", "did you mean train?"),
        (nested("train", ["text"]), "columns", "2 values for 1 columns"),
        ({"path": "data/all.json"}, "not_a_list", "field: KEY"),
        ({"path": "data/rows.jsonl", "field": "x"}, "field", "only a JSON object"),
        ({"path": "data/rows.jsonl", "columns": ["a"]}, "columns", "the row is no list"),
    ],
)
def test_fields_and_columns_that_do_not_fit(project: Any, source: Any, code: str, words: str) -> None:
    project.raw(json.dumps(NESTED).encode(), "data/all.json").rows([{"text": "x", "intent": "y"}])
    with pytest.raises(DataError) as caught:
        project.prepare({"sources": [source], "messages": INTENTS})
    assert caught.value.code == code
    assert words in str(caught.value)


def test_csv_without_a_header(project: Any) -> None:
    project.raw(b"t1,a\nt2,b\n", "data/x.csv")
    dataset = {"sources": [{"path": "data/x.csv", "columns": ["text", "intent"]}], "messages": INTENTS}
    assert project.prepare(dataset).parts["train"].rows == 2


def test_a_value_to_replace_that_no_row_has_is_an_error(project: Any) -> None:
    project.rows([{"text": "x", "intent": "oos"}])
    with pytest.raises(DataError) as caught:
        project.prepare({"messages": INTENTS, "replace": {"intent": {"oss": "I don't know."}}})
    (problem,) = caught.value.problems
    assert (problem.code, problem.path, problem.fix) == ("replace", "dataset.replace.intent", "did you mean oos?")


OWN = {
    "chat": lambda q: {"messages": [*said("user", q), *said("assistant", f"{q}!")], "tools": [TOOL]},
    "completion": lambda q: {"prompt": q, "completion": f"{q}!"},
    "preference": lambda q: {
        "input": {"messages": said("user", q)},
        "preferred_output": said("assistant", f"{q}!"),
        "non_preferred_output": said("assistant", f"{q}?"),
    },
}


def said(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


@pytest.mark.parametrize("name", ["messages", "prompt", "completion", "input", "preferred_output"])
@pytest.mark.parametrize("form", OWN)
def test_keys_of_the_row_itself_are_fields_as_well(project: Any, form: str, name: str) -> None:
    rows = [{name: f"other {q}", **OWN[form](q)} for q in "ab"]
    project.rows(rows)
    done = project.prepare({"metadata": [name, name], "split": {"test": 1, "by": "row" if name == "prompt" else name}})
    (item,) = items(done.parts["test"])
    assert item["metadata"] in [{name: row[name]} for row in rows]


def test_where_looks_at_keys_of_the_row_itself(project: Any) -> None:
    project.rows([OWN["completion"](q) for q in "ab"])
    for where in ({"prompt": "a"}, {"completion": ["a!"]}):
        assert project.prepare({"sources": [{"path": "data/rows.jsonl", "where": where}]}).parts["train"].rows == 1
    project.rows([OWN["chat"](q) for q in "ab"])
    assert problems(project, {"sources": [{"path": "data/rows.jsonl", "where": {"messages": "a"}}]}) == [("where", 0)]
