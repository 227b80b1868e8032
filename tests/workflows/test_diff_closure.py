"""Leaving out what cannot have changed gives what comparing everything gives."""

import json
from typing import Any

import pytest

from ftspec.compose import Project
from ftspec.workflows.diff import _empty
from ftspec.workflows.plan import draft_plan
from ftspec.workflows.review.job import Job

pytestmark = pytest.mark.usefixtures("composed_once")

ROWS = "".join(json.dumps({"text": f"number {n}", "label": "odd" if n % 2 else "even"}) + "\n" for n in range(60))
CHAT = """\
dataset:
  sources: [{path: '%s'}]
  messages:
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ label }}"}
  split: {test: 12}
"""
FILES = {
    ".gitignore": "/runs/\n",
    "data/a.jsonl": ROWS,
    "data/many/1.jsonl": ROWS,
    "data/many/2.jsonl": ROWS.replace("number", "figure"),
    "data/items.jsonl": json.dumps({"messages": [{"role": "user", "content": "seven"}], "reference": "odd"}) + "\n",
    "prompts/shout.md": "SHOUT.\n",
    # a suite of its own file, a block that inherits, a group that an axis walks, texts and paths by reference
    "conf/evals/parity.yaml": "parity:\n  graders: {right: {type: label}}\n",
    "conf/evals/outside.yaml": "outside:\n  data: {path: data/items.jsonl}\n  graders: {right: {type: string_check}}\n",
    "conf/hyperparameters/quick.yaml": "defaults: [auto, _self_]\nn_epochs: 1\n",
    "conf/weights/mine.yaml": "train_on: last_assistant_message\n",
    "conf/unused/x.yaml": "a: 1\n",
    "experiments/plain.yaml": "defaults: [config, override evals: [parity], _self_]\nmodel: tiny\n"
    + CHAT % "data/a.jsonl",
    "experiments/quick.yaml": "defaults: [config, override hyperparameters: quick, _self_]\nmodel: tiny\n"
    + CHAT % "data/many/*.jsonl",
    "experiments/heir.yaml": "defaults: [plain, override evals: [outside], _self_]\nseed: 5\n",
    "experiments/walk.yaml": "defaults: [config, _self_]\nmodel: tiny\nsweep: {grid: {weights: [assistant, mine]}}\n"
    + CHAT % "data/a.jsonl",
    "experiments/refers.yaml": "defaults: [config, override evals: [parity], _self_]\nmodel: tiny\nsuffix: many\n"
    + CHAT % "data/${suffix}/1.jsonl"
    + "baselines: {loud: {model: '@base', prompt: {file: prompts/shout.md}}}\n",
}
TOUCHED = {
    "data/a.jsonl": ({"plain", "heir", "walk"}, lambda text: text.replace("number 7", "number seven")),
    "data/many/1.jsonl": ({"quick", "refers"}, lambda text: text.replace("number 7", "number seven")),
    "data/many/3.jsonl": ({"quick"}, lambda text: ROWS.replace("number", "numeral")),
    "data/items.jsonl": ({"heir"}, lambda text: text.replace("seven", "eight")),
    "prompts/shout.md": ({"refers"}, lambda text: "WHISPER.\n"),
    "conf/evals/parity.yaml": (
        {"plain", "heir", "refers"},
        lambda text: text.replace("label}", "label, match: casefold}"),
    ),
    "conf/evals/outside.yaml": ({"heir"}, lambda text: text + "  samples: 2\n"),
    "conf/hyperparameters/quick.yaml": ({"quick"}, lambda text: text.replace("1", "2")),
    "conf/hyperparameters/auto.yaml": (
        {"plain", "quick", "heir", "walk", "refers"},
        lambda text: "n_epochs: 4\nbatch_size: auto\nlearning_rate: null\nlearning_rate_multiplier: null\n",
    ),
    "conf/weights/mine.yaml": ({"walk"}, lambda text: text + "# why\n"),
    "conf/weights/new.yaml": ({"walk"}, lambda text: "train_on: assistant\n"),
    "conf/unused/x.yaml": (set(), lambda text: "a: 2\n"),
    "experiments/plain.yaml": ({"plain", "heir"}, lambda text: text + "seed: 9\n"),
    "experiments/refers.yaml": ({"refers"}, lambda text: text.replace("suffix: many", "suffix: 'many'\nseed: 2")),
}


@pytest.fixture
def project(repo: Any) -> Any:
    repo.git("checkout", "-q", "main")
    repo.git("rm", "-rq", "experiments", "conf", "data")
    repo.write(FILES)
    repo.commit()
    repo.git("branch", "-f", "change")
    repo.git("checkout", "-q", "change")
    return repo


@pytest.mark.slow
def test_what_is_not_composed_has_not_changed(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file in turn: the experiments named are compared, and plans of all others are what they were."""
    jobs: list[Job] = []
    monkeypatch.setattr(
        "ftspec.workflows.review.compare_revisions.compare", lambda job: jobs.append(job) or _empty(job)
    )
    names = sorted(Project(project.root).experiment_names())
    before = {name: planned(project, name) for name in names}
    for file, (touched, edit) in TOUCHED.items():
        old = project.read(file) if (project.root / file).is_file() else None
        project.write({file: edit(old or "")})
        jobs.clear()
        found = project.review()
        compared = set(jobs[0].names) if jobs else set()
        assert compared == touched, file
        assert found.untouched == len(names) - len(touched)
        for name in sorted(set(names) - compared):
            assert planned(project, name) == before[name], (file, name)
        project.write({file: old})


def planned(project: Any, name: str) -> Any:
    """Everything that decides what a run is, and how it is resolved."""
    plan = draft_plan(Project(project.root), name)
    return [
        (r.label, dict(r.point.config), r.train_digest, [(s.name, s.eval_digest) for s in r.suites]) for r in plan.runs
    ]
