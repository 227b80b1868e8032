"""Identity end to end: thirty-odd experiments to their digests, and what each field changes. Golden values move only
with an "identity change" line in CHANGELOG.md; `python tests/workflows/test_identity.py` prints them anew.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from ftspec.compose import Project
from ftspec.workflows.plan import draft_plan

GOLDEN = Path(__file__).with_name("golden_digests.json")
SPEC = """\
defaults: [config, override evals: [exact], _self_]
description: Say which animal it is.
tags: [demo]
provider: {profile: embedded}
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages:
    - {role: system, content: Name the animal.}
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ label }}"}
  split: {validation: 4, test: 6}
hyperparameters: {n_epochs: 3, batch_size: auto, learning_rate_multiplier: 0.1}
seed: 3
"""
SUITE = """\
exact:
  request: {params: {temperature: 0}}
  graders:
    animal: {type: label}
"""
ROWS = [{"text": f"it {said} number {i}", "label": name} for i in range(12) for name, said in
        (("cat", "purrs at"), ("dog", "barks at"))]  # fmt: skip
CATS = "{name: cats, match: {role: assistant, content_contains: cat}, weight: 0}"
NOTHING: set[str] = set()

# name: (file, old text, new text, which digests are other ones than those of the first). `*` rewrites the whole file.
CASES: dict[str, tuple[str, str, str, set[str]]] = {
    "as it is": ("spec", "", "", NOTHING),
    "another description": ("spec", "Say which", "Tell which", NOTHING),
    "other tags": ("spec", "[demo]", "[a, b]", NOTHING),
    "a comment": ("spec", "seed: 3", "seed: 3  # of three", NOTHING),
    "keys in another order": ("spec", "*", "".join(["seed: 3\n", SPEC.replace("seed: 3\n", "")]), NOTHING),
    "block style": ("spec", "{n_epochs: 3,", "{\n    n_epochs: 3,", NOTHING),
    "the rate as 1e-1": ("spec", "multiplier: 0.1", "multiplier: 1e-1", NOTHING),
    "auto spelt out": ("spec", "batch_size: auto, ", "", NOTHING),
    "a budget": ("spec", "seed: 3", "seed: 3\nbudget: {max_usd: 5}", NOTHING),
    "a suffix": ("spec", "seed: 3", "seed: 3\nsuffix: mine", NOTHING),
    "job metadata": ("spec", "seed: 3", "seed: 3\nmetadata: {team: a}", NOTHING),
    "a level of a lint": ("spec", "seed: 3", "seed: 3\nlint: {few_rows: warning}", NOTHING),
    "another concurrency": ("spec", "profile: embedded", "profile: embedded, concurrency: 2", NOTHING),
    "a sweep of one with its rule": (
        "spec", "seed: 3", "seed: 3\nsweep: {grid: {hyperparameters.n_epochs: [3]}, select: {by: valid_loss}}", NOTHING,
    ),
    "a margin": ("suite", "  graders:", "  compare: {margin: 0.05}\n  graders:", NOTHING),
    "an error limit": ("suite", "  graders:", "  max_error_rate: 0.1\n  graders:", NOTHING),
    "the alias's own name": ("spec", "model: tiny", "model: ftspec-tiny-1", NOTHING),
    "epochs": ("spec", "n_epochs: 3", "n_epochs: 4", {"train"}),
    "auto epochs": ("spec", "n_epochs: 3", "n_epochs: auto", {"train"}),
    "batch": ("spec", "batch_size: auto", "batch_size: 4", {"train"}),
    "multiplier": ("spec", "multiplier: 0.1", "multiplier: 0.2", {"train"}),
    "a rate of 1": ("spec", "multiplier: 0.1", "multiplier: 1", {"train"}),
    "a rate of 1.0": ("spec", "multiplier: 0.1", "multiplier: 1.0", {"train"}),
    "seed": ("spec", "seed: 3", "seed: 4", {"train"}),
    "base": ("spec", "model: tiny", "model: ftspec-scratch", {"train"}),
    "prompt": ("spec", "Name the animal.", "Name it.", {"data", "train", "eval"}),
    "a space in the prompt": ("spec", "Name the animal.", '"Name the animal. "', {"data", "train", "eval"}),
    "weights": (
        "spec", "seed: 3",
        f"seed: 3\nweights: {{on_empty: keep, rules: [{CATS}]}}", {"data", "train"},
    ),
    "validation rows": ("spec", "validation: 4", "validation: 5", {"data", "train", "eval"}),
    "test rows": ("spec", "test: 6", "test: 7", {"data", "train", "eval"}),
    "a row": ("rows", "it purrs at number 0", "It purrs at number 0", {"data", "train", "eval"}),
    "a composed character decomposed": ("rows", "number 1", "nu\\u0308mber 1", {"data", "train", "eval"}),
    "grader": ("suite", "{type: label}", "{type: label, match: casefold}", {"eval"}),
    "sampling": ("suite", "temperature: 0", "temperature: 0, max_completion_tokens: 9", {"eval"}),
    "samples": ("suite", "  graders:", "  samples: 2\n  graders:", {"eval"}),
    "metrics": ("suite", "  graders:", "  metrics: {also: [animal.macro_f1]}\n  graders:", {"eval"}),
    "shots": (
        "suite", "  graders:",
        '  arms: {few: {model: "@base", shots: {k: 2, part: train}}, tuned: {model: "@run"}}\n  graders:', {"eval"},
    ),
}  # fmt: skip


def digests(root: Path, case: str) -> dict[str, str]:
    """Write the project of a case and return the digests of its only run."""
    texts = {"spec": SPEC, "suite": SUITE, "rows": "".join(json.dumps(row) + "\n" for row in ROWS)}
    file, old, new, _ = CASES[case]
    assert old == "*" or old in texts[file]
    texts[file] = new if old == "*" else texts[file].replace(old, new, 1)
    for folder in ("experiments", "conf/evals", "data"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, path in (("spec", "experiments/x.yaml"), ("suite", "conf/evals/exact.yaml"), ("rows", "data/rows.jsonl")):
        (root / path).write_text(texts[name], "utf-8")
    (run,) = draft_plan(Project(root), "x").runs
    return {"data": run.data_digest, "train": run.train_digest, "eval": run.suites[0].eval_digest}


@pytest.mark.parametrize("case", CASES)
def test_each_field_changes_exactly_the_digests_named(case: str, tmp_path: Path) -> None:
    golden: Any = json.loads(GOLDEN.read_text("utf-8"))
    found = digests(tmp_path, case)
    assert found == golden[case]
    first = golden["as it is"]
    assert {kind for kind in found if found[kind] != first[kind]} == CASES[case][3]


def test_the_file_has_no_case_too_many() -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    assert list(golden) == list(CASES)
    assert len(golden) >= 30
    assert golden["a rate of 1"] == golden["a rate of 1.0"]


if __name__ == "__main__":
    found = {}
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = digests(Path(folder), name)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
