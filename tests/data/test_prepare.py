"""The whole path: contract of the result, canonical bytes, parts, cache, errors with their places."""

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import rfc8785

from ftspec.data import RowRules, SplintrCounter, items, read_rows
from ftspec.spec.errors import DataError, SpecError, UnsafeError


def many(make_chat: Any, n: int = 40) -> list[dict[str, Any]]:
    return [make_chat(f"question {i}", f"answer {i % 5}") for i in range(n)]


def test_contract(project: Any, make_chat: Any) -> None:
    project.rows(many(make_chat, 200))
    done = project.prepare({"split": {"validation": 0.1, "test": 20}})
    assert set(done.parts) == {"train", "valid", "test"}
    assert done.parts["test"].rows == 20
    assert sum(part.rows for part in done.parts.values()) == 200
    for part in done.parts.values():
        assert hashlib.sha256(part.path.read_bytes()).hexdigest() == part.sha256
        assert part.bytes == part.path.stat().st_size
        assert part.messages == 2 * part.rows
        assert part.learned_messages == part.rows
    assert done.references[0][1] >= done.references[-1][1]
    assert [text for text, _ in done.references]
    assert done.row_format == "chat"
    assert done.overlap == 0
    assert done.counter.startswith("estimate")
    assert not done.exact
    records = [json.loads(line) for line in done.rows.read_text().splitlines()]
    assert len(records) == 200
    assert [r["line"] for r in records] == list(range(1, 201))
    assert sum(r["learned"] for r in records if r["part"] == "train") == done.parts["train"].learned_tokens
    item = next(items(done.parts["test"]))
    assert set(item) == {"id", "messages", "reference", "metadata"}
    assert len(item["id"]) == 16
    assert item["messages"][-1]["role"] == "user"
    assert item["reference"].startswith("answer")


def test_lines_are_canonical(project: Any, make_chat: Any) -> None:
    odd = "".join(map(chr, [*range(0, 0x3000, 7), 0x2028, 0x2029, 0xFFFF, 0x1F600]))
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"max": 1.0, "é": 1e-7, "type": "object"}}}]
    project.rows([make_chat(odd, f"a {i}", tools=tools) for i in range(3)])
    done = project.prepare()
    for line in done.parts["train"].path.read_bytes().split(b"\n")[:-1]:
        assert line == rfc8785.dumps(json.loads(line))


def test_template_inserts_text_once(project: Any) -> None:
    project.rows([{"text": "say {{ label }} and {{ x", "label": "l", "n": 3}] * 2)
    messages = [{"role": "user", "content": "<{{ text }}> {{ n }}"}, {"role": "assistant", "content": "{{ n }}"}]
    done = project.prepare({"messages": messages})
    row = next(read_rows(done.parts["train"]))
    assert row["messages"] == [
        {"content": "<say {{ label }} and {{ x> 3", "role": "user"},
        {"content": "3", "role": "assistant"},
    ]


def test_missing_field_names_file_and_line(project: Any) -> None:
    project.rows([{"text": "a", "label": "b"}, {"text": "a"}, {"text": None, "label": "b"}])
    messages = [{"role": "user", "content": "{{ text }}"}, {"role": "assistant", "content": "{{ label }}"}]
    with pytest.raises(DataError) as caught:
        project.prepare({"messages": messages})
    found = [(p.code, p.file, p.line) for p in caught.value.problems]
    assert found == [("missing_field", "data/rows.jsonl", 2), ("null_field", "data/rows.jsonl", 3)]


def test_csv_json_gzip_and_bom_give_the_same_rows(project: Any) -> None:
    rows = [{"q": "a, b", "a": "x\ny"}, {"q": 'say "hi"', "a": "é"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    project.raw(lines, "data/a.jsonl")
    project.raw(b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n").rstrip(), "data/b.jsonl")
    project.raw(gzip.compress(lines), "data/c.jsonl.gz")
    project.raw(json.dumps(rows, indent=2).encode(), "data/d.json")
    project.raw('q,a\r\n"a, b","x\ny"\r\n"say ""hi""",é\r\n'.encode(), "data/e.csv")
    messages = [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ a }}"}]
    shas = set()
    for name in ("a.jsonl", "b.jsonl", "c.jsonl.gz", "d.json", "e.csv"):
        done = project.prepare({"sources": [{"path": f"data/{name}"}], "messages": messages})
        shas.add(done.parts["train"].sha256)
    assert len(shas) == 1
    lines_of = [json.loads(line)["line"] for line in done.rows.read_text().splitlines()]
    assert lines_of == [2, 4]


@pytest.mark.parametrize(
    ("data", "code", "line", "column"),
    [
        (b'{"messages": [}\n', "json", 1, 15),
        (b'{"messages": []}\n', "messages", 1, 0),
        (b'{"text": "x"}\n', "messages", 1, 0),
        (b'{"conversations": []}\n', "sharegpt", 1, 0),
        (b"[]\n", "json", 1, 0),
        (b'{"messages": [{"role": "user", "content": "x\xff"}]}\n', "not_utf8", 1, 45),
        (
            b'{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": "x"}]}\n',
            "surrogate",
            1,
            0,
        ),
        (b'{"messages": [{"role": "user", "content": NaN}]}\n', "json", 1, 0),
        (b'{"messages": [{"role": "user", "content": "x"}]}\n', "assistant", 1, 0),
        (b"\x00\x00\n", "nul", 1, 1),
        (
            b'{"messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "x"}]}\n',
            "last_message",
            1,
            0,
        ),
        (b'{"messages": [{"role": "assistant"}]}\n', "content", 1, 0),
        (b'{"messages": [{"role": "bot", "content": "x"}]}\n', "role", 1, 0),
        (b'{"messages": [{"role": "assistant", "content": "x", "wieght": 1}]}\n', "keys", 1, 0),
        (b'{"prompt": "x", "completion": ""}\n', "completions", 1, 0),
        (b'{"prompt": "x", "completion": 3}\n', "content", 1, 0),
        (b'{"messages": [{"role": "assistant", "content": "x"}], "tools": {}}\n', "tools", 1, 0),
    ],
)
def test_bad_rows(project: Any, make_chat: Any, data: bytes, code: str, line: int, column: int) -> None:
    first = {"prompt": "p", "completion": "c"} if b"prompt" in data else make_chat("a", "b")
    good = json.dumps(first).encode() + b"\n"
    project.raw(good + data + good)
    with pytest.raises(DataError) as caught:
        project.prepare()
    problem = caught.value.problems[0]
    assert (problem.code, problem.file, problem.line, problem.column) == (code, "data/rows.jsonl", line + 1, column)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("weight", ["2", "true", "1.0", '"1"', "0.5", "-1"])
def test_wrong_weight(project: Any, make_chat: Any, weight: str) -> None:
    good = json.dumps(make_chat("a", "b"))
    bad = json.dumps(make_chat("a", "b")).replace('"b"', f'"b", "weight": {weight}')
    project.raw(f"{good}\n{bad}\n".encode())
    with pytest.raises(DataError) as caught:
        project.prepare()
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.path) == ("weight", 2, "messages[1].weight")


def test_weight_on_a_user_message(project: Any, make_chat: Any) -> None:
    row = make_chat("a", "b")
    row["messages"][0]["weight"] = 0
    project.rows([make_chat("c", "d"), row])
    with pytest.raises(DataError) as caught:
        project.prepare()
    assert (caught.value.problems[0].code, caught.value.problems[0].line) == ("weight", 2)


def test_weights_are_written_only_where_they_differ(project: Any) -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 0},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d", "weight": 1},
    ]
    project.rows([{"messages": messages}] * 2)
    row = next(read_rows(project.prepare().parts["train"]))
    assert [m.get("weight") for m in row["messages"]] == [None, 0, None, None]
    row = next(read_rows(project.prepare(weights={"existing": "override"}).parts["train"]))
    assert [m.get("weight") for m in row["messages"]] == [None] * 4
    with pytest.raises(DataError):
        project.prepare(weights={"existing": "error"})


def test_all_problems_at_once_then_counts(project: Any, make_chat: Any) -> None:
    project.rows([make_chat("a", "b")] + [{"messages": []}] * 130 + [{"oops": 1}] * 5)
    with pytest.raises(DataError) as caught:
        project.prepare()
    problems = caught.value.problems
    assert len(problems) == 101
    assert "35 more" in problems[-1].message
    project.rows([{"oops": 1}] * 1500)
    with pytest.raises(DataError) as caught:
        project.prepare()
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1].code == "many_bad_rows"


def test_files_that_cannot_be_used(project: Any, make_chat: Any) -> None:
    project.rows(many(make_chat), "data/tickets.jsonl").raw(b"", "data/none.jsonl")
    with pytest.raises(DataError) as caught:
        project.prepare({"sources": [{"path": "data/tikets.jsonl"}, {"path": "data/none.jsonl"}, {"path": "x/*.csv"}]})
    first, second, third = caught.value.problems
    assert first.code == "missing_file"
    assert first.path == "dataset.sources[0].path"
    assert first.fix == "did you mean data/tickets.jsonl?"
    assert (second.code, third.code) == ("empty_file", "missing_file")
    whole = gzip.compress((project.root / "data/tickets.jsonl").read_bytes())
    project.raw(whole[: len(whole) // 2], "data/cut.jsonl.gz").raw(b"not gzip", "data/no.jsonl.gz")
    for name, code in (("cut", "truncated"), ("no", "gzip")):
        with pytest.raises(DataError) as caught:
            project.prepare({"sources": [{"path": f"data/{name}.jsonl.gz"}]})
        assert code in {p.code for p in caught.value.problems}
    for path in ("../x.jsonl", "/etc/passwd", "~/x.jsonl", "data/../../x"):
        with pytest.raises(UnsafeError):
            project.prepare({"sources": [{"path": path}]})


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (b"a,b\n1\n", "csv", 2),
        (b'a,b\n1,2\n3,"4\n', "csv", 3),
        (b"a,a\n1,2\n", "csv", 1),
        (b"a,\n1,2\n", "csv", 1),
        (b"a,b\n1,\xff\n", "not_utf8", 1),
        (b"a,b\n1,\x002\n", "nul", 2),
        (b"a,b\n", "empty_file", 0),
    ],
)
def test_bad_csv(project: Any, data: bytes, code: str, line: int) -> None:
    project.raw(data, "data/x.csv")
    messages = [{"role": "user", "content": "{{ a }}"}, {"role": "assistant", "content": "{{ b }}"}]
    with pytest.raises(DataError) as caught:
        project.prepare({"sources": [{"path": "data/x.csv"}], "messages": messages})
    assert caught.value.problems[0].code == code
    assert caught.value.problems[0].line == line


def test_broken_json_list_has_line_and_column(project: Any) -> None:
    project.raw(b'[\n  {"a": 1},\n  {"a" 2}\n]', "data/x.json")
    with pytest.raises(DataError) as caught:
        project.prepare({"sources": [{"path": "data/x.json"}]})
    (problem,) = caught.value.problems
    assert (problem.code, problem.line, problem.column) == ("json", 3, 8)


def test_number_of_rows(project: Any, make_chat: Any) -> None:
    project.rows(many(make_chat, 9))
    with pytest.raises(DataError) as caught:
        project.prepare(limits=RowRules())
    assert caught.value.code == "n_rows"
    project.rows(many(make_chat, 49))
    assert [(p.code, p.severity) for p in project.prepare(limits=RowRules()).problems] == [("few_rows", "warning")]
    project.rows(many(make_chat, 50))
    assert project.prepare(limits=RowRules()).problems == ()


def test_pin(project: Any, make_chat: Any) -> None:
    project.rows(many(make_chat))
    right = hashlib.sha256((project.root / "data/rows.jsonl").read_bytes()).hexdigest()
    project.prepare({"sources": [{"path": "data/rows.jsonl", "sha256": right}]})
    with pytest.raises(DataError) as caught:
        project.prepare({"sources": [{"path": "data/rows.jsonl", "sha256": "0" * 64}]})
    assert caught.value.code == "pin"
    assert right in caught.value.problems[0].fix


class TestCache:
    def test_second_call_reads_no_data(self, project: Any, make_chat: Any, monkeypatch: Any) -> None:
        project.cache = project.root / "cache"
        project.rows(many(make_chat, 200))
        first = project.prepare({"split": {"test": 20}})
        opened: list[str] = []
        original = Path.open

        def spy(self: Path, *args: Any, **kwargs: Any) -> Any:
            opened.append(str(self))
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Path, "open", spy)
        assert project.prepare({"split": {"test": 20}}) == first
        assert not [path for path in opened if "cache" not in path]
        assert not [path for path in opened if path.endswith(".jsonl")]

    def test_broken_entry_is_made_again(self, project: Any, make_chat: Any) -> None:
        project.cache = project.root / "cache"
        project.rows(many(make_chat, 60))
        first = project.prepare()
        for path in sorted(project.cache.rglob("*")):
            if path.is_file():
                path.write_bytes(b"broken")
        again = project.prepare()
        assert again.parts["train"].sha256 == first.parts["train"].sha256
        assert again.parts["train"].path.stat().st_size == again.parts["train"].bytes

    def test_altered_index_is_made_again(self, project: Any, make_chat: Any) -> None:
        project.cache = project.root / "cache"
        project.rows(many(make_chat, 60))
        project.prepare()
        for path in (project.cache / "rows").rglob("*.index"):
            path.write_bytes(bytes(path.stat().st_size))
        assert project.prepare(weights={"train_on": "last_assistant_message"}).parts["train"].rows == 60

    def test_unwritable_cache_is_no_failure(self, project: Any, make_chat: Any) -> None:
        (project.root / "cache").write_text("a file where the folder should be")
        project.cache = project.root / "cache"
        project.rows(many(make_chat))
        done = project.prepare()
        assert done.parts["train"].path.exists()
        assert not done.parts["train"].path.is_relative_to(project.root)

    def test_changed_file_is_seen(self, project: Any, make_chat: Any) -> None:
        project.cache = project.root / "cache"
        project.rows([make_chat("a", "b1")] * 3)
        first = project.prepare()
        project.rows([make_chat("a", "b2")] * 3)
        assert project.prepare().parts["train"].sha256 != first.parts["train"].sha256
        os.utime(project.root / "data/rows.jsonl", ns=(0, 0))
        assert project.prepare().parts["train"].rows == 3

    def test_weights_change_counts_nothing(self, project: Any, make_chat: Any) -> None:
        project.cache = project.root / "cache"
        project.rows(many(make_chat))
        calls: list[int] = []
        count = project.counter.count
        project.counter.count = lambda texts: calls.append(len(texts)) or count(texts)
        project.prepare()
        before = len(calls)
        assert before
        project.prepare(weights={"train_on": "last_assistant_turn"})
        project.prepare({"split": {"test": 5}})
        assert len(calls) == before


def test_leak_by_row(project: Any, make_chat: Any) -> None:
    project.rows([make_chat(f"same {i % 20}", f"answer {i}") for i in range(200)])
    done = project.prepare({"split": {"test": 50, "by": "row"}})
    assert done.overlap > 0
    assert [p.code for p in done.problems] == ["leak"]
    assert project.prepare({"split": {"test": 50}}).overlap == 0


def test_part_files(project: Any, make_chat: Any) -> None:
    project.rows(many(make_chat)).rows([make_chat("other", "x")], "data/valid.jsonl")
    done = project.prepare({"split": {"validation": {"path": "data/valid.jsonl"}}})
    assert done.parts["valid"].rows == 1
    assert done.parts["train"].rows == 40


def test_completion_rows(project: Any) -> None:
    project.rows([{"prompt": f"p{i}", "completion": f" c{i % 2}"} for i in range(30)])
    done = project.prepare({"split": {"test": 3}})
    assert done.row_format == "completion"
    assert next(read_rows(done.parts["train"])).keys() == {"prompt", "completion"}
    assert next(items(done.parts["test"]))["messages"][0]["role"] == "user"
    with pytest.raises(DataError):
        project.prepare(weights={"train_on": "all_messages"}, limits=RowRules(roles=("user", "assistant")))


def test_mixed_formats(project: Any, make_chat: Any) -> None:
    project.rows([make_chat("a", "b"), {"prompt": "p", "completion": "c"}])
    with pytest.raises(DataError) as caught:
        project.prepare()
    assert caught.value.code == "format"


def test_tool_rows(project: Any) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    messages = [
        {"role": "user", "content": "do"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        {"role": "assistant", "content": "done"},
    ]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    project.rows([{"messages": messages, "tools": tools}] * 2)
    done = project.prepare()
    row = next(read_rows(done.parts["train"]))
    assert "content" not in row["messages"][1]
    assert row["messages"][1]["tool_calls"] == [call]
    assert row["tools"] == tools


def test_dataset_tools_and_file_references(project: Any, make_chat: Any) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    project.rows(many(make_chat)).raw(json.dumps(tools).encode(), "tools.json")
    done = project.prepare({"tools": {"file": "tools.json"}})
    assert next(read_rows(done.parts["train"]))["tools"] == tools
    assert done.parts["train"].sha256 == project.prepare({"tools": tools}).parts["train"].sha256
    with pytest.raises(SpecError):
        project.prepare({"tools": {"file": "nothing.json"}})
    with pytest.raises(SpecError):
        project.prepare({"tools": [{"name": "f"}]})


def test_row_counter_is_used(project: Any, make_chat: Any) -> None:
    class Whole:
        name, identity, exact = "whole", "w1", True

        def count(self, texts: Any) -> Any:
            raise AssertionError("count_row is there")

        def count_row(self, messages: list[dict[str, Any]], tools: Any) -> list[int]:
            assert messages[0]["role"] == "user"
            return [10, 3, 1]

    project.counter = Whole()
    project.rows(many(make_chat, 20))
    train = project.prepare().parts["train"]
    assert (train.tokens, train.learned_tokens) == (20 * 14, 20 * 3)


def test_cookbook_formula(project: Any) -> None:
    system = "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."
    pairs = [
        ("example_user", "New synergies will help drive top-line growth."),
        ("example_assistant", "Things working well together will increase revenue."),
        (
            "example_user",
            "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        ),
        ("example_assistant", "Let's talk later when we're less busy about how to do better."),
    ]
    last = "This late pivot means we don't have time to boil the ocean for the client deliverable."
    messages = [{"role": "system", "content": system}]
    messages += [{"role": "system", "name": name, "content": text} for name, text in pairs]
    messages += [{"role": "user", "content": last}]
    from ftspec.data.tokens import count_chat

    assert count_chat(SplintrCounter("cl100k_base"), messages) == 129
    assert count_chat(SplintrCounter("o200k_base"), messages) == 124
