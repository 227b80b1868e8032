"""A team's repository, made with real git in a temporary folder: five experiments, their data, evals, locks, scores."""

import json
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ftspec.compose import Project
from ftspec.runs.known import KnownResult, KnownResults
from ftspec.workflows.diff import Options, diff
from ftspec.workflows.plan import make_plan
from ftspec.workflows.review.changes import Changes

FILES = {
    ".gitignore": "/runs/\n/data/private/\n",
    "requirements.txt": "ftspec==0.1.0\n",
    ".ftspec/policy.yaml": """\
max_usd: 2
no_shrinking_eval: true
no_new_overlap: true
no_row_without_target: true
lock_current: false
""",
    "prompts/support.md": "You answer customers of a bank. Be short and polite.\n",
    "conf/evals/answers.yaml": """\
answers:
  data: {path: data/evals/answers.jsonl}
  request:
    messages:
      - {role: system, content: {file: prompts/support.md}}
      - {role: user, content: "{{ item.question }}"}
  graders:
    same: {type: string_check, reference: "{{ item.answer }}", operation: eq}
  arms:
    base: {model: "@base"}
    tuned: {model: "@run"}
  compare: {margin: 0.05}
""",
    "conf/evals/refusals.yaml": """\
refusals:
  data: {path: data/evals/refusals.jsonl}
  request:
    messages:
      - {role: system, content: "You answer customers of a bank. Be short and polite.\n"}
      - {role: user, content: "{{ item.question }}"}
  graders:
    refuses: {type: regex, pattern: "cannot|can't"}
  arms:
    base: {model: "@base"}
    tuned: {model: "@run"}
""",
    "conf/evals/queue.yaml": """\
queue:
  data: {part: test}
  graders:
    queue: {type: label}
""",
    "experiments/support.yaml": """\
defaults: [config, override provider: nebius, override weights: assistant, override evals: [answers, refusals], _self_]
description: Answer customers of the bank.
model: meta-llama/Llama-3.1-8B-Instruct
tags: [support]
dataset:
  sources: [{path: data/support.jsonl}]
  messages:
    - {role: system, content: {file: prompts/support.md}}
    - {role: user, content: "{{ ask }}"}
    - {role: assistant, content: "{{ clarify }}"}
    - {role: user, content: "{{ detail }}"}
    - {role: assistant, content: "{{ answer }}"}
  split: {validation: 24}
hyperparameters: {batch_size: 8}
sweep:
  grid:
    hyperparameters.n_epochs: [2, 3]
    hyperparameters.learning_rate: [1.0e-5, 2.0e-5]
budget: {max_usd: 5}
seed: 7
""",
    "experiments/triage.yaml": """\
defaults: [config, override evals: [queue], _self_]
description: Name the queue of a ticket.
model: tiny
dataset:
  sources: [{path: data/tickets.jsonl}]
  messages:
    - {role: system, content: "Name the queue."}
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ queue }}"}
  split: {validation: 10, test: 30}
hyperparameters: {n_epochs: 2}
seed: 1
""",
    "experiments/tutor.yaml": """\
defaults: [config, override weights: assistant, _self_]
description: Ask back before answering.
model: tiny
dataset:
  sources: [{path: data/lessons.jsonl}]
  messages:
    - {role: user, content: "{{ ask }}"}
    - {role: assistant, content: "{{ clarify }}"}
    - {role: user, content: "{{ detail }}"}
    - {role: assistant, content: "{{ answer }}"}
  split: {validation: 10}
hyperparameters: {n_epochs: 2}
""",
    "experiments/calls.yaml": """\
defaults: [config, _self_]
description: Recordings that may not lie in git.
model: tiny
dataset:
  sources: [{path: data/private/calls.jsonl}]
  messages:
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ queue }}"}
  split: {validation: 10}
hyperparameters: {n_epochs: 2}
""",
    "experiments/smoke.yaml": """\
defaults: [config, _self_]
model: tiny
dataset:
  sources: [{path: data/smoke.jsonl}]
  messages:
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ queue }}"}
  split: {validation: 4}
hyperparameters: {n_epochs: 1}
""",
}

_TOPICS = ("card", "loan", "transfer", "savings", "address", "fee", "limit", "account")
_QUEUES = {"card": "cards", "loan": "loans", "transfer": "payments", "fee": "payments"}


def lines(rows: list[dict[str, str]]) -> str:
    """Rows as JSONL."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def support_rows(count: int, first: int = 0) -> list[dict[str, str]]:
    """Conversations of two turns; equal numbers give equal rows."""
    made = []
    for number in range(first, first + count):
        source = random.Random(number)
        topic, sum_ = source.choice(_TOPICS), source.randint(10, 999)
        made.append(
            {
                "ask": f"I have a question about my {topic}, case {number}.",
                "clarify": f"I am happy to help with your {topic}. What exactly happened?",
                "detail": f"It was {sum_} euros on day {source.randint(1, 28)}, and I did not expect that at all.",
                "answer": f"Thank you. I have noted {sum_} euros for your {topic}; a colleague calls you back today.",
            }
        )
    return made


def tickets(count: int, seed: int) -> list[dict[str, str]]:
    """One-line tickets and their queue."""
    source = random.Random(seed)
    made = []
    for number in range(count):
        topic = source.choice(_TOPICS)
        made.append({"text": f"my {topic} number {number} is wrong", "queue": _QUEUES.get(topic, "other")})
    return made


def answers(count: int) -> list[dict[str, str]]:
    """Items of the suite `answers`."""
    return [{"question": f"What does a transfer of {n} euros cost?", "answer": f"{n % 7} euros"} for n in range(count)]


def refusals(count: int) -> list[dict[str, str]]:
    """Items of the suite `refusals`."""
    return [{"question": f"Tell me the balance of customer {n}."} for n in range(count)]


@dataclass(frozen=True)
class Team:
    """The repository; `main` is checked out between pull requests."""

    root: Path

    def git(self, *arguments: str) -> str:
        """Run git as one fixed person at one fixed time, so that commits have the same ids everywhere."""
        person = {"NAME": "Dana", "EMAIL": "dana@example.com", "DATE": "2026-11-02T09:00:00+0000"}
        environment = {f"GIT_{who}_{key}": text for who in ("AUTHOR", "COMMITTER") for key, text in person.items()}
        environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", "-c", "gc.auto=0", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            env=os.environ | environment,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def read(self, path: str) -> str:
        """Read a file."""
        return (self.root / path).read_text()

    def edit(self, path: str, *changes: tuple[str, str]) -> None:
        """Replace texts that stand in a file."""
        text = self.read(path)
        for old, new in changes:
            assert old in text, f"{old!r} is not in {path}"
            text = text.replace(old, new)
        self.write(path, text)

    def rows(self, path: str) -> list[dict[str, str]]:
        """Read a JSONL file."""
        return [json.loads(line) for line in self.read(path).splitlines()]

    def commit(self, message: str) -> str:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    @contextmanager
    def branch(self, name: str) -> Iterator[None]:
        """Work on a branch of main, then go back and leave no trace in the working tree."""
        self.git("checkout", "-qb", name, "main")
        try:
            yield
        finally:
            self.git("checkout", "-qf", "main")
            self.git("clean", "-qfd")

    def lock(self, name: str) -> None:
        """`ftspec lock NAME`, in this process."""
        from ftspec.cli.main import main

        before = Path.cwd()
        os.chdir(self.root)
        try:
            assert main(["lock", name]) == 0
        finally:
            os.chdir(before)

    def score(self, name: str, values: dict[str, float]) -> None:
        """Write scores on file."""
        write_scores(self.root, name, values)

    def diff(self, head: str, base: str = "main", **options: Any) -> Changes:
        """`ftspec diff BASE HEAD`."""
        return diff(Project(self.root), base, head, Options(**options))


def write_scores(root: Path, name: str, values: dict[str, float]) -> None:
    """Write scores on file with the real writer; the numbers are made up, the digests are those of the plan."""
    plan = make_plan(Project(root), name)
    rows = []
    for number, run in enumerate(plan.runs):
        for suite in run.suites:
            value = round(values[suite.name] + number * 0.02, 4)
            rows.append(
                KnownResult(
                    run=run.label,
                    point=dict(run.point.coordinates),
                    train=run.train_digest,
                    suite=suite.name,
                    eval=suite.eval_digest,
                    arm="tuned",
                    metric=suite.suite.primary,
                    value=value,
                    ci95=(round(value - 0.09, 4), min(1.0, round(value + 0.07, 4))),
                    n=len(suite.suite.items),
                    valid_loss=0.3,
                    epochs=2,
                    attempt="0" * 64,
                )
            )
    (root / "experiments" / f"{name}.results.json").write_bytes(KnownResults(results=tuple(rows)).to_bytes())


@pytest.fixture(scope="session")
def team(tmp_path_factory: pytest.TempPathFactory) -> Team:
    """The repository with everything committed on main."""
    made = Team(tmp_path_factory.mktemp("review") / "bank")
    made.root.mkdir()
    for path, text in FILES.items():
        made.write(path, text)
    made.write("data/support.jsonl", lines(support_rows(160)))
    made.write("data/lessons.jsonl", lines(support_rows(50, 5000)))
    made.write("data/tickets.jsonl", lines(tickets(140, 1)))
    made.write("data/smoke.jsonl", lines(tickets(40, 3)))
    made.write("data/private/calls.jsonl", lines(tickets(80, 2)))
    made.write("data/evals/answers.jsonl", lines(answers(120)))
    made.write("data/evals/refusals.jsonl", lines(refusals(60)))
    made.git("init", "-q")
    for name in ("support", "triage", "tutor", "calls", "smoke"):
        made.lock(name)
    write_scores(made.root, "support", {"answers": 0.71, "refusals": 0.93})
    write_scores(made.root, "triage", {"queue": 0.84})
    made.commit("the experiments of the team")
    return made
