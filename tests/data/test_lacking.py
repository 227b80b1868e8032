"""Fields that a template names and rows lack: told once, at the template or at the first row that lacks them."""

from typing import Any

import pytest

from ftspec.data import template
from ftspec.data.lacking import nearest
from ftspec.spec.errors import DataError

ANSWER = {"role": "assistant", "content": "{{ answer }}"}


def told(project: Any, asked: str, **dataset: Any) -> list[str]:
    messages = [{"role": "user", "content": asked}, ANSWER]
    with pytest.raises(DataError) as caught:
        project.prepare({"messages": messages, **dataset})
    return [str(problem) for problem in caught.value.problems]


def test_what_no_row_has_is_told_once_at_the_template(project: Any) -> None:
    project.rows([{"question": f"q {n}", "answer": "a"} for n in range(1500)])
    assert told(project, "{{ questoin }}") == [
        "dataset.messages[0].content: no row has a field questoin (data/rows.jsonl:1: the row has: question, answer); "
        "did you mean question? [missing_field]"
    ]


def test_what_some_rows_lack_is_told_once_at_the_first_of_them(project: Any) -> None:
    rows = [{"question": "q", "answer": "a"}, {"answer": "a"}, {"question": None, "answer": "a"}, {"answer": "a"}]
    project.rows(rows)
    assert told(project, "{{ question }} and {{ question }}") == [
        "data/rows.jsonl:2: no field question in 2 of 4 rows (the row has: answer) [missing_field]",
        "data/rows.jsonl:3: field question is null in 1 of 4 rows [null_field]",
    ]


def test_a_file_without_the_field_is_told_beside_one_that_has_it(project: Any) -> None:
    project.rows([{"question": "q", "answer": "a"}], "data/a.jsonl")
    project.rows([{"Question": "q", "answer": "a"}] * 3, "data/b.jsonl")
    assert told(project, "{{ question }}", sources=[{"path": "data/*.jsonl"}]) == [
        "data/b.jsonl:1: no field question in all 3 rows of the file (the row has: Question, answer); did you mean "
        "Question? [missing_field]"
    ]


def test_rows_are_counted_where_all_stand_in_one_line(project: Any) -> None:
    project.raw(b'[{"question": "q", "answer": "a"}, {"answer": "a"}, {"answer": "a"}]', "data/all.json")
    sources = [{"path": "data/all.json"}]
    assert "no field question in 2 of 3 rows" in told(project, "{{ question }} {{ question }}", sources=sources)[0]
    assert "no row has a field qestion" in told(project, "{{ qestion }}", sources=sources)[0]


def test_a_missing_field_hides_no_other_mistake(project: Any) -> None:
    project.raw(b'{"question": "q", "answer": "a"}\n{"question": \n{"question": "q", "answer": 1e400}\n')
    said = told(project, "{{ qestion }}", split={"by": "custmer"})
    assert [one.split(":")[0] for one in said] == ["dataset.messages[0].content", "dataset.split.by"] + [
        "data/rows.jsonl"
    ] * 2


def test_where_and_replace_are_silent_where_rows_could_not_be_read(project: Any) -> None:
    """What no row has may stand in the one that is broken."""
    project.raw(b'{"question": "q", "answer": "a"}\n{"question": \n')
    said = told(project, "{{ question }}", replace={"answer": {"b": "B"}})
    assert len(said) == 1
    project.rows([{"question": "q", "answer": "a"}])
    assert told(project, "{{ question }}", replace={"answer": {"b": "B"}, "anser": {"x": "y"}}) == [
        "dataset.replace.anser: no row has a field 'anser'; did you mean answer? [replace]",
        "dataset.replace.answer: no row has 'b' in answer [replace]",
    ]


def test_fields_to_extract_from_are_paths_too(project: Any) -> None:
    project.rows([{"question": "q", "meta": {"answer": "x #1"}}] * 3)
    pattern = r"(?P<answer>\d)"
    assert told(project, "{{ question }}", extract={"meta.anser": pattern}) == [
        "dataset.extract[meta.anser]: no row has a field meta.anser (data/rows.jsonl:1: meta has: answer); did you "
        "mean meta.answer? [missing_field]"
    ]
    done = project.prepare(
        {"messages": [{"role": "user", "content": "{{ question }}"}, ANSWER], "extract": {"meta.answer": pattern}}
    )
    assert done.parts["train"].rows == 3


ROW = {"question": "q", "meta": {"Customer name": "c", "turns": [{"text": "t"}]}, "a.b": 1, "label": "x"}


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("qestion", "question"),
        ("QUESTION", "question"),
        ("meta.customer_name", 'meta["Customer name"]'),
        ("meta.turns[0].txt", "meta.turns[0].text"),
        ("meat.turns[0].text", "meta.turns[0].text"),
        ("meat.turns[0].words", "meta"),
        ("turns", "meta.turns"),
        ("a.b", '["a.b"]'),
        ("meta.turns[3]", ""),
        ("label.name", ""),
        ("unrelated", ""),
    ],
)
def test_the_path_that_was_meant(path: str, meant: str) -> None:
    assert nearest(template.place_of(path), ROW) == meant
    if meant:
        template.place_of(meant).find(ROW)


def test_a_file_without_rows_is_told_beside_one_that_lacks_a_field(project: Any) -> None:
    project.rows([{"answer": "a"}], "data/a.jsonl").raw(b"\n\n", "data/b.jsonl")
    said = told(project, "{{ question }}", sources=[{"path": "data/a.jsonl"}, {"path": "data/b.jsonl"}])
    assert [one.rpartition("[")[2] for one in said] == ["missing_field]", "empty_file]"]


def test_metadata_that_no_row_has_is_a_mistake_and_what_some_lack_is_none(project: Any) -> None:
    project.rows([{"question": f"q {n}", "answer": "a", **({"team": "x"} if n else {})} for n in range(20)])
    assert told(project, "{{ question }}", metadata=["team", "teem"]) == [
        "dataset.metadata[1]: no row has a field 'teem'; did you mean team? [missing_field]"
    ]
    assert told(project, "{{ question }}", metadata=["customer"]) == [
        "dataset.metadata[0]: no row has a field 'customer'; there are: question, answer, team [missing_field]"
    ]


def test_metadata_of_ready_rows_is_looked_for_too(project: Any) -> None:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    project.rows([{"messages": messages, **({"team": "x"} if n else {})} for n in range(20)])
    with pytest.raises(DataError) as caught:
        project.prepare({"metadata": ["team", "customer"]})
    assert [str(problem) for problem in caught.value.problems] == [
        "dataset.metadata[1]: no row has a field 'customer'; there are: team [missing_field]"
    ]
