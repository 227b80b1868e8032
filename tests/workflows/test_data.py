"""Looking at data through the command line: what is learned, sums, overlap, failing items as marked candidates."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.cli.main import main

EXPERIMENT = """\
defaults: [config, _self_]
model: tiny
dataset:
  sources: [{path: data/chats.jsonl}]
  metadata: [lang]
  split: {test: {path: data/test.jsonl}}
weights:
  rules:
    - {name: no-greeting, match: {role: assistant, content_contains: Hello}, weight: 0}
    - {name: german, match: {role: assistant, row: {lang: de}}, weight: 0}
    - {name: late, match: {role: assistant, content_contains: "Hello, "}, weight: 1}
"""


def chat(n: int, lang: str = "en", **flag: Any) -> dict[str, Any]:
    messages = [
        {"role": "user", "content": f"hi, it is {n}"},
        {"role": "assistant", "content": f"Hello, {n}\nhow are you?"},
        {"role": "user", "content": f"tell me more of {n}"},
        {"role": "assistant", "content": f"answer {n}", **flag},
    ]
    return {"messages": messages, "lang": lang}


def write(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sixty chats, half of them with a rule of their own; the test part holds one of them."""
    rows = [chat(n, "de" if n % 10 == 3 else "en", **({"weight": 1} if n == 13 else {})) for n in range(60)]
    write(tmp_path / "data" / "chats.jsonl", rows)
    write(tmp_path / "data" / "test.jsonl", [chat(200), chat(5) | {"lang": "fr"}])
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "x.yaml").write_text(EXPERIMENT.replace("weights:", "weights:\n  on_empty: keep"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*words: str, code: int = 0) -> str:
        assert main(["data", *words]) == code, capsys.readouterr().err
        shown = capsys.readouterr()
        return shown.err if code else shown.out

    return run


def test_learned_text_is_marked_and_deciders_are_named(project: Path, said: Callable[..., str]) -> None:
    text = said("show", "-n", "1")
    assert text.splitlines()[:6] == [
        text.splitlines()[0],
        "  user       hi, it is 0",
        "  assistant  Hello, 0",
        "             how are you?   [no-greeting]",
        "  user       tell me more of 0",
        "> assistant  answer 0",
    ]
    assert re.match(r"data/chats\.jsonl:1   train row 0   learned \d+ of \d+ tokens   0001$", text.splitlines()[0])
    assert "DEAD: always decided earlier" in text
    assert re.search(r"^learned 55 of 240 messages", text, re.MULTILINE)


def test_rows_of_one_rule_and_one_row(project: Path, said: Callable[..., str]) -> None:
    shown = json.loads(said("show", "--rule", "german", "-n", "100", "--json"))
    assert [row["line"] for row in shown["rows"]] == [4, 24, 34, 44, 54]  # 14 carries a weight of its own
    assert shown["rows"][0]["messages"][3]["by"] == "german"
    shown = json.loads(said("show", "--rule", "data", "--json"))
    assert [(row["line"], row["mask"]) for row in shown["rows"]] == [(14, "0001")]
    shown = json.loads(said("show", "--row", "7", "--json"))
    assert [row["number"] for row in shown["rows"]] == [7]
    assert "numbered 0 to 59" in said("show", "--row", "60", code=64)
    assert "rules: data, no-greeting, german, late" in said("show", "--rule", "greeting", code=64)
    assert "it has: train, test" in said("show", "--part", "valid", code=64)


def test_the_proof_stands_in_the_plan(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "data" / "test.jsonl", [chat(200)])
    assert main(["plan"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^ +no-greeting +60 +60 +0 +60 ", out, re.MULTILINE)
    assert re.search(r"^ +german +12 +5 +0 +5 ", out, re.MULTILINE)


def test_the_page_escapes_what_it_shows(project: Path, said: Callable[..., str]) -> None:
    rows = [chat(n) for n in range(20)]
    rows[0]["messages"][0]["content"] = "<script>alert('x')</script>\u202e"
    write(project / "data" / "chats.jsonl", rows)
    assert said("show", "--html", "out/page.html", "-n", "3") == "wrote out/page.html\n"
    page = (project / "out" / "page.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert page.count("<section>") == 4


def test_stats(project: Path, said: Callable[..., str]) -> None:
    shown = json.loads(said("stats", "--json"))
    train, test = shown["parts"]
    assert (train["rows"], train["messages"], test["rows"]) == (60, 240, 2)
    lengths = train["row_tokens"]
    assert lengths["low"] <= lengths["p5"] <= lengths["median"] <= lengths["p95"] <= lengths["high"]
    assert sum(lengths["bins"]) == 60
    assert train["distinct_answers"] == 60
    assert train["answers"] == []
    assert "tokens by" in said("stats")


def test_overlap_has_levels_and_pairs(project: Path, said: Callable[..., str]) -> None:
    (project / "conf" / "evals").mkdir(parents=True)
    items = [
        {"messages": chat(7)["messages"][:3], "reference": "x"},
        {"messages": chat(8)["messages"][:1], "reference": "x"},
        {"messages": [*chat(9)["messages"][:2], {"role": "user", "content": "TELL me more of: 9!"}], "reference": "x"},
        {"messages": [{"role": "user", "content": "something else"}], "reference": "x"},
    ]
    write(project / "data" / "items.jsonl", items)
    (project / "conf" / "evals" / "outside.yaml").write_text(
        "outside:\n  data: {path: data/items.jsonl}\n  graders: {same: {type: string_check}}\n"
    )
    shown = json.loads(said("overlap", "evals=[outside]", "--json"))["overlaps"]
    found = {one["other"]: {key: one[key] for key in one if key.startswith("same")} for one in shown}
    assert found["test"] == {"same_row": 1, "same_prompt": 0, "same_prefix": 0, "same_text": 0}
    assert found["outside"] == {"same_row": 0, "same_prompt": 1, "same_prefix": 1, "same_text": 1}
    pairs = {pair["level"]: pair["row"] for one in shown for pair in one["pairs"]}
    lines = {"row": 6, "prompt": 8, "prefix": 9, "text": 10}
    assert pairs == {level: f"data/chats.jsonl:{line}" for level, line in lines.items()}
    assert "suite outside" in said("overlap", "evals=[outside]")


def test_items_among_the_rows_are_told_by_the_plan(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test_rows = project / "data" / "test.jsonl"
    write(test_rows, [chat(200)])
    (project / "conf" / "evals").mkdir(parents=True)
    write(project / "data" / "items.jsonl", [{"messages": chat(7)["messages"][:3], "reference": "x"}])
    suite = "outside:\n  data: {path: data/items.jsonl}\n  graders: {same: {type: string_check}}\n"
    (project / "conf" / "evals" / "outside.yaml").write_text(suite)
    for _ in range(2):  # the second time out of the cache
        assert main(["validate", "evals=[outside]", "--json"]) == 0
        problems = {p["code"]: p for p in json.loads(capsys.readouterr().out)["problems"]}
        assert (problems["eval_overlap"]["file"], problems["eval_overlap"]["line"]) == ("data/chats.jsonl", 8)
        assert "eval_prompt" not in problems
    request = '  request: {messages: [{role: system, content: Be rude.}, {role: user, content: "{{ item.q }}"}]}\n'
    write(project / "data" / "items.jsonl", [{"q": "something else", "reference": "x"}])
    (project / "conf" / "evals" / "outside.yaml").write_text(suite + request)
    assert main(["validate", "evals=[outside]", "--json"]) == 0
    problems = {p["code"]: p for p in json.loads(capsys.readouterr().out)["problems"]}
    assert problems["eval_prompt"]["path"] == "evals.outside"
    assert "eval_overlap" not in problems


def test_a_leaking_row_is_an_error_until_lowered_with_a_reason(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "data" / "test.jsonl", [chat(5)])
    assert main(["validate"]) == 65
    assert "[leak_row]" in capsys.readouterr().err
    with (project / "experiments" / "x.yaml").open("a") as stream:
        stream.write("lint: {leak_row: {level: ignore, reason: a smoke test}}\n")
    assert main(["validate"]) == 0


def test_harvest_marks_held_out_items(sweep: Any) -> None:
    shown = sweep.json("plan", "demo")
    label = shown["runs"][0]["label"]
    assert "say which with --run" in sweep.ftspec("data", "harvest").stderr
    done = sweep.ftspec("data", "harvest", "--run", label)
    assert done.returncode == 0, done.stderr
    grades = next((sweep.root / "runs" / "demo").glob(f"{label}.*/evals/exact.*/grades.jsonl")).read_text()
    failed = [row["id"] for row in map(json.loads, grades.splitlines()) if row["passed"] is False]
    assert failed, "the run answers everything: no failing item to harvest"
    path = sweep.root / "data" / "demo.candidates.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["harvest"]["item"] for row in rows] == failed
    assert all(row["harvest"]["held_out"] and row["messages"][-1]["role"] == "assistant" for row in rows)
    assert "can no longer be tested by it" in done.stdout
    again = sweep.ftspec("data", "harvest", "--run", label)
    assert again.returncode == 64
    assert "is there already" in again.stderr
    # Such rows are refused until somebody declares what they are, and are then told as leaks.
    spec = sweep.root / "experiments" / "demo.yaml"
    text = spec.read_text().replace("data/rows.jsonl}]", "data/demo.candidates.jsonl}]")
    text = re.sub(r"  messages:\n(    - .*\n)+", "", text)
    spec.write_text(text)
    refused = sweep.ftspec("validate")
    assert refused.returncode == 65
    assert "unknown key 'harvest'" in refused.stderr


@pytest.mark.parametrize(("dialect", "rows"), [("together", 60), ("trl", 55)])
def test_export_reads_every_row_back(project: Path, said: Callable[..., str], dialect: str, rows: int) -> None:
    shown = json.loads(said("export", "--dialect", dialect, "--out", "out", "--json"))
    assert shown["parts"] == {"train": {"rows": 60, "written": rows, "learned_messages": 55}}
    assert len((project / "out" / "train.jsonl").read_text().splitlines()) == rows
    assert "the masks are the same" in said("export", "--dialect", dialect, "--out", "out")
    assert "known: openai" in said("export", "--dialect", "nobody", code=64)


def test_a_mask_that_nobody_obeys_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(project / "data" / "test.jsonl", [chat(200)])
    words = ["provider=nebius", "model=meta-llama/Llama-3.1-8B-Instruct"]
    assert main(["validate", *words]) == 65
    assert "[mask_not_native]" in capsys.readouterr().err
    assert main(["validate", *words, "~weights.rules"]) == 0


def test_uploaded_files_are_read_back(project: Path) -> None:
    import dataclasses

    from ftspec.compose import Project
    from ftspec.data.read_back import prove_files
    from ftspec.spec.errors import DataError
    from ftspec.workflows.dataset import open_data

    prepared = open_data(Project(project), "x").prepared
    assert prove_files(prepared) == 60
    part = prepared.parts["train"]
    for old, new in (
        (b',"weight":0}', b"}"),
        (b'"content":"answer 20","role":"assistant"', b'"content":"","role":"user"'),
    ):
        broken = project / "broken.jsonl"
        data = part.path.read_bytes()
        assert old in data
        broken.write_bytes(data.replace(old, new, 1))
        with pytest.raises(DataError) as caught:
            prove_files(dataclasses.replace(prepared, parts={"train": dataclasses.replace(part, path=broken)}))
        assert caught.value.code == "mask_proof"
        assert caught.value.problems[0].file == "data/chats.jsonl"


def test_a_run_keeps_how_its_masks_reached_the_provider(swept: Any) -> None:
    for path in (swept.root / "runs" / "demo").glob("*/run.json"):
        assert json.loads(path.read_text())["weights"] == {"mask": "exact", "evidence": None}


def test_token_limits_are_those_of_the_model(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = chat(0)
    long["messages"][0]["content"] = "word " * 20_000
    write(project / "data" / "chats.jsonl", [long, *(chat(n) for n in range(1, 60))])
    write(project / "data" / "test.jsonl", [chat(200)])
    assert main(["validate", "provider=openai", "model=gpt-3.5-turbo-0125"]) == 65
    said = capsys.readouterr().err
    assert "openai cuts rows at 16,385" in said
    assert "data/chats.jsonl:1" in said
    assert main(["validate", "provider=openai", "model=gpt-4.1-mini-2025-04-14"]) == 0
    words = ["provider=nebius", "model=meta-llama/Llama-3.1-8B-Instruct", "~weights.rules"]
    assert main(["validate", *words]) == 0  # no limit is on file


def test_items_of_another_shape_are_left_out(project: Path, said: Callable[..., str]) -> None:
    (project / "conf" / "evals").mkdir(parents=True)
    odd = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}], "channel": "x"}]
    items = [{"messages": odd, "reference": "x"}, {"messages": chat(7)["messages"][:3], "reference": "x"}]
    write(project / "data" / "items.jsonl", items)
    suite = "outside:\n  data: {path: data/items.jsonl}\n  graders: {same: {type: string_check}}\n"
    (project / "conf" / "evals" / "outside.yaml").write_text(suite)
    shown = json.loads(said("overlap", "evals=[outside]", "--json"))["overlaps"]
    assert [one["same_prompt"] for one in shown if one["other"] == "outside"] == [1]
