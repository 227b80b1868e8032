"""Prompt baking: a teacher on the embedded provider answers each question once; answers are a committed file."""

import json
from pathlib import Path
from typing import Any

import pytest

import ftspec
from ftspec.compose import Project
from ftspec.data import read_rows
from ftspec.spec.errors import DataError, GateError
from ftspec.spec.events import Event

BODY = """\
defaults: [config, _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl, where: {text: [QUESTIONS]}}]
  messages:
    - {role: system, content: Short.}
    - {role: user, content: "{{ text }}"}
  bake:
    model: tiny
    into: data/answers.jsonl
    prompt: Say which animal it is. Answer with one word.
    params: {max_completion_tokens: 8}
"""


@pytest.fixture
def project(demo: Any) -> Path:
    root: Path = demo.root
    texts = [json.loads(line)["text"] for line in (root / "data/rows.jsonl").read_text().splitlines()][:14]
    (root / "experiments/x.yaml").write_text(BODY.replace("QUESTIONS", ", ".join(json.dumps(text) for text in texts)))
    return root


def bake(root: Path, seen: list[Event]) -> Any:
    return ftspec.run("x", project=root, options=ftspec.RunOptions(only=("data",)), emit=seen.append)


def asked(seen: list[Event]) -> int:
    return sum(getattr(event, "code", "") == "bake" for event in seen)


def test_a_teacher_is_asked_once_and_its_prompt_is_not_learned(project: Path) -> None:
    with pytest.raises(DataError) as caught:
        ftspec.plan("x", project=project)
    assert [p.code for p in caught.value.problems] == ["not_baked"]
    first: list[Event] = []
    bake(project, first)
    assert asked(first) == 1
    lines = [json.loads(line) for line in (project / "data/answers.jsonl").read_text().splitlines()]
    assert {line["messages"][0]["content"][:20] for line in lines} == {"Say which animal it "}
    assert {line["teacher"]["model"] for line in lines} == {"tiny"}
    plan = ftspec.plan("x", project=project)
    rows = list(read_rows(plan.runs[0].prepared.parts["train"]))
    answers = {line["messages"][-1]["content"]: line["answer"] for line in lines}
    assert [m["role"] for m in rows[0]["messages"]] == ["system", "user", "assistant"]
    assert all(row["messages"][0]["content"] == "Short." for row in rows)
    assert all(row["messages"][2]["content"] == answers[row["messages"][1]["content"]] for row in rows)
    kept = (project / "data/answers.jsonl").read_bytes()
    again: list[Event] = []
    bake(project, again)
    assert asked(again) == 0
    assert (project / "data/answers.jsonl").read_bytes() == kept
    other = (project / "experiments/x.yaml").read_text().replace("one word", "two words")
    (project / "experiments/x.yaml").write_text(other)
    with pytest.raises(DataError, match="questions have no answer of tiny"):
        ftspec.plan("x", project=project)


def test_a_paid_teacher_needs_a_yes(project: Path) -> None:
    text = (project / "experiments/x.yaml").read_text()
    text = text.replace("    model: tiny\n    into", "    provider: {profile: openai}\n    model: gpt-4.1\n    into")
    (project / "experiments/x.yaml").write_text(text)
    with pytest.raises(GateError, match="to be paid for"):
        bake(project, [])
    assert not (project / "data/answers.jsonl").exists()


def test_a_broken_file_of_answers_names_its_line(project: Path) -> None:
    (project / "data/answers.jsonl").write_text('{"key": "a", "answer": "b"}\n{"key": 1}\n')
    with pytest.raises(DataError) as caught:
        ftspec.plan("x", project=project)
    assert [(p.code, p.file, p.line) for p in caught.value.problems] == [("baked", "data/answers.jsonl", 2)]
    assert Project(project).root == project
