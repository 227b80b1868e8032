"""What a hostile pull request can hold: each line first does its damage on stock Hydra, git or re, and then none here.

`ftspec diff --untrusted` runs as its own process in a checkout of the hostile branch. Each attack ends within seconds,
with exit 66 or in neutral text; a canary file stays as it was and a canary in the environment is in no output.
"""

import gzip
import json
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ftspec.report.changes import change_lines
from ftspec.report.markdown.comment import comment
from ftspec.spec.errors import UnsafeError
from ftspec.workflows.review.changes import read_changes

pytestmark = pytest.mark.slow

KEY = "sk-canary-0123456789abcdef"
DEMO = "experiments/demo.yaml"
HOSTILE = "experiments/hostile.yaml"
FTSPEC = Path(sys.executable).with_name("ftspec")
CPU_SECONDS = 2.0
REVIEW = ("diff", "main", "change", "--untrusted", "--json")

VALID = """\
defaults: [config, _self_]
model: tiny
dataset:
  sources: [{path: data/chat.jsonl}]
"""
CHAT = "".join(
    json.dumps({"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}]}) + "\n"
    for n in range(60)
)
DATA = {"data/chat.jsonl": CHAT}
EVIL = "import os\nopen(os.environ.get('CANARY_FILE') or {canary!r}, 'a').write('ran ' + __name__)\n"


@dataclass(frozen=True)
class Outcome:
    """One process: exit code, both outputs, CPU seconds."""

    code: int
    out: str
    err: str
    cpu: float

    @property
    def codes(self) -> set[str]:
        """Codes of the problems told, with --json."""
        found = json.loads(self.out)
        return {problem["code"] for problem in found.get("error", [])} | {t["code"] for t in found.get("troubles", [])}


@dataclass(frozen=True)
class Victim:
    """A reviewer's clone with a hostile branch checked out."""

    repo: Any
    canary: Path

    def attack(self, files: Mapping[str, str | bytes]) -> None:
        """Commit hostile files."""
        self.repo.write(dict(files))
        self.repo.commit()

    def run(self, *arguments: str, command: tuple[str, ...] = (str(FTSPEC),)) -> Outcome:
        """Run ftspec there with a key in the environment; nothing may have happened afterwards."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [*command, *arguments],
            cwd=self.repo.root,
            env=os.environ | {"OPENAI_API_KEY": KEY, "CANARY_KEY": KEY, "CANARY_FILE": str(self.canary), "CI": "true"},
            capture_output=True,
            timeout=120,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return self.looked_at(Outcome(done.returncode, done.stdout.decode(), done.stderr.decode(), cpu))

    def looked_at(self, outcome: Outcome) -> Outcome:
        """Check that nothing happened."""
        assert self.canary.read_text() == "untouched"
        assert KEY not in outcome.out + outcome.err
        assert "Traceback" not in outcome.err
        return outcome

    def review(self, *arguments: str, apart: bool = True) -> Outcome:
        """Review the hostile branch as CI does, with no process of its own for what only starts the child; without
        the child where what it composes is refused by code that is the same in both.
        """
        before = resource.getrusage(resource.RUSAGE_CHILDREN), time.process_time()
        secrets = {"OPENAI_API_KEY": KEY, "CANARY_KEY": KEY, "CANARY_FILE": str(self.canary)}
        arguments = ("diff", "main", "change", *(["--untrusted"] if apart else []), *arguments)
        done = self.repo.ftspec(*arguments, **secrets)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before[0].ru_utime - before[0].ru_stime
        return self.looked_at(Outcome(done.returncode, done.stdout, done.stderr, cpu + time.process_time() - before[1]))


@pytest.fixture
def victim(repo: Any, tmp_path: Path) -> Victim:
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    repo.write(DATA)
    return Victim(repo, canary)


# Stock Hydra


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each attack does to stock Hydra, each bounded to a second of CPU."""
    folder = tmp_path_factory.mktemp("stock")
    script = Path(__file__).with_name("stock_hydra.py")
    done = subprocess.run(
        [sys.executable, str(script), str(folder / "canary")],
        cwd=folder,
        env=os.environ | {"CANARY_KEY": KEY},
        capture_output=True,
        timeout=300,
        check=True,
    )
    return dict(json.loads(line) for line in done.stdout.splitlines())


@dataclass(frozen=True)
class Attack:
    """`damage` is what stock Hydra's outcome holds; `codes` are told here, none: the attack is neutral text."""

    damage: str
    files: Mapping[str, str | bytes]
    codes: frozenset[str] = field(default_factory=frozenset)
    exit: int = 66


def hostile(body: str, more: Mapping[str, str] | None = None, base: str = VALID) -> dict[str, str | bytes]:
    return {HOSTILE: base + body, **(more or {})}


ALIASES = "\n".join(
    ["tags: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
)
REFERENCES = "\n".join(
    ["metadata:", "  r0: xxxxxxxxxx"]
    + [f"  r{n}: '${{metadata.r{n - 1}}}${{metadata.r{n - 1}}}'" for n in range(1, 44)]
)
ON_HYDRA = {
    "plugin_folder": Attack(
        "hydra_plugins.evil",
        {"hydra_plugins/evil/__init__.py": EVIL.format(canary=""), HOSTILE: VALID},
        exit=0,
    ),
    "search_path_package": Attack(
        "evilpackage",
        hostile("hydra: {searchpath: ['pkg://evilpackage']}\n", {"evilpackage/__init__.py": EVIL.format(canary="")}),
        frozenset({"hydra_key"}),
    ),
    "search_path_folder": Attack(
        "read: from elsewhere", hostile("hydra: {searchpath: ['file:///etc']}\n"), frozenset({"hydra_key"})
    ),
    "package_header": Attack(
        "dir: /anywhere/else",
        {"conf/unused/y.yaml": "# @package hydra\nrun: {dir: /anywhere/else}\n"},
        frozenset({"package_header"}),
    ),
    "group_at_hydra": Attack(
        "dir: /anywhere/else",
        {HOSTILE: VALID.replace("[config,", "[config, {'x@hydra.run': y},"), "conf/x/y.yaml": "dir: /anywhere/else\n"},
        frozenset({"package"}),
    ),
    "outside_defaults": Attack(
        "read: from outside",
        {HOSTILE: VALID.replace("[config,", "[config, ../outside,"), "outside.yaml": "seed: 3\n"},
        frozenset({"outside"}),
    ),
    "environment": Attack(KEY, hostile("suffix: ${oc.env:OPENAI_API_KEY}\n"), frozenset({"resolver"})),
    "environment_in_defaults": Attack(
        "chosen: true",
        {HOSTILE: VALID.replace("[config,", "[config, {weights: '${oc.env:OPENAI_API_KEY}'},")},
        frozenset({"resolver"}),
    ),
    "alias_bomb": Attack("stopped after a second", hostile(ALIASES + "\n"), frozenset({"anchor"})),
    "reference_bomb": Attack("stopped after a second", hostile(REFERENCES + "\n"), frozenset({"reference_size"})),
    "depth_bomb": Attack(
        "stopped after a second|RecursionError",
        hostile("sweep: {grid: {seed: '" + "[" * 3000 + "]" * 3000 + "'}}\n"),
        frozenset({"limit"}),
    ),
    "huge_range": Attack(
        "1999999", hostile("sweep: {grid: {seed: 'range(1,2000000)'}}\n"), frozenset({"too_many_runs"}), exit=65
    ),
    "target": Attack(
        "target",
        hostile("metadata: {_target_: shutil.copyfile, src: data/chat.jsonl, dst: canary}\n"),
        frozenset({"target_key"}),
    ),
    "regex_bomb": Attack(
        "stopped after a second",
        hostile(
            "weights: {rules: [{name: r, match: {content_regex: '(a|a)*$'}, weight: 0}]}\n",
            {"data/chat.jsonl": CHAT.replace("7!", "a" * 60 + "b")},
        ),
        frozenset({"regex_timeout"}),
        exit=65,
    ),
}


@pytest.mark.parametrize("name", ON_HYDRA)
def test_what_harms_stock_hydra_is_refused(victim: Victim, stock: dict[str, str], name: str) -> None:
    attack = ON_HYDRA[name]
    assert re.search(attack.damage, stock[name]), "the attack no longer does its damage: look for its new form"
    victim.attack(attack.files)
    # What could happen to the process that reviews is looked at in one of its own.
    apart = name in ("plugin_folder", "search_path_package", "environment", "target")
    found = victim.run(*REVIEW) if apart else victim.review("--json")
    assert found.code == attack.exit, found.out + found.err
    assert found.codes == attack.codes
    # What composes imports Hydra twice, and one pattern may take a second; a loaded machine takes more for all of it.
    assert found.cpu < (CPU_SECONDS if attack.exit == 66 else 3 * CPU_SECONDS)
    if not attack.codes:
        assert read_changes(found.out.encode()).to_train, "the branch is reviewed all the same"


def test_plugins_are_not_loaded_by_plain_commands_either(victim: Victim) -> None:
    victim.attack(ON_HYDRA["plugin_folder"].files)
    assert victim.run("diff", "main", command=(sys.executable, "-m", "ftspec")).code == 0


SHADOWED = (
    "yaml",
    "click",
    "hydra",
    "omegaconf",
    "msgspec",
    "pydantic",
    "rich",
    "json",
    "sitecustomize",
    "usercustomize",
)


def test_modules_of_the_repository_shadow_nothing(victim: Victim) -> None:
    """Stock: `python -m` puts the current folder first on the path, and a module there is run."""
    victim.attack({f"{name}.py": EVIL.format(canary="") for name in SHADOWED} | {HOSTILE: VALID})
    marked = victim.canary.with_name("stock")
    marked.write_text("")
    subprocess.run(
        [sys.executable, "-m", "hydra"],
        cwd=victim.repo.root,
        env=os.environ | {"CANARY_FILE": str(marked)},
        capture_output=True,
    )
    assert "ran" in marked.read_text()
    for command, more in (((str(FTSPEC),), []), ((sys.executable, "-m", "ftspec"), ["--untrusted"])):
        assert victim.run("diff", "main", "change", *more, command=command).code == 0


# git


def test_attributes_hide_and_rewrite_nothing(victim: Victim) -> None:
    victim.attack(
        {
            HOSTILE: VALID + "description: $Format:%H$\n",
            ".gitattributes": "experiments/hostile.yaml export-subst\nconf/** export-ignore\n* filter=evil\n",
        }
    )
    victim.repo.git("config", "filter.evil.smudge", f"touch {victim.canary.with_name('smudged')}")
    archived = subprocess.run(
        ["git", "archive", "change"], cwd=victim.repo.root, capture_output=True, check=True
    ).stdout
    assert b"$Format" not in archived, "stock git archive rewrites the file"
    assert b"conf/evals/exact.yaml" not in archived, "and hides another"
    assert victim.canary.with_name("smudged").exists(), "and runs a filter"
    victim.canary.with_name("smudged").unlink()
    found = victim.review("--json")
    assert found.code == 0
    assert "$Format:%H$" in victim.repo.git("show", f"change:{HOSTILE}")
    assert {run.experiment for run in read_changes(found.out.encode()).runs} == {"hostile"}
    assert not victim.canary.with_name("smudged").exists()


LINKS = {
    "a folder of conf/": ("conf/weights", "../../../../etc"),
    "an experiment": (HOSTILE, "/etc/hostname"),
    "a file of the policy": (".ftspec/policy.yaml", "/etc/hostname"),
}


@pytest.mark.parametrize("name", LINKS)
def test_links_are_refused(victim: Victim, name: str, tmp_path: Path) -> None:
    path, target = LINKS[name]
    (victim.repo.root / path).parent.mkdir(exist_ok=True)
    (victim.repo.root / path).symlink_to(target)
    victim.repo.commit()
    victim.repo.git("worktree", "add", "-q", str(tmp_path / "worktree"), "change~0")
    assert os.readlink(tmp_path / "worktree" / path) == target, "a stock worktree follows it out of the repository"
    found = victim.review("--json")
    assert (found.code, found.codes) == (66, {"link"})


def test_a_linked_data_file_is_refused(victim: Victim) -> None:
    secret = victim.canary.with_name("secret.jsonl")
    secret.write_text(CHAT.replace("7!", KEY))
    (victim.repo.root / "data" / "linked.jsonl").symlink_to(secret)
    victim.attack({HOSTILE: VALID.replace("chat.jsonl", "linked.jsonl")})
    for head in ("change", "WORKTREE"):
        found = victim.run("diff", "main", head, "--untrusted", "--show-text", "--json")
        assert (found.code, found.codes) == (66, {"link"}), head


def test_a_submodule_is_refused_and_never_fetched(victim: Victim) -> None:
    victim.repo.write({".gitmodules": '[submodule "x"]\n\tpath = conf/x\n\turl = ext::sh -c touch% stolen\n'})
    head = victim.repo.git("rev-parse", "HEAD")
    victim.repo.git("add", ".gitmodules")
    victim.repo.git("update-index", "--add", "--cacheinfo", f"160000,{head},conf/x")
    victim.repo.git("commit", "-qm", "x")
    found = victim.review("--json")
    assert (found.code, found.codes) == (66, {"link"})


def test_a_revision_named_like_an_option(victim: Victim) -> None:
    shown = subprocess.run(["git", "rev-parse", "--git-dir"], cwd=victim.repo.root, capture_output=True, check=True)
    assert shown.stdout.strip() == b".git", "stock rev-parse takes it for an option"
    found = victim.run("diff", "main", "--json", "--", "--git-dir")
    assert (found.code, found.codes) == (64, {"unknown_revision"})


ESCAPES: dict[str, tuple[dict[str, str | bytes], set[str]]] = {
    "text outside": ({HOSTILE: VALID + "description: {file: ../../../etc/hostname}\n"}, {"outside"}),
    "absolute text": ({HOSTILE: VALID + "description: {file: /etc/hostname}\n"}, {"outside"}),
    "rows outside": ({HOSTILE: VALID.replace("data/chat", "../chat")}, {"outside_project"}),
    "home": ({HOSTILE: VALID.replace("data/chat", "~/chat")}, {"outside_project"}),
    "names with dots": ({"conf/we ights/..x.yaml": "a: 1\n"}, {"name"}),
    "one file on some systems": ({"conf/weights/A.yaml": "", "conf/weights/a.yaml": ""}, {"name"}),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_paths_stay_inside(victim: Victim, name: str) -> None:
    files, codes = ESCAPES[name]
    victim.attack(files)
    found = victim.review("--json", apart=name == "text outside")
    assert (found.code, found.codes) == (66, codes), found.out


@pytest.mark.parametrize("url", ["file:///etc/hostname", "https://127.0.0.1:9/rows.jsonl", "hf:owner/name"])
def test_urls_are_shown_never_fetched(victim: Victim, url: str) -> None:
    victim.attack({HOSTILE: VALID.replace("data/chat.jsonl", url)})
    found = victim.review("--json", apart=url.startswith("https"))
    assert found.code in (65, 66)
    assert not {"internal", "child"} & found.codes


# Text

BIDI = "\u202e\u2066"
NASTY = (
    f"\x1b[31mred\x1b]0;title\x07 {BIDI}@everyone #1 `x` ``y`` | "
    "<img src=x> </details> [a](http://evil) ::add-mask::x ##[x]"
)
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def nasty_files(repo: Any) -> dict[str, str | bytes]:
    """Hostile text wherever a change can bring some."""
    text = json.dumps(NASTY)  # YAML reads JSON strings
    row = json.dumps({"text": NASTY, "label": "cat"}) + "\n"
    return {
        DEMO: repo.read(DEMO).replace("seed: 3", f"seed: 4\ntags: [{text}]\nmetadata: {{k: {text}}}"),
        "data/rows.jsonl": repo.read("data/rows.jsonl") + row * 30,
        "conf/evals/exact.yaml": f"exact:\n  graders: {{animal: {{type: label, labels: [cat, dog, cow, {text}]}}}}\n",
        f"prompts/{NASTY.replace('/', '_')[:100]}.md": "x",
    }


def test_texts_drive_neither_terminal_nor_runner(victim: Victim) -> None:
    """Stock: `cat` and `git show` hand escapes on as they are."""
    victim.attack(nasty_files(victim.repo))
    assert "\\u001b" in victim.repo.git("show", f"change:{DEMO}")
    found = victim.review("--show-text", "--json")
    assert found.code == 0, found.err
    changes = read_changes(found.out.encode())
    shown = "\n".join(change_lines(changes, colour=False))
    for text in (shown, comment(changes), found.out, found.err):
        assert not RAW.search(text)
        for line in text.splitlines():
            assert not line.lstrip().startswith(("::", "##[")), line
    assert shown == victim.review("--show-text", apart=False).out.rstrip("\n"), "that is what is printed"


def test_errors_quote_hostile_text_escaped(victim: Victim) -> None:
    victim.attack(
        {HOSTILE: VALID + f"{json.dumps(NASTY)}: 1\n", f"conf/weights/{NASTY.replace('/', '_')[:90]}.yaml": "a: 1"}
    )
    for more in ([], ["--markdown"], ["--json"]):
        found = victim.review(*more)
        assert found.code == 66
        assert not RAW.search(found.out + found.err), more
        assert not any(line.lstrip().startswith(("::", "##[")) for line in (found.out + found.err).splitlines())


def test_markdown_of_hostile_text_is_inert(victim: Victim) -> None:
    """Rendered by a CommonMark parser: hostile words stand in code alone, no link, image, mention or HTML of theirs."""
    from markdown_it import MarkdownIt

    damage = MarkdownIt().render(NASTY)
    assert '<a href="http://evil">' in damage
    assert "<img src=x>" in damage
    victim.attack(nasty_files(victim.repo))
    found = victim.review("--markdown", "--show-text", apart=False)
    html = MarkdownIt().enable("table").render(found.out)
    bare = re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL)
    for word in ("evil", "@everyone", "#1", "img src", "add-mask"):
        assert word not in bare, word
    assert html.count("<details>") == html.count("</details>")
    assert "@everyone" in found.out, "it is shown, as code"


# Size


def test_giant_lines_and_files_are_refused_before_they_are_read(victim: Victim) -> None:
    giant = json.dumps({"messages": [{"role": "user", "content": "x" * (2 << 20)}]}) + "\n"
    victim.attack({HOSTILE: VALID, "data/chat.jsonl": CHAT + giant})
    found = victim.review("--json")
    assert (found.code, found.codes) == (66, {"limit"})
    assert found.cpu < CPU_SECONDS
    victim.attack({"data/chat.jsonl": CHAT, "conf/weights/big.yaml": "# x\n" * 70_000})
    found = victim.review("--json")
    assert (found.code, found.codes) == (66, {"limit"})


def test_a_compressed_bomb_is_refused(victim: Victim) -> None:
    """Stock: megabytes of gzip, of many members here, are a gigabyte of rows."""
    bomb = gzip.compress((CHAT * 2_000).encode(), 9) * 110
    assert len(bomb) < 8 << 20
    assert len(CHAT) * 2_000 * 110 > 1 << 30
    victim.attack({HOSTILE: VALID.replace("chat.jsonl", "bomb.jsonl.gz"), "data/bomb.jsonl.gz": bomb})
    found = victim.review("--json")
    assert (found.code, found.codes) == (66, {"limit"})
    assert found.cpu < CPU_SECONDS


def test_too_much_configuration_is_refused(victim: Victim) -> None:
    block = "# x\n" * 60_000
    victim.attack({f"conf/weights/b{n}.yaml": block + f"# {n}\n" for n in range(150)})
    found = victim.review("--json")
    assert (found.code, found.codes) == (66, {"limit"})
    assert found.cpu < CPU_SECONDS


# Judges


def test_a_policy_loosened_by_the_change_still_fails_by_the_base(victim: Victim) -> None:
    repo = victim.repo
    repo.git("checkout", "-q", "main")
    repo.write({".ftspec/policy.yaml": "max_runs: 1\n"})
    repo.commit()
    repo.git("checkout", "-q", "change")
    repo.git("merge", "-q", "main")
    repo.replace(DEMO, "seed: 3", "seed: 4")
    victim.attack({".ftspec/policy.yaml": "max_runs: 100\n"})
    found = victim.review("--json")
    assert found.code == 3
    (gate,) = read_changes(found.out.encode()).gates
    assert (gate.name, gate.passed) == ("max_runs", False)


def test_a_branch_from_before_the_policy_is_judged_by_it_all_the_same(victim: Victim) -> None:
    repo = victim.repo
    repo.replace(DEMO, "seed: 3", "seed: 4")
    repo.commit()
    repo.git("checkout", "-q", "main")
    repo.write({".ftspec/policy.yaml": "max_runs: 1\n"})
    tip = repo.commit()
    found = victim.review("--json")
    assert found.code == 3
    assert read_changes(found.out.encode()).policy == tip


# The child: its limits truly hold

CONFINED = "from ftspec.workflows.review.confined import confine; confine(2); "


def confined(code: str, folder: Path) -> "subprocess.CompletedProcess[bytes]":
    from ftspec.workflows.review.confined import run_confined

    return run_confined(CONFINED + code, [], folder, 2)


def test_the_child_has_no_environment_and_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("print('loaded')")
    done = confined("import os; print(dict(os.environ), os.getcwd(), sys.path)", tmp_path)
    assert done.returncode == 0
    assert KEY.encode() not in done.stdout
    assert b"loaded" not in done.stdout
    shown = done.stdout.decode()
    assert set(re.findall(r"'(\w+)':", shown)) <= {"LC_ALL", "LC_CTYPE"}
    assert f"'{tmp_path}'" not in shown


def test_the_child_has_no_endless_cpu_and_memory(tmp_path: Path) -> None:
    assert confined("exec('while True: pass')", tmp_path).returncode < 0
    done = confined("x = bytearray(2 << 30)", tmp_path)
    assert b"MemoryError" in done.stderr
    done = confined("f = [open(sys.executable) for n in range(300)]", tmp_path)
    assert b"Too many open files" in done.stderr


def test_the_child_starts_nothing(tmp_path: Path) -> None:
    for code in ("import os; os.system('true')", "import subprocess; subprocess.run(['true'])", "import os; os.fork()"):
        done = confined(code, tmp_path)
        assert done.returncode == 1, code
        assert b"composing a strange revision tried" in done.stderr


def test_the_child_reaches_no_network(tmp_path: Path) -> None:
    """Without the hook too, where the system has namespaces: nothing listens in there."""
    from ftspec.workflows.review.confined import limits, run_confined

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connect = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1); print('connected')"
        assert b"connected" not in confined(connect, tmp_path).stdout
        done = run_confined(connect, [], tmp_path, 5)
        assert (b"connected" in done.stdout) == (not limits(5).startswith("no network"))


def test_what_goes_over_a_limit_is_said_so(repo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftspec.workflows.review import contained

    repo.replace(DEMO, "seed: 3", "seed: 4")
    repo.commit()
    monkeypatch.setattr(contained, "_CHILD", CONFINED + "exec('while True: pass')")
    with pytest.raises(UnsafeError) as caught:
        repo.review("main", "change", untrusted=True)
    assert caught.value.code == "limit"
    monkeypatch.setattr(contained, "_CHILD", "open('answer.json', 'w').write('{\"schema\": 1}')")
    with pytest.raises(Exception, match="has another shape"):
        repo.review("main", "change", untrusted=True)


def test_the_child_says_what_this_process_says(repo: Any) -> None:
    repo.replace(DEMO, "seed: 3", "seed: 4")
    repo.commit()
    apart, here = (repo.review("main", "change", untrusted=untrusted) for untrusted in (True, False))
    assert apart.limits
    assert apart.runs == here.runs
    assert apart.data == here.data
    assert apart.fields == here.fields
