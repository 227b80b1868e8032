"""A small real project, and the command line as real processes."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import call_inside

EXPERIMENT = """\
defaults: [config, override evals: [exact], _self_]
description: Say which animal it is.
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages:
    - {role: system, content: "Name the animal."}
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ label }}"}
  split: {validation: 8, test: 12}
sweep:
  grid:
    hyperparameters.n_epochs: [1, 2]
seed: 3
"""

SUITE = """\
exact:
  graders:
    animal: {type: label}
"""


@dataclass(frozen=True)
class Demo:
    """A project in a temporary folder."""

    root: Path

    def ftspec(self, *arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line and wait for it."""
        return subprocess.run(
            [sys.executable, "-m", "ftspec", *arguments],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=os.environ | {"CI": "true"} | environment,
        )

    def call(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line inside this process; see `call_inside`."""
        return call_inside(self.root, *arguments, **environment)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start the command line without waiting."""
        return subprocess.Popen(
            [sys.executable, "-m", "ftspec", *arguments],
            cwd=self.root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"CI": "true"},
        )

    def json(self, *arguments: str) -> Any:
        """Run a command with --json and return what it printed."""
        done = self.call(*arguments, "--json")
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def jobs(self) -> list[str]:
        """The training jobs that the embedded server ever made, from its own folder."""
        folder = self.root / "runs" / ".embedded" / "jobs"
        return sorted(p.name for p in folder.iterdir() if (p / "job.json").exists()) if folder.is_dir() else []

    def keys_posted(self) -> int:
        """How many distinct keys the server's own log has seen in requests for a job.

        A server that is killed between storing a job and answering logs no answer, so requests are counted.
        """
        log = self.root / "runs" / ".embedded" / "access.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")] if log.exists() else []
        return len({row["key"] for row in rows if row["path"] == "/v1/fine_tuning/jobs" and row["event"] == "request"})

    def scores(self) -> dict[str, str]:
        """The bytes of every scores.json, by run folder and suite."""
        return {
            str(path.relative_to(self.root / "runs")): path.read_text()
            for path in sorted((self.root / "runs").glob("[!.]*/**/scores.json"))
        }


def rows(n: int, seed: int = 1) -> list[dict[str, str]]:
    """Sentences with an animal in them, with fresh values in every row."""
    source = random.Random(seed)
    animals = {"cat": "purrs at", "dog": "barks at", "cow": "moos at"}
    made = []
    for i in range(n):
        label = source.choice(list(animals))
        made.append({"text": f"it {animals[label]} number {source.randint(100, 999)} of {i}", "label": label})
    return made


def build(root: Path, n: int = 60, experiment: str = EXPERIMENT, name: str = "demo") -> Demo:
    """Write a project: rows, one suite and one experiment."""
    for folder in ("experiments", "conf/evals", "data"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "data" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(n)))
    (root / "conf" / "evals" / "exact.yaml").write_text(SUITE)
    (root / "experiments" / f"{name}.yaml").write_text(experiment)
    return Demo(root)


def run_git(root: Path, *arguments: str) -> str:
    """Run git as somebody."""
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *who, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="session")
def git() -> Callable[..., str]:
    """Run git in a folder as somebody; return what it wrote."""
    return run_git


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A sweep of two, trained, scored and committed with its lock in a git repository. Tests work on copies of it."""
    demo = build(tmp_path_factory.mktemp("swept") / "project")
    (demo.root / ".gitignore").write_text("/runs/\n")
    run_git(demo.root, "init", "-q")
    run_git(demo.root, "add", "-A")
    run_git(demo.root, "commit", "-qm", "an experiment")
    done = demo.call("run", "demo")
    assert done.returncode == 0, done.stderr
    run_git(demo.root, "add", "-A")
    run_git(demo.root, "commit", "-qm", "its lock and results")
    return demo


@pytest.fixture
def sweep(swept: Demo, tmp_path: Path) -> Demo:
    """A copy of the swept project to work on."""
    return Demo(Path(shutil.copytree(swept.root, tmp_path / "project", symlinks=True)))


@pytest.fixture(scope="session")
def build_demo() -> Callable[..., Demo]:
    """Build a project in a folder."""
    return build


@pytest.fixture
def make_demo(tmp_path: Path) -> Callable[..., Demo]:
    """Build a project: rows, one suite and one experiment."""

    def make(n: int = 60, experiment: str = EXPERIMENT, name: str = "demo") -> Demo:
        return build(tmp_path / "project", n, experiment, name)

    return make


@pytest.fixture
def demo(make_demo: Callable[..., Demo]) -> Demo:
    """The project with its default rows."""
    return make_demo()


_GIT = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
    "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


@dataclass(frozen=True)
class Repo(Demo):
    """A project in a real git repository, changed branch by branch and reviewed in process."""

    def ftspec(self, *arguments: str, timeout: float = 120, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line inside this process."""
        return self.call(*arguments, **environment)

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git and return what it wrote."""
        done = subprocess.run(["git", *arguments], cwd=self.root, env=os.environ | _GIT, capture_output=True)
        assert not check or done.returncode == 0, done.stderr
        return done.stdout.decode("utf-8", "replace").strip()

    def read(self, name: str) -> str:
        """Return the text of a file."""
        return (self.root / name).read_text()

    def write(self, files: dict[str, str | bytes | None]) -> None:
        """Write files; None removes one."""
        for name, content in files.items():
            path = self.root / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace a text that must stand in a file."""
        text = self.read(name)
        assert old in text, f"{old!r} is not in {name}"
        (self.root / name).write_text(text.replace(old, new))

    def commit(self) -> str:
        """Commit everything and return the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def start(self) -> "Repo":
        """Make the first commit on main, and go on in a branch."""
        self.git("init", "-q", "-b", "main", ".")
        self.commit()
        self.git("checkout", "-q", "-b", "change")
        return self

    def review(self, base: str | None = "main", head: str | None = None, **options: Any) -> Any:
        """Return the review of two revisions; default: the working tree against main."""
        from ftspec.compose import Project
        from ftspec.workflows.diff import Options, diff

        return diff(Project(self.root), base, head, Options(**options))


@pytest.fixture(scope="session")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Repo:
    """The small project with its prompt in a file, committed on main; the branch `change` is checked out."""
    made = Repo(tmp_path_factory.mktemp("committed") / "project")
    experiment = EXPERIMENT.replace('content: "Name the animal."', "content: {file: prompts/ask.md}")
    made.write(
        {
            "data/rows.jsonl": "".join(json.dumps(row) + "\n" for row in rows(60)),
            "conf/evals/exact.yaml": SUITE,
            "experiments/demo.yaml": experiment,
            "prompts/ask.md": "Name the animal.\n",
            ".gitignore": "/runs/\n",
        }
    )
    return made.start()


@pytest.fixture
def repo(committed: Repo, tmp_path: Path) -> Repo:
    """A copy of that repository, to be changed."""
    shutil.copytree(committed.root, tmp_path / "project", symlinks=True)
    return Repo(tmp_path / "project")
