"""The recipes of `init --ci` and action.yml: sound as files, and their steps run, in bash, against a local forge.

Not run here: GitHub's and GitLab's own runners, `pip install`, the actions of others, `gh`.
"""

import copy
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from ftspec.cli.main import cli, main
from ftspec.workflows.recipes import KINDS, recipe

TOKEN = "secret-token-that-is-never-printed"
REPOSITORY = Path(__file__).resolve().parents[2]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
WORKFLOWS = {
    f"{kind}/{Path(place).name}": content.decode()
    for kind in KINDS
    for place, content in recipe(kind).items()
    if place.startswith(".github")
}
GITLAB = recipe("gitlab")[".gitlab-ci.yml"].decode()
ACTION = (REPOSITORY / "action.yml").read_text()
FILES = WORKFLOWS | {"gitlab": GITLAB, "action": ACTION}


def steps(text: str) -> list[dict[str, Any]]:
    """All steps of a workflow or an action."""
    value = yaml.safe_load(text)
    if "runs" in value:
        return list(value["runs"]["steps"])
    return [step for job in value["jobs"].values() for step in job["steps"]]


def scripts(text: str) -> list[str]:
    """All shell scripts of a file."""
    value = yaml.safe_load(text)
    if "stages" in value:
        jobs = [job for job in value.values() if isinstance(job, dict) and "script" in job]
        return ["\n".join(job["script"]) for job in jobs]
    return [step["run"] for step in steps(text) if "run" in step]


@pytest.mark.parametrize("name", FILES)
def test_every_command_and_option_exists(name: str) -> None:
    commands = re.findall(r"\bftspec ([a-z]+)((?:[^|>&;\n]|\\\n)*)", "\n".join(scripts(FILES[name])))
    assert commands
    for verb, rest in commands:
        command: Any = cli.get_command(click.Context(cli), verb)
        assert command is not None, verb
        if isinstance(command, click.Group):
            command = command.commands[rest.split()[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= known, f"{verb}: {rest}"


@pytest.mark.parametrize("name", FILES)
def test_every_script_is_bash(name: str) -> None:
    for script in scripts(FILES[name]):
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", FILES)
def test_no_expression_stands_in_a_script(name: str) -> None:
    """Values reach scripts by the environment alone: a branch may be called `$(curl evil)`."""
    for script in scripts(FILES[name]):
        assert "${{" not in script


@pytest.mark.parametrize("name", [name for name in FILES if name != "gitlab"])
def test_variables_of_scripts_are_declared(name: str) -> None:
    value = yaml.safe_load(FILES[name])
    shared = {key for job in value.get("jobs", {}).values() for key in job.get("env", {})}
    given = {"RUNNER_TEMP", "GITHUB_STEP_SUMMARY", "GITHUB_ACTION_PATH", "PATH"} | shared
    for step in steps(FILES[name]):
        script = step.get("run", "")
        own = set(re.findall(r"\b([A-Z_0-9]+)=", script)) | set(step.get("env", {}))
        used = set(re.findall(r"\$\{?([A-Z][A-Z_0-9]*)", script))
        assert used <= given | own, (step.get("name"), used - given - own)


@pytest.mark.parametrize("name", [name for name in FILES if name != "gitlab"])
def test_actions_of_others_are_pinned_by_commit(name: str) -> None:
    for line in FILES[name].splitlines():
        if "uses:" in line and not line.lstrip().startswith("#"):
            assert re.search(r"uses: actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_has_the_shape_that_github_documents(name: str) -> None:
    value = yaml.safe_load(WORKFLOWS[name])
    value["on"] = value.pop(True)  # YAML 1.1 reads `on` as true; GitHub reads the word
    assert set(value) <= {"name", "on", "permissions", "concurrency", "defaults", "jobs", "env"}
    assert value["name"] == Path(name).stem
    assert value["permissions"].keys() <= {"contents", "actions", "pull-requests"}
    assert value["defaults"] == {"run": {"shell": "bash"}}
    for job in value["jobs"].values():
        assert {"runs-on", "steps", "timeout-minutes"} <= set(job)
        assert set(job) <= {"if", "runs-on", "steps", "timeout-minutes", "env", "environment"}
        for step in job["steps"]:
            assert set(step) <= {"name", "uses", "with", "run", "env", "if"}
            assert ("uses" in step) != ("run" in step)
    assert "pull_request_target" not in WORKFLOWS[name]


def fits(name: str, text: str, folder: Path) -> bool:
    """Whether a recipe fits the schema that check-jsonschema carries: GitLab's own, SchemaStore's of GitHub."""
    checker = pytest.importorskip("check_jsonschema.cli")
    schema = {"gitlab": "gitlab-ci", "action": "github-actions"}.get(name, "github-workflows")
    (folder / "recipe.yml").write_text(text)
    done = CliRunner().invoke(checker.main, ["--builtin-schema", f"vendor.{schema}", str(folder / "recipe.yml")])
    return done.exit_code == 0


@pytest.mark.parametrize("name", FILES)
def test_a_recipe_fits_the_schema_of_its_forge(name: str, tmp_path: Path) -> None:
    assert fits(name, FILES[name], tmp_path)


@pytest.mark.parametrize(
    ("name", "key", "wrong"),
    [
        ("gitlab", "  script:", "  scripts:"),
        ("action", "  using:", "  use:"),
        ("forks/ftspec-plan.yml", "on:", "when:"),
    ],
)
def test_a_recipe_that_is_wrong_does_not(name: str, key: str, wrong: str, tmp_path: Path) -> None:
    assert not fits(name, FILES[name].replace(f"\n{key}", f"\n{wrong}"), tmp_path)


@pytest.mark.parametrize("name", ["github/ftspec-plan.yml", "forks/ftspec-plan.yml", "forks/ftspec-comment.yml"])
def test_no_job_that_reviews_checks_out_a_pull_request(name: str) -> None:
    for step in steps(WORKFLOWS[name]):
        if "checkout" in step.get("uses", ""):
            assert step["with"].get("ref", "${{ env.BASE }}") == "${{ env.BASE }}"
            assert step["with"]["persist-credentials"] is False
        if "pip" in step.get("run", ""):
            assert "env" not in step
            assert step["run"] == "python -m pip install --quiet -r requirements.txt"
        if "ftspec diff" in step.get("run", ""):
            assert "env" not in step
            assert "--untrusted" in step["run"]


def test_the_plan_of_a_fork_may_only_read() -> None:
    assert yaml.safe_load(WORKFLOWS["forks/ftspec-plan.yml"])["permissions"] == {"contents": "read"}


# What follows runs the steps.

FILES_OF_PROJECT = {
    "conf/evals/exact.yaml": "exact: {graders: {animal: {type: label}}}\n",
    "experiments/demo.yaml": """\
defaults: [config, override evals: [exact], _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ label }}"}]
  split: {validation: 8, test: 12}
hyperparameters: {n_epochs: 1}
""",
    ".gitignore": "/runs/\n",
    "requirements.txt": "ftspec==0.1.0\n",
}


class Work:
    """A project's repository, its origin, and a job's folder for temporary files."""

    def __init__(self, folder: Path) -> None:
        self.root, self.origin, self.temp = folder / "work", folder / "origin.git", folder / "temp"
        for one in (self.root, self.temp):
            one.mkdir()
        rows = [{"text": f"it {w} number {n}", "label": a} for n in range(20) for a, w in ANIMALS.items()]
        self.write("data/rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        for path, text in FILES_OF_PROJECT.items():
            self.write(path, text)
        subprocess.run(["git", "init", "-q", "--bare", str(self.origin)], check=True)
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", str(self.origin))
        self.lock()
        self.base = self.commit("base")
        self.git("push", "-q", "origin", "main")

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Dana", "-c", "user.email=dana@example.com"]
        done = subprocess.run(["git", *who, *arguments], cwd=self.root, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def lock(self) -> None:
        before = Path.cwd()
        os.chdir(self.root)
        try:
            assert main(["lock"]) == 0
        finally:
            os.chdir(before)

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-qm", message)
        return self.git("rev-parse", "HEAD")

    def propose(self) -> str:
        """Push a pull request that trains longer, and go back to the base, as a checkout of it does."""
        path = self.root / "experiments/demo.yaml"
        path.write_text(path.read_text().replace("n_epochs: 1", "n_epochs: 2"))
        self.lock()
        head = self.commit("longer")
        self.git("push", "-q", "origin", f"{head}:refs/pull/5/head")
        self.git("push", "-q", "origin", f"{head}:refs/heads/topic")
        self.git("reset", "-q", "--hard", self.base)
        return head

    def shell(self, script: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a script as a runner does."""
        path = f"{self.temp / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.root,
            capture_output=True,
            text=True,
            env=os.environ | {"PATH": path, "CI": "true", "RUNNER_TEMP": str(self.temp)} | environment,
        )

    def steps(self, text: str, values: dict[str, str]) -> Iterator["subprocess.CompletedProcess[str]"]:
        """Run the scripts of a workflow in order, its expressions replaced; installing is left out."""
        value = yaml.safe_load(text)
        shared = {k: v for job in value.get("jobs", {}).values() for k, v in job.get("env", {}).items()}
        for step in steps(text):
            script = step.get("run", "")
            if not script or "pip" in script:
                continue
            given = {
                key: filled(str(v), values | shared_values(shared, values)) for key, v in step.get("env", {}).items()
            }
            environment = {key: filled(v, values) for key, v in shared.items()} | given
            environment["GITHUB_STEP_SUMMARY"] = str(self.temp / "summary.md")
            yield self.shell(script, **environment)


ANIMALS = {"cat": "purrs at", "dog": "barks at", "cow": "moos at"}


def filled(text: str, values: dict[str, str]) -> str:
    return EXPRESSION.sub(lambda match: values[match[1]], text)


def shared_values(shared: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    return {f"env.{key}": filled(text, values) for key, text in shared.items()}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Made once; each test works on a copy."""
    return Work(tmp_path_factory.mktemp("prepared"))


@pytest.fixture
def work(prepared: Work, tmp_path: Path) -> Work:
    shutil.copytree(prepared.root.parent, tmp_path / "job")
    mine = copy.copy(prepared)
    mine.root, mine.origin, mine.temp = (tmp_path / "job" / name for name in ("work", "origin.git", "temp"))
    mine.git("remote", "set-url", "origin", str(mine.origin))
    return mine


def event(work: Work, head: str) -> dict[str, str]:
    """What GitHub tells a workflow about pull request 5."""
    return {
        "github.token": TOKEN,
        "github.event.pull_request.base.sha": work.base,
        "github.event.pull_request.head.sha": head,
        "github.event.pull_request.number": "5",
        "github.event.workflow_run.head_sha": head,
        "github.event.workflow_run.head_repository.owner.login": "mallory",
        "github.event.workflow_run.head_branch": "topic",
        "github.event.workflow_run.html_url": "https://github.example/acme/models/actions/runs/1",
        "inputs.token": TOKEN,
        "inputs.base": work.base,
        "inputs.head": head,
        "inputs.pull-request": "5",
    }


def test_github_for_one_repository(github: Any, work: Work) -> None:
    head = work.propose()
    github.pull(5, head=head)
    done = list(work.steps(WORKFLOWS["github/ftspec-plan.yml"], event(work, head)))
    assert [one.returncode for one in done] == [0] * 4, [one.stderr for one in done]
    assert "1 run to train" in github.bodies(5)[0]
    assert "unverified" not in github.bodies(5)[0]
    assert (work.temp / "summary.md").read_text().startswith("<!-- ftspec:plan")
    assert not [one for one in done if TOKEN in one.stdout + one.stderr]
    assert work.git("status", "--porcelain") == ""


def test_github_with_forks(github: Any, work: Work) -> None:
    head = work.propose()
    github.pull(5, head=head, owner="mallory")
    done = list(work.steps(WORKFLOWS["forks/ftspec-plan.yml"], event(work, head)))
    assert [one.returncode for one in done] == [0] * 3, [one.stderr for one in done]
    assert github.comments == []
    (work.temp / "plan").mkdir()
    (work.temp / "plan.json").rename(work.temp / "plan" / "plan.json")
    posted = list(work.steps(WORKFLOWS["forks/ftspec-comment.yml"], event(work, head)))
    assert [one.returncode for one in posted] == [0], posted[0].stderr
    assert "unverified job" in github.bodies(5)[0]


def test_the_action(github: Any, work: Work) -> None:
    head = work.propose()
    github.pull(5, head=head)
    (work.temp / "ftspec").mkdir()
    (work.temp / "ftspec" / "bin").symlink_to(Path(sys.executable).parent)
    done = list(work.steps(ACTION, event(work, head)))
    assert [one.returncode for one in done] == [0] * 3, [one.stderr for one in done]
    assert "1 run to train" in github.bodies(5)[0]


def test_a_failed_gate_fails_the_job_and_is_posted_all_the_same(github: Any, work: Work) -> None:
    work.write(".ftspec/policy.yaml", "max_runs: 0\n")
    work.base = work.commit("no more runs")
    head = work.propose()
    github.pull(5, head=head)
    done = list(work.steps(WORKFLOWS["github/ftspec-plan.yml"], event(work, head)))
    assert [one.returncode for one in done] == [0, 3, 0, 0]
    assert "Gate `max_runs` failed" in github.bodies(5)[0]


def gitlab_job(name: str) -> str:
    return "\n".join(line for line in yaml.safe_load(GITLAB)[name]["script"] if not line.startswith("pip "))


def test_gitlab(gitlab: Any, work: Work) -> None:
    head = work.propose()
    gitlab.pull(5, head=head)
    work.git("checkout", "-q", "--detach", head)
    about = {"CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", "CI_COMMIT_SHA": head}
    for job in ("ftspec-plan", "ftspec-comment"):
        done = work.shell(gitlab_job(job), **about)
        assert done.returncode == 0, done.stderr
    assert "1 run to train" in gitlab.bodies(5)[0]


def gh(work: Work) -> Path:
    """A `gh` that writes down what it is told."""
    told = work.temp / "gh.txt"
    (work.temp / "bin").mkdir()
    (work.temp / "bin" / "gh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {told}\n')
    (work.temp / "bin" / "gh").chmod(0o755)
    return told


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_after_a_merge_it_trains_what_the_locks_say_and_proposes_the_scores(
    kind: str, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "GIT_"))]:
        monkeypatch.delenv(name)
    head = work.propose()
    work.git("reset", "-q", "--hard", head)
    told = gh(work)
    if kind == "github":
        values = {
            "github.event.before": work.base,
            "github.sha": head,
            "github.run_id": "99",
            "github.ref_name": "main",
            "github.token": TOKEN,
            "secrets.OPENAI_API_KEY": "",
        }
        done = list(work.steps(WORKFLOWS["github/ftspec-run.yml"], values))
        assert [one.returncode for one in done] == [0] * 4, [one.stderr + one.stdout for one in done]
        assert told.read_text() == "pr create --fill --base main --head ftspec/results-99\n"
        packed = work.temp / "runs.tar"
    else:
        about = {"CI_COMMIT_BEFORE_SHA": work.base, "CI_COMMIT_SHA": head, "CI_DEFAULT_BRANCH": "main"}
        about |= {"CI_PIPELINE_ID": "99", "FTSPEC_GITLAB_TOKEN": TOKEN, "CI_SERVER_HOST": "gitlab.example"}
        about |= {"CI_PROJECT_PATH": "acme/models", "GIT_CONFIG_COUNT": "1"}
        about["GIT_CONFIG_KEY_0"] = f"url.{work.origin}.insteadOf"
        about["GIT_CONFIG_VALUE_0"] = f"https://oauth2:{TOKEN}@gitlab.example/acme/models.git"
        script = (
            gitlab_job("ftspec-run")
            .replace("-o merge_request.create", "")
            .replace('-o merge_request.target="$CI_DEFAULT_BRANCH"', "")
        )  # a plain origin takes no push options
        one = work.shell(script, **about)
        assert one.returncode == 0, one.stderr + one.stdout
        assert TOKEN not in one.stdout + one.stderr
        packed = work.root / "runs.tar"
    assert packed.stat().st_size > 10_000
    changed = work.git("--git-dir", str(work.origin), "diff", "--name-only", head, "ftspec/results-99").splitlines()
    assert changed == ["experiments/demo.results.json"]


@pytest.mark.parametrize("kind", KINDS)
def test_init_adds_a_recipe_to_a_project_that_is_there(
    kind: Any, work: Work, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(work.root)
    capsys.readouterr()
    assert main(["init", "--ci", kind, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)["files"]
    assert set(written) == set(recipe(kind))
    assert main(["init", "--ci", kind]) == 64
    assert (work.root / "requirements.txt").read_text() == "ftspec==0.1.0\n"


@pytest.mark.parametrize(("ci", "there"), [((), True), (("--ci", "none"), False), (("--ci", "gitlab"), False)])
def test_a_new_project_comes_with_a_recipe(
    tmp_path: Path, ci: tuple[str, ...], there: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "demo"), *ci]) == 0
    assert (tmp_path / "demo/.github/workflows/ftspec-plan.yml").exists() is there
    assert (tmp_path / "demo/.gitlab-ci.yml").exists() is ("gitlab" in ci)
    if ci != ("--ci", "none"):
        assert re.fullmatch(r"ftspec==\S+\n", (tmp_path / "demo/requirements.txt").read_text())
