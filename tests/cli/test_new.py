"""`ftspec new`: what it writes validates, says what it chose, and lists what has no equal."""

import csv
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspec.cli.main import main
from ftspec.workflows.start import start_project

Write = Callable[[str, Any], Path]
New = Callable[..., dict[str, Any]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh project, and the current folder."""
    root = tmp_path / "project"
    start_project(root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def write(project: Path) -> Write:
    """Write a file of the project: rows, a JSON value or a text."""

    def put(name: str, content: Any) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".jsonl"):
            content = "".join(json.dumps(row) + "\n" for row in content)
        elif name.endswith(".csv"):
            with path.open("w", newline="") as file:
                table = csv.DictWriter(file, list(content[0]))
                table.writeheader()
                table.writerows(content)
            return path
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return put


@pytest.fixture
def new(project: Path, capsys: pytest.CaptureFixture[str]) -> New:
    """Run `new` and return its JSON with the experiment it wrote."""

    def run(*arguments: str, code: int = 0) -> dict[str, Any]:
        assert main(["new", *arguments, "--json"]) == code
        told: dict[str, Any] = json.loads(capsys.readouterr().out)
        if "error" not in told:
            told["spec"] = yaml.safe_load((project / "experiments" / f"{told['experiment']}.yaml").read_text())
        return told

    return run


def animals(n: int = 60) -> list[dict[str, Any]]:
    source = random.Random(5)
    sounds = {"cat": "purrs", "dog": "barks", "cow": "moos"}
    return [
        {"no": str(i), "text": f"it {sounds[label]} at {source.randint(100, 999)} of {i}", "label": label}
        for i, label in enumerate(source.choices(list(sounds), k=n))
    ]


def chat(n: int = 60, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "user", "content": row["text"]},
                {"role": "assistant", "content": row["label"]},
            ],
            **more,
        }
        for row in animals(n)
    ]


def test_a_small_table_trains_and_scores(project: Path, write: Write, new: New, capsys: Any) -> None:
    write("data/animals.csv", animals())
    told = new("animals", "--from", "data/animals.csv")
    assert told["rows"] == {"train": 42, "valid": 6, "test": 12}
    assert (project / "experiments" / "animals.yaml").read_text() == (
        "# yaml-language-server: $schema=../conf/experiment.schema.json\n"
        "defaults: [config, override evals: [animals], _self_]\n"
        "\n"
        "model: tiny\n"
        "dataset:\n"
        "  sources: [{path: data/animals.csv}]\n"
        '  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ label }}"}]\n'
        "  split: {validation: 6, test: 12}\n"
    )
    assert main(["validate", "animals"]) == 0
    assert main(["run", "animals", "hyperparameters.n_epochs=2", "--json"]) == 0
    assert "animals" in capsys.readouterr().out
    sealed = list((project / "runs" / "animals").glob("*/attempts/001/SEALED"))
    assert len(sealed) == 1
    assert list((project / "runs" / "animals").glob("*/evals/animals.*/scores.json"))


def test_chat_rows_need_about_six_lines(project: Path, write: Write, new: New) -> None:
    write("data/chat.jsonl", chat(300, customer="c1"))
    told = new("routes", "--from", "data/chat.jsonl")
    lines = (project / "experiments" / "routes.yaml").read_text().splitlines()
    assert len([line for line in lines if line and not line.startswith("#")]) <= 6
    assert told["spec"]["dataset"] == {
        "sources": [{"path": "data/chat.jsonl"}],
        "metadata": ["customer"],
        "split": {"validation": 0.1, "test": 60},
    }
    assert told["valid"]
    assert any("3 labels" in note for note in told["notes"])


@pytest.mark.parametrize(
    ("answer", "grader"),
    [
        (lambda i: json.dumps({"queue": f"q{i}", "urgent": True}), "json_fields"),
        (lambda i: f"a sentence of its own, number {i}", None),
        (lambda i: ["a", "b"][i % 2], "label"),
    ],
)
def test_the_suite_fits_the_answers(project: Path, write: Write, new: New, answer: Any, grader: str | None) -> None:
    rows = [{"prompt": f"say {i}", "completion": answer(i)} for i in range(40)]
    write("data/rows.jsonl", rows)
    told = new("fit", "--from", "data/rows.jsonl")
    assert told["valid"], told["problems"]
    if grader is None:
        assert told["spec"]["defaults"][1] == {"override evals": ["exact_match"]}
    else:
        suite = yaml.safe_load((project / "conf" / "evals" / "fit.yaml").read_text())["fit"]
        assert [one["type"] for one in suite["graders"].values()] == [grader]


def test_tool_calls(write: Write, new: New) -> None:
    def row(i: int) -> dict[str, Any]:
        call = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": json.dumps({"n": i})}}
        return {
            "messages": [{"role": "user", "content": f"find {i}"}, {"role": "assistant", "tool_calls": [call]}],
            "tools": [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}],
        }

    write("data/tools.jsonl", [row(i) for i in range(40)])
    told = new("tools", "--from", "data/tools.jsonl")
    assert told["valid"], told["problems"]
    assert any("tools" in note for note in told["notes"])


def test_columns_are_told_or_asked_for(write: Write, new: New) -> None:
    rows = [{"a b": f"what is {i} plus {i}, please", "c": str(i % 4), "d": f"{i * 7} apples"} for i in range(60)]
    write("data/odd.csv", rows)
    told = new("guess", "--from", "data/odd.csv")
    assert told["spec"]["dataset"]["messages"][0]["content"] == '{{ ["a b"] }}'
    assert "--input and --output choose others" in told["notes"][0]
    assert told["valid"], told["problems"]
    told = new("told", "--from", "data/odd.csv", "--input", "d", "--output", "c", "--system", "Be brief: yes or no.")
    assert told["spec"]["dataset"]["messages"][0] == {"role": "system", "content": "Be brief: yes or no."}
    assert told["valid"], told["problems"]
    error = new("none", "--from", "data/odd.csv", "--input", "x", code=64)["error"][0]
    assert "a b, c, d" in error["fix"]


def test_a_prompt_from_a_file_and_groups(write: Write, new: New) -> None:
    rows = [{**row, "customer": f"c{i % 25}"} for i, row in enumerate(animals(200))]
    write("data/rows.jsonl", rows)
    told = new("grouped", "--from", "data/rows.jsonl", "--system", "prompts/route.md")
    assert told["spec"]["dataset"]["messages"][0]["content"] == {"file": "prompts/route.md"}
    assert told["spec"]["dataset"]["split"]["by"] == "customer"
    assert told["valid"], told["problems"]


def test_a_file_from_elsewhere_is_copied(project: Path, tmp_path: Path, write: Write, new: New) -> None:
    write("data/animals.csv", animals())
    shutil.move(project / "data" / "animals.csv", tmp_path / "animals.csv")
    told = new("moved", "--from", str(tmp_path / "animals.csv"))
    assert "data/animals.csv" in told["files"]
    assert told["valid"]


def test_nothing_is_overwritten(project: Path, write: Write, new: New) -> None:
    write("data/animals.csv", animals())
    new("animals", "--from", "data/animals.csv")
    before = {path: path.read_bytes() for path in project.rglob("*.yaml")}
    assert new("animals", "--from", "data/animals.csv", code=64)["error"][0]["code"] == "file_exists"
    assert {path: path.read_bytes() for path in project.rglob("*.yaml")} == before
    told = new("routing", "--from", "data/animals.csv")  # there is a suite of that name: another one is written
    assert "conf/evals/routing_2.yaml" in told["files"]
    assert told["valid"]


@pytest.mark.parametrize(
    ("name", "content", "code", "said"),
    [
        ("data/empty.jsonl", [], 65, "empty"),
        ("data/share.jsonl", [{"conversations": [{"from": "human", "value": "x"}]}], 65, "ShareGPT"),
        ("data/mixed.jsonl", [*chat(3), {"text": "x", "label": "y"}], 65, "several kinds"),
        ("data/object.json", {"a": 1}, 65, "list"),
        ("data/what.txt", "hello", 64, "cannot tell"),
        ("data/what.yaml", "a: 1\n", 64, "cannot tell"),
        ("data/bad.yaml", "a: [\n", 65, "YAML"),
        ("data/alias.yaml", "base_model: &x a\nadapter: *x\n", 65, "aliases"),
    ],
)
def test_what_cannot_be_read(write: Write, new: New, name: str, content: Any, code: int, said: str) -> None:
    write(name, content)
    told = new("x", "--from", name, code=code)["error"]
    assert said in json.dumps(told)
    assert new("x", "--from", "data/missing.csv", code=64)["error"][0]["code"] == "no_source"


def test_bad_rows_are_named_and_the_experiment_stays(project: Path, write: Write, new: New) -> None:
    rows = animals()
    rows[7]["label"] = None  # type: ignore[assignment]
    write("data/rows.jsonl", rows)
    told = new("holes", "--from", "data/rows.jsonl", code=65)
    assert not told["valid"]
    assert {(p["file"], p["line"]) for p in told["problems"]} == {("data/rows.jsonl", 8)}
    assert (project / "experiments" / "holes.yaml").exists()


JOB = {
    "object": "fine_tuning.job",
    "id": "ftjob-abc123",
    "model": "gpt-4o-mini-2024-07-18",
    "created_at": 1721764800,
    "finished_at": 1721768400,
    "fine_tuned_model": "ft:gpt-4o-mini-2024-07-18:acme:routes:9abc",
    "organization_id": "org-123",
    "result_files": ["file-results"],
    "status": "succeeded",
    "training_file": "file-train",
    "validation_file": None,
    "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8},
    "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 1}}},
    "trained_tokens": 5768,
    "integrations": [{"type": "wandb", "wandb": {"project": "x"}}],
    "seed": 683058546,
    "user_provided_suffix": "routes",
    "metadata": {"team": "support"},
    "estimated_finish": None,
}


def test_an_openai_job(write: Write, new: New) -> None:
    write("job.json", JOB)
    write("data/chat.jsonl", chat())
    told = new("again", "--from", "job.json", "--data", "data/chat.jsonl")
    assert {key: value for key, value in told["spec"].items() if key != "defaults"} == {
        "provider": {"profile": "openai"},
        "model": "gpt-4o-mini-2024-07-18",
        "dataset": {"sources": [{"path": "data/chat.jsonl"}]},
        "hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.8},
        "seed": 683058546,
        "suffix": "routes",
        "metadata": {"team": "support"},
    }
    assert told["valid"], told["problems"]
    lost = {one["key"] for one in told["unequal"]}
    assert {"integrations", "training_file", "fine_tuned_model", "trained_tokens"} <= lost
    assert not lost & {"model", "seed", "validation_file", "hyperparameters", "estimated_finish"}


def test_what_a_host_resolved_is_named_where_the_job_asked_for_auto(write: Write, new: New) -> None:
    asked = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": "auto"}}}
    write("job.json", JOB | {"hyperparameters": {"n_epochs": 4}, "method": asked})
    write("data/chat.jsonl", chat())
    told = new("again", "--from", "job.json", "--data", "data/chat.jsonl")
    assert ("hyperparameters.n_epochs", "4") in {(one["key"], one["value"]) for one in told["unequal"]}


@pytest.mark.parametrize("change", [{"model": None}, {"training_file": 3}, {"method": "dpo"}, {"metadata": [1]}])
def test_a_broken_job_is_an_error(write: Write, new: New, change: dict[str, Any]) -> None:
    write("job.json", JOB | change)
    assert new("again", "--from", "job.json", code=65)["error"][0]["code"] == "job"


def test_an_overlay_is_read_as_hydra_reads_it(write: Write, new: New, project: Path) -> None:
    write(
        "o.yaml",
        "# @package _global_\ndefaults: [_self_, {/hyperparameters: auto}]\nmodel: tiny\nkeep_until: 2027-06-30\n"
        "budget: {max_usd: 1e-5}\n",
    )
    told = new("again", "--from", "o.yaml", code=65)
    written = yaml.safe_load((project / "experiments" / "again.yaml").read_text())
    assert (written["keep_until"], float(written["budget"]["max_usd"])) == ("2027-06-30", 1e-5)
    assert ("defaults", "_self_") in {(one["key"], one["value"]) for one in told["unequal"]}


def test_data_from_outside_is_not_left_behind_where_it_cannot_be_read(
    project: Path, new: New, tmp_path_factory: pytest.TempPathFactory
) -> None:
    broken = tmp_path_factory.mktemp("outside") / "broken.json"
    broken.write_text("[1, 2")
    new("again", "--from", str(broken), code=65)
    assert not (project / "data" / "broken.json").exists()


def test_a_job_without_its_data_says_what_to_fetch(write: Write, new: New) -> None:
    write("jobs.json", {"object": "list", "data": [JOB]})
    told = new("again", "--from", "jobs.json", code=65)
    assert "file-train" in told["notes"][0]
    assert {p["code"] for p in told["problems"] if p["severity"] == "error"} == {"missing_file"}
    write("two.json", {"object": "list", "data": [JOB, JOB]})
    assert new("two", "--from", "two.json", code=64)["error"][0]["code"] == "which_job"


AXOLOTL = """\
base_model: meta-llama/Llama-3.1-8B-Instruct
load_in_4bit: true
adapter: qlora
lora_r: 32
datasets:
  - path: data/chat.jsonl
    type: chat_template
    roles_to_train: [assistant]
    train_on_eos: turn
val_set_size: 0.1
sequence_len: 4096
num_epochs: 3
micro_batch_size: 2
gradient_accumulation_steps: 4
learning_rate: 0.0002
optimizer: adamw_bnb_8bit
seed: 42
wandb_project: routes
"""


def test_an_axolotl_configuration(write: Write, new: New) -> None:
    write("lora.yml", AXOLOTL)
    write("data/chat.jsonl", chat())
    told = new("lora", "--from", "lora.yml")
    spec = told["spec"]
    assert spec["model"] == "meta-llama/Llama-3.1-8B-Instruct"
    assert spec["hyperparameters"] == {"n_epochs": 3, "batch_size": 8, "learning_rate": 0.0002}
    assert spec["dataset"] == {"sources": [{"path": "data/chat.jsonl"}], "split": {"validation": 0.1}}
    assert spec["seed"] == 42
    assert "weights" not in spec  # the default says the same
    assert told["valid"], told["problems"]
    lost = {one["key"]: one["why"] for one in told["unequal"]}
    assert set(lost) == {
        *("load_in_4bit", "adapter", "lora_r", "sequence_len", "optimizer", "wandb_project"),
        "datasets[0].train_on_eos",
    }
    assert all(lost.values())


def test_axolotl_hub_data_and_alpaca(write: Write, new: New) -> None:
    write("a.yml", "base_model: m\ndatasets: [{path: tatsu-lab/alpaca, type: alpaca}]\nval_set_size: 0\nrl: dpo\n")
    rows = [{"instruction": f"add {i}", "input": "", "output": str(i)} for i in range(40)]
    write("data/alpaca.jsonl", rows)
    told = new("alpaca", "--from", "a.yml", "--data", "data/alpaca.jsonl")
    assert told["valid"], told["problems"]
    assert {one["key"] for one in told["unequal"]} == {"datasets[0].path", "datasets[0].type", "rl"}
    told = new("hub", "--from", "a.yml", code=65)
    assert "datasets[0].path" in {one["key"] for one in told["unequal"]}


OVERLAY = """\
# @package _global_
defaults:
  - override /model: small
  - override /weights: last_assistant_message
  - override /evals: [routing]
  - override hydra/launcher: joblib

model: tiny
dataset:
  sources: [{path: data/tickets.jsonl}]
  messages:
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ queue }}"}
  split: {test: 100}
  metadata: [customer]
hyperparameters: {n_epochs: 2, lr_scheduler: cosine}
trainer: {gpus: 2}
description: ${oc.env:USER}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      hyperparameters.n_epochs: 1,2,3
      seed: [1, 2]
"""


def test_a_hydra_overlay(project: Path, write: Write, new: New) -> None:
    write("overlay.yaml", OVERLAY.replace("      seed: [1, 2]\n", ""))
    told = new("overlay", "--from", "overlay.yaml")
    assert told["spec"]["sweep"] == {"grid": {"hyperparameters.n_epochs": "1,2,3"}}
    assert told["spec"]["defaults"] == [
        "config",
        {"override weights": "last_assistant_message"},
        {"override evals": ["routing"]},
        "_self_",
    ]
    assert told["valid"], told["problems"]
    assert {one["key"] for one in told["unequal"]} == {
        *("defaults", "hyperparameters.lr_scheduler", "trainer", "description", "hydra.mode"),
    }


def test_a_hydra_overlay_in_a_package(write: Write, new: New) -> None:
    write("data/chat.jsonl", chat())
    write("rates.yaml", "# @package hyperparameters\nn_epochs: 2\nbatch_size: 4\n")
    told = new("rates", "--from", "rates.yaml", "--data", "data/chat.jsonl")
    assert told["spec"]["hyperparameters"] == {"n_epochs": 2, "batch_size": 4}
    assert told["valid"], told["problems"]
    assert len(told["notes"]) == 2


def test_words_for_people(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    write("data/animals.csv", animals())
    assert main(["new", "animals", "--from", "data/animals.csv"]) == 0
    out = capsys.readouterr().out
    assert "rows    60: 42 train, 6 validation, 12 test" in out
    assert "next    ftspec plan animals" in out
