"""`where`, `fraction`, `count` and `schema` of a source: which raw rows are used, and what is said about the others."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ftspec.data import read_rows
from ftspec.data.selection import Selection
from ftspec.spec.dataset import Source
from ftspec.spec.errors import DataError, SpecError

MESSAGES = [{"role": "user", "content": "{{ text }}"}, {"role": "assistant", "content": "{{ queue }}"}]
ROWS = [
    {
        "text": f"question {n}",
        "queue": ("card", "cash", "loan")[n % 3],
        "n": n,
        "meta": {"lang": "en" if n % 2 else "de"},
    }
    for n in range(60)
]


def texts(done: Any, part: str = "train") -> list[str]:
    return [row["messages"][0]["content"] for row in read_rows(done.parts[part])]


def source(**more: Any) -> dict[str, Any]:
    return {"sources": [{"path": "data/rows.jsonl", **more}], "messages": MESSAGES}


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ({"queue": "cash"}, lambda r: r["queue"] == "cash"),
        ({"queue": ["cash", "loan"]}, lambda r: r["queue"] != "card"),
        ({"queue": "card", "meta.lang": "en"}, lambda r: r["queue"] == "card" and r["meta"]["lang"] == "en"),
        ({"n": [1, 2, 3.0]}, lambda r: r["n"] in (1, 2, 3)),
    ],
)
def test_where_keeps_equal_rows_alone(project: Any, where: Any, kept: Any) -> None:
    done = project.rows(ROWS).prepare(source(where=where))
    assert texts(done) == [row["text"] for row in ROWS if kept(row)]
    lines = [json.loads(line)["line"] for line in done.rows.read_text().splitlines()]
    assert lines == [n for n, row in enumerate(ROWS, 1) if kept(row)]


@pytest.mark.parametrize(
    ("where", "path", "words"),
    [
        ({"que": "cash"}, "where.que", "did you mean queue?"),
        ({"queue": ["cash", "crad"]}, "where.queue", "did you mean card?"),
        ({"n": "3"}, "where.n", "no row has '3' in n"),
        ({"n": True}, "where.n", "no row has True in n"),
        ({"queue": "cash", "n": 0}, "where", "no row meets all conditions"),
        ({"meta.land": "en"}, "where.meta.land", "no field"),
    ],
)
def test_where_that_fits_nothing_is_an_error_at_its_place(project: Any, where: Any, path: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        project.rows(ROWS).prepare(source(where=where))
    (problem,) = caught.value.problems
    assert (problem.code, problem.path) == ("where", f"dataset.sources[0].{path}")
    assert words in str(problem).replace("has a field", "no field")


def test_csv_values_are_text_and_said_to_be(project: Any) -> None:
    project.raw(b"text,queue,year\na,x,2020\nb,y,2021\n", "data/rows.csv")
    dataset = {"sources": [{"path": "data/rows.csv", "where": {"year": 2020}}], "messages": MESSAGES}
    with pytest.raises(DataError, match='values of this field are text: write "2020"'):
        project.prepare(dataset)
    dataset["sources"][0]["where"] = {"year": "2020"}  # type: ignore[index]
    assert texts(project.prepare(dataset)) == ["a"]


def test_where_over_a_glob_may_leave_a_file_empty(project: Any) -> None:
    project.rows(ROWS[:1], "data/a.jsonl").rows(ROWS[1:2], "data/b.jsonl")
    done = project.prepare({"sources": [{"path": "data/*.jsonl", "where": {"queue": "cash"}}], "messages": MESSAGES})
    assert texts(done) == ["question 1"]
    assert [(s.path, s.rows) for s in done.sources] == [("data/a.jsonl", 0), ("data/b.jsonl", 1)]


def test_where_on_ready_rows_allows_the_field(project: Any, make_chat: Any) -> None:
    project.rows([make_chat("a", "b", lang="en"), make_chat("c", "d", lang="de")])
    done = project.prepare({"sources": [{"path": "data/rows.jsonl", "where": {"lang": "de"}}]})
    assert [row["messages"][0]["content"] for row in read_rows(done.parts["train"])] == ["c"]
    assert "lang" not in next(read_rows(done.parts["train"]))


def test_a_part_with_a_file_of_its_own_is_a_source(project: Any) -> None:
    project.rows(ROWS).rows(ROWS, "data/test.jsonl")
    split = {"test": {"path": "data/test.jsonl", "where": {"queue": "loan"}, "count": 7}}
    done = project.prepare({**source(where={"queue": ["card", "cash"]}), "split": split})
    assert (done.parts["train"].rows, done.parts["test"].rows) == (40, 7)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2) | st.booleans() | st.none())), st.data())
def test_a_selection_is_what_a_comprehension_says(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    fields = data.draw(st.lists(st.sampled_from("abc"), min_size=1, unique=True))
    where = {field: data.draw(st.integers(0, 2) | st.booleans()) for field in fields}
    selection = Selection(where, "x")
    kept = [row for row in rows if selection.keeps(row, "f")]
    assert kept == [row for row in rows if all(repr(row.get(k, "")) == repr(v) for k, v in where.items())]


def test_share_and_cap_of_a_source_nest(project: Any) -> None:
    """A smaller share, a smaller cap and a cap beside a share are parts of the greater; other rows move nobody."""
    project.rows(ROWS)
    half = texts(project.prepare(source(fraction=0.5)))
    assert 15 <= len(half) <= 45
    assert set(texts(project.prepare(source(fraction=0.2)))) < set(half)
    assert len(texts(project.prepare(source(fraction=1.0)))) == 60
    few = texts(project.prepare(source(fraction=0.5, count=4)))
    assert len(few) == 4
    assert set(few) < set(half)
    assert set(few) < set(texts(project.prepare(source(count=9))))
    assert len(texts(project.prepare(source(count=1000)))) == 60
    project.rows(ROWS[:30])
    assert set(texts(project.prepare(source(fraction=0.5)))) == set(half) & {row["text"] for row in ROWS[:30]}


SCHEMA = {
    "type": "object",
    "required": ["text", "queue"],
    "properties": {"text": {"type": "string", "pattern": "^question"}, "queue": {"enum": ["card", "cash", "loan"]}},
    "additionalProperties": {"$ref": "#/$defs/anything"},
    "$defs": {"anything": {"type": ["integer", "object"]}},
}


def test_schema_refuses_raw_rows_with_file_line_and_path(project: Any) -> None:
    project.rows([*ROWS, {"text": "x", "queue": "crad"}, {"text": "question", "extra": "y"}])
    with pytest.raises(DataError) as caught:
        project.prepare(source(schema=SCHEMA))
    found = [(p.code, p.file, p.line, p.path) for p in caught.value.problems]
    rows = "data/rows.jsonl"
    assert sorted(found) == [
        ("schema", rows, 61, "queue"),
        ("schema", rows, 61, "text"),
        ("schema", rows, 62, ""),
        ("schema", rows, 62, "extra"),
    ]
    assert "'queue' is a required property" in str(caught.value)


def test_schema_from_a_file_checks_ready_rows_too(project: Any, make_chat: Any) -> None:
    (project.root / "s.json").write_text(json.dumps({"properties": {"messages": {"maxItems": 2}}}))
    long = {"messages": [*make_chat("a", "b")["messages"], *make_chat("c", "d")["messages"]]}
    project.rows([make_chat("a", "b"), long])
    with pytest.raises(DataError) as caught:
        project.prepare({"sources": [{"path": "data/rows.jsonl", "schema": {"file": "s.json"}}]})
    assert [(p.code, p.line, p.path) for p in caught.value.problems] == [("schema", 2, "messages")]


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "objekt"}, "dataset.sources[0].schema.type"),
        ({"properties": {"text": {"pattern": "("}}}, "schema.properties.text.pattern"),
        ({"$ref": "https://example.com/schema.json"}, "nothing is fetched"),
        ({"$ref": "#/$defs/missing"}, "cannot be used"),
        ({"$ref": "file:///etc/passwd"}, "nothing is fetched"),
    ],
)
def test_a_schema_that_is_none_is_refused(project: Any, schema: Any, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        project.rows(ROWS).prepare(source(schema=schema))
    assert caught.value.code == "schema"
    assert words in str(caught.value)


@pytest.mark.parametrize("where", ["pattern", "patternProperties"])
def test_a_slow_pattern_of_a_schema_stops(project: Any, where: str) -> None:
    bomb = "^(a|aa)+$"
    schema = {"properties": {"text": {"pattern": bomb}}} if where == "pattern" else {"patternProperties": {bomb: {}}}
    project.rows([{"text": "a" * 60 + "!", "queue": "b", "a" * 60 + "!": 1}])
    with pytest.raises(DataError) as caught:
        project.prepare(source(schema=schema))
    assert caught.value.code == "regex_timeout"
    assert caught.value.problems[0].line == 1


@pytest.mark.parametrize("where", [{}, {"a": []}, {"a": {"b": 1}}, {"a": [[1]]}])
def test_where_takes_values_and_lists_of_them(where: Any) -> None:
    with pytest.raises(ValidationError):
        Source.model_validate({"path": "x", "where": where})


def test_banking77_by_intent(project: Any, shared_data: Any) -> None:
    for name in ("train", "test"):
        project.raw((shared_data / "banking77" / f"{name}.csv").read_bytes(), f"data/{name}.csv")
    intents = {"category": ["card_arrival", "cash_withdrawal_charge"]}
    done = project.prepare(
        {
            "sources": [{"path": "data/train.csv", "where": intents, "count": 100}],
            "messages": [{"role": "user", "content": "{{ text }}"}, {"role": "assistant", "content": "{{ category }}"}],
            "split": {"test": {"path": "data/test.csv", "where": intents}},
        }
    )
    assert (done.parts["train"].rows, done.parts["test"].rows) == (100, 80)
    assert {text for text, _ in done.references} == set(intents["category"])
