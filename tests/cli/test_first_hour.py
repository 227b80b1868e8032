"""What a newcomer types in the first hour, right and wrong, through the real command line."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import call_inside

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ftspec() -> Run:
    """Run the command line in a folder."""

    def run(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
        return call_inside(cwd, *arguments, **environment)

    return run


@pytest.fixture
def project(tmp_path: Path, ftspec: Run) -> Path:
    """What `ftspec init` writes."""
    assert ftspec("init", "demo", cwd=tmp_path).returncode == 0
    return tmp_path / "demo"


def edit(project: Path, old: str, new: str, name: str = "experiments/quickstart.yaml") -> None:
    text = (project / name).read_text()
    assert old in text
    (project / name).write_text(text.replace(old, new, 1))


def test_init_writes_a_project_that_plans_as_it_is(project: Path, ftspec: Run) -> None:
    plan = ftspec("plan", "quickstart", cwd=project)
    assert plan.returncode == 0, plan.stderr
    assert "6 to train, 0 reused" in plan.stdout
    assert ftspec("validate", cwd=project).stdout == "quickstart: valid, 6 runs\n"


def test_init_says_what_comes_next(tmp_path: Path, ftspec: Run) -> None:
    said = ftspec("init", "demo", cwd=tmp_path).stdout
    for step in ("cd demo && ftspec run quickstart", "git init", "ftspec new NAME --from FILE"):
        assert step in said


def test_init_never_overwrites(project: Path, ftspec: Run) -> None:
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    again = ftspec("init", ".", cwd=project)
    assert again.returncode == 64
    assert "nothing was written" in again.stderr
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before


def test_outside_a_project_it_says_how_to_start_one(tmp_path: Path, ftspec: Run) -> None:
    done = ftspec("plan", cwd=tmp_path)
    assert done.returncode == 64
    assert "ftspec init" in done.stderr


user = {"role": "user", "content": "where is my order"}
answer = {"role": "assistant", "content": "delivery"}

# what is changed, what must be said, and where
MISTAKES = [
    ("n_epochs: [1, 3]", "n_epoch: [1, 3]", "did you mean n_epochs?", "experiments/quickstart.yaml:"),
    ("data/tickets.jsonl", "data/ticket.jsonl", "did you mean data/tickets.jsonl?", "experiments/quickstart.yaml:"),
    ("{{ text }}", "{{ txet }}", "no row has a field txet", "experiments/quickstart.yaml:10:20"),
    ("test: 100, ", "", "the data has no test part", ":"),
    ("model: tiny", "model: tiney", "did you mean tiny?", "experiments/quickstart.yaml:5:1"),
    ("[1, 3]", "[0, 3]", "from 1 to 50 (got 0", "experiments/quickstart.yaml:"),
    ("[auto, 0.02, 0.2]", "[fast]", "`auto` or a number above 0", "experiments/quickstart.yaml:"),
    ("[1, 3]", "range(1, 1000001)", "runs, the limit is", "experiments/quickstart.yaml:"),
    ("seed: 7", "seed: [7", "no valid YAML", "experiments/quickstart.yaml:"),
    ("seed: 7", "sed: 7", "did you mean seed?", "experiments/quickstart.yaml:"),
    ("evals: [routing]", "evals: [rooting]", "routing", "experiments/quickstart.yaml"),
    ("{file: prompts/route.md}", "{file: prompts/rout.md}", "prompts/rout.md", "experiments/quickstart.yaml:"),
    ('"{{ queue }}"}', '"{{ queue }}", weight: 2}', "from 0 to 1 (got 2)", "experiments/quickstart.yaml:11:"),
    ('"{{ text }}"}', '"{{ text }}", weight: 1}', "weight on a user message", "experiments/quickstart.yaml:10:"),
]


@pytest.mark.parametrize(("old", "new", "said", "place"), MISTAKES, ids=[m[1] or "empty suite" for m in MISTAKES])
def test_a_mistake_is_named_with_its_place(
    project: Path, ftspec: Run, old: str, new: str, said: str, place: str
) -> None:
    edit(project, old, new)
    for verb in ("validate", "run"):
        done = ftspec(verb, "quickstart", cwd=project)
        assert done.returncode == 65, done.stdout + done.stderr
        assert said in done.stderr
        assert place in done.stderr
        assert re.search(r"\[[a-z_]+\]", done.stderr)
        assert "Traceback" not in done.stderr
    assert not (project / "runs" / "quickstart").exists()


def test_all_mistakes_are_told_at_once(project: Path, ftspec: Run) -> None:
    edit(project, "model: tiny", "model: tiney")
    edit(project, "data/tickets.jsonl", "data/ticket.jsonl")
    errors = json.loads(ftspec("validate", "--json", cwd=project).stdout)["error"]
    assert {problem["code"] for problem in errors} == {"unknown_model", "missing_file"}
    assert all(problem["line"] for problem in errors)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"customer": "c1", "queue": "refund"}', "no field text"),
        ('{"customer": "c1", "text": "x", "queue"', "JSON"),
        ("", None),
        ("[1, 2]", "object"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(project: Path, ftspec: Run, row: str, said: str | None) -> None:
    path = project / "data" / "tickets.jsonl"
    lines = path.read_text().splitlines()
    lines[4] = row
    path.write_text("\n".join(lines) + "\n")
    done = ftspec("validate", cwd=project)
    if said is None:
        assert done.returncode == 0
    else:
        assert done.returncode == 65
        assert "data/tickets.jsonl:5" in done.stderr
        assert said in done.stderr


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"messages": [user, answer | {"weight": 2}]}, "messages[1].weight: weight is 2"),
        ({"messages": [user | {"weight": 1}, answer]}, "messages[0].weight: weight on a user message"),
        ({"text": "x", "queue": "refund"}, "no `messages` in the row (it has: text, queue)"),
    ],
)
def test_a_bad_chat_row_is_named_by_file_and_line(project: Path, ftspec: Run, row: object, said: str) -> None:
    rows = [{"messages": [{"role": "user", "content": f"where is {i}"}, answer]} for i in range(20)]
    lines = [json.dumps(row) for row in [*rows[:3], row, *rows[3:]]]
    (project / "data" / "chat.jsonl").write_text("\n".join(lines) + "\n")
    spec = "defaults: [config, override evals: [routing], _self_]\nmodel: tiny\n"
    spec += "dataset: {sources: [{path: data/chat.jsonl}], split: {validation: 3, test: 5}}\n"
    (project / "experiments" / "chat.yaml").write_text(spec)
    for verb in ("validate", "run"):
        done = ftspec(verb, "chat", cwd=project)
        assert done.returncode == 65, done.stdout + done.stderr
        assert f"data/chat.jsonl:4: {said}" in done.stderr
    assert not (project / "runs" / "chat").exists()


def test_the_same_mistake_in_every_row_is_told_in_few_lines(project: Path, ftspec: Run) -> None:
    edit(project, "metadata: [customer]", "extract: {text: '(?P<first>zzz)'}")
    edit(project, ", by: customer", "")
    said = ftspec("validate", cwd=project).stderr.splitlines()
    assert len(said) == 5
    assert "the same in lines 4 to 100" in said[3]
    assert len(json.loads(ftspec("validate", "--json", cwd=project).stdout)["error"]) == 101


def test_an_older_python_is_told_which_one_is_needed(repository: Path, tmp_path: Path) -> None:
    old = tmp_path / "python"
    pretend = 'import sys; sys.version_info = (3, 9, 18); sys.version = "3.9.18 (main)"; exec(sys.argv[1])'
    old.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{pretend}' \"$2\"\n")
    old.chmod(0o755)
    command = ["make", "quickstart", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert done.returncode != 0
    assert "ftspec needs Python 3.11 or newer; this is 3.9.18" in done.stderr
    assert not (tmp_path / "venv").exists()
    run = 'import runpy; runpy.run_module("ftspec", run_name="__main__")'
    direct = subprocess.run([old, "-c", run], cwd=repository, capture_output=True, text=True)
    assert direct.returncode == 1
    assert direct.stderr == "ftspec needs Python 3.11 or newer; this is 3.9.18\n"


def test_a_provider_switch_names_the_models_that_it_trains(project: Path, ftspec: Run) -> None:
    done = ftspec("plan", "quickstart", "provider=openai", cwd=project)
    assert done.returncode == 65
    assert "openai does not train 'tiny'; it is known to train gpt-4.1-2025-04-14, " in done.stderr
    words = ("quickstart", "provider=openai", "model=gpt-4o-mini-2024-07-18")
    run = ftspec("run", *words, "--yes", "--accept-unknown", cwd=project, OPENAI_API_KEY="")
    assert run.returncode == 77
    assert "OPENAI_API_KEY" in run.stderr
    (counted,) = [line for line in run.stderr.splitlines() if "warnings (" in line]
    assert re.fullmatch(
        r"quickstart: \d+ warnings \(create_closed \d+.*\), shown by `ftspec validate " + " ".join(words) + "`", counted
    )


def test_an_unknown_price_is_over_budget(project: Path, ftspec: Run) -> None:
    run = ftspec("run", "quickstart", "provider=openai", "model=gpt-4o-mini-2024-07-18", cwd=project)
    assert run.returncode == 3
    assert "unknown" in run.stderr
    assert not (project / "runs" / "quickstart").exists()


def test_compose_shows_values_and_their_places(project: Path, ftspec: Run) -> None:
    whole = ftspec("compose", "quickstart", cwd=project).stdout
    assert "learning_rate_multiplier" in whole
    sites = json.loads(ftspec("compose", "quickstart", "--where", "--json", cwd=project).stdout)
    by_path = {site["path"]: site for site in sites}
    assert (by_path["model"]["file"], by_path["model"]["line"]) == ("experiments/quickstart.yaml", 5)
    point = json.loads(ftspec("compose", "quickstart", "--run", "epochs=3,lr=0.2", "--json", cwd=project).stdout)
    assert point["hyperparameters"]["n_epochs"] == 3
    wrong = ftspec("compose", "quickstart", "--run", "epochs=4,lr=0.2", cwd=project)
    assert wrong.returncode == 64
    assert "epochs=3,lr=0.2" in wrong.stderr


def test_help_shows_the_first_day_first_and_all_verbs_have_help(tmp_path: Path, ftspec: Run) -> None:
    text = ftspec("--help", cwd=tmp_path).stdout
    names = re.findall(r"^  ([a-z]+)  +\S", text, re.MULTILINE)
    assert names[:6] == ["init", "validate", "plan", "run", "ls", "show"]
    for name in names:
        assert ftspec(name, "--help", cwd=tmp_path).returncode == 0, name


def test_unknown_verbs_and_options(tmp_path: Path, ftspec: Run) -> None:
    verb = ftspec("pln", cwd=tmp_path)
    assert (verb.returncode, "ftspec plan" in verb.stderr) == (64, True)
    option = ftspec("plan", "--jsn", cwd=tmp_path)
    assert option.returncode == 64
    assert "--help" in option.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_and_words(project: Path, ftspec: Run, shell: str) -> None:
    assert "_FTSPEC_COMPLETE" in ftspec("completion", shell, cwd=project).stdout
    words = {"bash": {"COMP_WORDS": "ftspec plan qu", "COMP_CWORD": "2"}}.get(shell)
    if words:
        done = ftspec(cwd=project, _FTSPEC_COMPLETE=f"{shell}_complete", **words)
        assert "quickstart" in done.stdout


def test_ls_and_show_without_runs(project: Path, ftspec: Run) -> None:
    assert "no runs yet" in ftspec("ls", cwd=project).stdout
    assert json.loads(ftspec("ls", "--json", cwd=project).stdout) == {"schema": 1, "runs": []}
    assert ftspec("show", "epochs=1", cwd=project).returncode == 64


def test_doctor(project: Path, ftspec: Run) -> None:
    done = ftspec("doctor", "--json", cwd=project)
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == 0
    assert {"python", "packages", "disk", "base model", "provider embedded"} <= {f["subject"] for f in findings}
    assert "sk-canary" not in ftspec("doctor", cwd=project, OPENAI_API_KEY="sk-canary").stdout


def test_no_colours_in_a_pipe(project: Path, ftspec: Run) -> None:
    assert "\x1b[" not in ftspec("plan", "quickstart", cwd=project).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_real_shell_completes_experiments_keys_and_values(
    project: Path, ftspec: Run, tmp_path: Path, shell: str
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not on this machine")
    (tmp_path / "script").write_text(ftspec("completion", shell, cwd=project).stdout)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "ftspec").write_text(f'#!/bin/sh\nexec {sys.executable} -m ftspec "$@"\n')
    (tmp_path / "bin" / "ftspec").chmod(0o755)
    programs = {
        "bash": f"source {tmp_path}/script; compopt() {{ :; }}\n"
        'try() { COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _ftspec_completion ftspec; '
        'echo "${COMPREPLY[*]}"; }\n'
        "try ftspec pla; try ftspec plan qu; try ftspec plan quickstart hyperparameters.n; "
        "try ftspec plan quickstart weights = ass",
        "fish": f"source {tmp_path}/script\ncomplete -C 'ftspec pla'; complete -C 'ftspec plan qu'; "
        "complete -C 'ftspec plan quickstart hyperparameters.n'; complete -C 'ftspec plan quickstart weights=ass'",
        # Without a terminal zsh has no completion: what its function asks and gets is looked at.
        "zsh": "compdef() { :; }; compadd() { print -- ${completions[*]}; }\n"
        f"_describe() {{ print -- ${{completions_with_descriptions[*]}}; }}; source {tmp_path}/script 2>/dev/null\n"
        "try() { words=($@); CURRENT=$#; _ftspec_completion; }\n"
        "try ftspec pla; try ftspec plan qu; try ftspec plan quickstart hyperparameters.n; "
        "try ftspec plan quickstart weights=ass",
    }
    environment = os.environ | {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "COMP_WORDBREAKS": " ="}
    done = subprocess.run(
        [shell, *(["-f"] if shell == "zsh" else []), "-c", programs[shell]],
        cwd=project,
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    said = done.stdout
    assert re.search(r"\bplan\b", said), said + done.stderr
    assert "quickstart" in said
    assert "hyperparameters.n_epochs=" in said
    assert ("assistant" if shell == "bash" else "weights=assistant") in said
