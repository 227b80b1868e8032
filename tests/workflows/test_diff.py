"""`diff`: what becomes of each run between two revisions of a real repository."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.report import words
from ftspec.spec.errors import DataError, UsageError
from ftspec.workflows.review import changes as shapes
from ftspec.workflows.review.changes import Changes, read_changes, to_json

pytestmark = pytest.mark.usefixtures("composed_once")

Edit = Callable[[Any], object]
DEMO = "experiments/demo.yaml"
BOTH = ("demo/epochs=1", "demo/epochs=2")
CHAT = "hyperparameters: {n_epochs: 3, batch_size: auto}\n"


def of(kind: str) -> dict[str, str]:
    return dict.fromkeys(BOTH, kind)


def kinds(changes: Changes) -> dict[str, str]:
    return {f"{run.experiment}/{run.label}": run.kind for run in changes.runs}


def add_row(repo: Any, text: str = "it moos at 5", label: str = "cow") -> None:
    line = json.dumps({"text": text, "label": label}) + "\n"
    repo.write({"data/rows.jsonl": repo.read("data/rows.jsonl") + line})


def move_into_conf(repo: Any) -> None:
    """Say the same through a block of the project's own."""
    text = repo.read(DEMO)
    start, end = text.index("dataset:\n"), text.index("sweep:\n")
    block = "".join(line[2:] + "\n" for line in text[start:end].splitlines()[1:])
    repo.write({"conf/dataset/animals.yaml": block})
    repo.write({DEMO: (text[:start] + text[end:]).replace("[config,", "[config, override dataset: animals,")})


EDITS: dict[str, tuple[Edit, dict[str, str]]] = {
    "seed": (lambda r: r.replace(DEMO, "seed: 3", "seed: 4"), of("retrain")),
    "data": (add_row, of("retrain")),
    "prompt file": (lambda r: r.write({"prompts/ask.md": "Which animal is it?\n"}), of("retrain")),
    "grader": (lambda r: r.replace("conf/evals/exact.yaml", "label}", "label, match: casefold}"), of("re-score")),
    "margin": (
        lambda r: r.write({"conf/evals/exact.yaml": r.read("conf/evals/exact.yaml") + "  compare: {margin: 0.05}\n"}),
        of("metadata"),
    ),
    "description": (lambda r: r.replace(DEMO, "Say which", "Tell which"), of("metadata")),
    "tags": (lambda r: r.replace(DEMO, "seed: 3", "seed: 3\ntags: [a]"), of("metadata")),
    "comment": (lambda r: r.write({DEMO: "# more\n" + r.read(DEMO)}), {}),
    "value added": (lambda r: r.replace(DEMO, "[1, 2]", "[1, 2, 4]"), {"demo/epochs=4": "new"}),
    "value removed": (lambda r: r.replace(DEMO, "[1, 2]", "[2]"), {"demo/epochs=1": "removed"}),
    "axis added": (
        lambda r: r.replace(DEMO, "seed: 3", "    seed: [3, 5]"),
        {f"demo/epochs={n},seed={s}": "renamed" if s == 3 else "new" for n in (1, 2) for s in (3, 5)},
    ),
    "file renamed": (
        lambda r: r.git("mv", DEMO, "experiments/animals.yaml"),
        {"animals/epochs=1": "renamed", "animals/epochs=2": "renamed"},
    ),
    "experiment removed": (lambda r: r.git("rm", "-q", DEMO), of("removed")),
    "experiment copied": (
        lambda r: r.write({"experiments/copy.yaml": r.read(DEMO)}),
        {"copy/epochs=1": "new", "copy/epochs=2": "new"},
    ),
    "built-in block shadowed": (
        lambda r: r.write({"conf/hyperparameters/auto.yaml": "n_epochs: 1\nbatch_size: 2\n"}),
        of("retrain"),
    ),
    "moved into conf": (move_into_conf, {}),
    "other files": (lambda r: r.write({"docs/x.md": "x", "data/other.jsonl": "{}\n"}), {}),
}
MIRRORED = {"new": "removed", "removed": "new"}


@pytest.mark.parametrize("name", EDITS)
def test_each_edit_gives_its_class_both_ways(repo: Any, name: str) -> None:
    edit, expected = EDITS[name]
    edit(repo)
    repo.commit()
    found = repo.review(head="change")
    assert kinds(found) == expected
    assert found.quiet == (not expected)

    # The other way round every class is mirrored.
    back = repo.review("change", "main", exact=True)
    there = sorted((old_name(run), MIRRORED.get(run.kind, run.kind)) for run in found.runs)
    assert sorted((f"{run.experiment}/{run.label}", run.kind) for run in back.runs) == there
    assert [(run.train_new, run.train_old) for run in sorted(back.runs, key=key)] == [
        (run.train_old, run.train_new) for run in sorted(found.runs, key=lambda run: old_name(run))
    ]
    turned = {(g.experiment, f.path, f.new, f.old) for g in back.fields for f in g.fields}
    assert {f[1:] for f in turned} == {(f.path, f.old, f.new) for g in found.fields for f in g.fields}
    for one, other in zip(found.data, back.data, strict=False):
        if one.rows and other.rows:
            assert (one.rows.added, one.rows.removed) == (other.rows.removed, other.rows.added)

    # A revision against itself is empty, and what is written is what the schema says.
    assert repo.review("change", "change").quiet
    assert read_changes(json.dumps(to_json(found)).encode()) == found


def test_the_working_tree_says_what_its_commit_says(repo: Any) -> None:
    EDITS["data"][0](repo)
    EDITS["value added"][0](repo)
    EDITS["built-in block shadowed"][0](repo)
    repo.git("add", "data")
    tree = repo.review()
    repo.commit()
    assert tree.runs
    assert without_sides(tree) == without_sides(repo.review(head="change"))


def key(run: shapes.Run) -> str:
    return f"{run.experiment}/{run.label}"


def old_name(run: shapes.Run) -> str:
    return run.old_name or key(run)


def without_sides(changes: Changes) -> Any:
    plain = to_json(changes)
    return {key: value for key, value in plain.items() if key not in ("head", "base")}


def test_the_published_schema_is_that_of_the_shapes() -> None:
    made = json.dumps(shapes.make_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    published = Path(shapes.__file__).with_name("changes.schema.json").read_text()
    assert published == made, "write it anew: python -m ftspec.workflows.review.changes"


def test_equal_changes_stand_together_with_old_new_and_place(repo: Any) -> None:
    repo.replace(DEMO, "seed: 3", "seed: 4\nhyperparameters: {batch_size: 2}")
    (group,) = repo.review().fields
    assert group.runs == ("epochs=1", "epochs=2")
    line = repo.read(DEMO).splitlines().index("seed: 4") + 1
    found = {field.path: (field.old, field.new, field.where) for field in group.fields}
    assert found == {
        "seed": ("3", "4", f"{DEMO}:{line}"),
        "hyperparameters.batch_size": ("auto", "2", f"{DEMO}:{line + 1}"),
    }


def test_the_place_of_a_change_is_the_file_that_changed(repo: Any) -> None:
    repo.write({"prompts/ask.md": "Which animal is it?\n"})
    (group,) = repo.review().fields
    (field,) = group.fields
    assert (field.path, field.where) == ("dataset.messages[0].content", "prompts/ask.md")
    assert field.hidden
    assert "Which" not in (field.new or ""), "texts are shown to those who ask for them"
    (group,) = repo.review(show_text=True).fields
    assert group.fields[0].new == "Which animal is it?\n"
    repo.write({"conf/hyperparameters/auto.yaml": "n_epochs: 1\nbatch_size: 2\n"})
    fields = {field.path: field for group in repo.review().fields for field in group.fields}
    assert fields["hyperparameters.batch_size"].where == "conf/hyperparameters/auto.yaml:2"


def test_a_training_is_paid_for_once(repo: Any) -> None:
    """A copy of an experiment trains nothing (its lock tells); two new ones with one training train it once."""
    assert repo.ftspec("lock", "demo").returncode == 0
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.write({"experiments/copy.yaml": repo.read(DEMO)})
    found = repo.review()
    assert [run.same_training for run in found.runs] == list(BOTH)
    assert not found.to_train
    other = repo.read(DEMO).replace("seed: 3", "seed: 9")
    repo.write({"experiments/copy.yaml": other, "experiments/copy2.yaml": other})
    found = repo.review()
    assert [(key(run), run.same_training) for run in found.runs] == [
        ("copy/epochs=1", None),
        ("copy/epochs=2", None),
        ("copy2/epochs=1", "copy/epochs=1"),
        ("copy2/epochs=2", "copy/epochs=2"),
    ]
    assert len(found.to_train) == 2


def test_what_is_trained_is_reused_and_gates_count_it_still(sweep: Any) -> None:
    """After `run` and a commit nothing is left to do; a change that only says so is not believed by a gate."""
    from ftspec.compose import Project
    from ftspec.workflows.diff import Options, diff

    def review(**options: Any) -> Changes:
        return diff(Project(sweep.root), "HEAD~1", None, Options(exact=True, **options))

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments], cwd=sweep.root, check=True)

    git("rm", "-q", "-r", "experiments")
    (sweep.root / ".ftspec").mkdir()
    (sweep.root / ".ftspec" / "policy.yaml").write_text("max_runs: 1\n")
    git("add", "-A")
    git("commit", "-qm", "before")
    git("checkout", "-q", "HEAD~1", "--", "experiments")
    git("commit", "-qm", "trained")
    for options, where in (({}, "runs"), ({"untrusted": True}, "results")):
        found = review(**options)
        assert [(run.kind, run.trained, run.answers) for run in found.runs] == [("new", where, 0)] * 2
        assert not found.to_train
        assert [gate.passed for gate in found.gates] == [False]
        assert words.headline(found).startswith("nothing to train, 2 reused")
    (sweep.root / "experiments" / "demo.results.json").unlink()
    shutil.rmtree(sweep.root / "runs")
    found = review()
    assert [(run.trained, run.answers > 0) for run in found.runs] == [("", True)] * 2
    assert len(found.to_train) == 2


def test_defaults_that_come_with_a_block_are_no_change(repo: Any) -> None:
    """Nobody wrote `zip: []`; who writes a default out is shown."""
    text = repo.read(DEMO)
    start, end = text.index("sweep:\n"), text.index("seed: 3")
    repo.write({DEMO: text[:start] + text[end:]})
    repo.commit()
    repo.write({DEMO: text})
    fields = {field.path for group in repo.review("HEAD").fields for field in group.fields}
    assert fields == {"sweep.grid.hyperparameters.n_epochs"}
    repo.replace(DEMO, "sweep:\n", "sweep:\n  max_runs: 2000\n")
    fields = {field.path for group in repo.review("HEAD").fields for field in group.fields}
    assert fields == {"sweep.grid.hyperparameters.n_epochs", "sweep.max_runs"}


def test_base_is_where_the_work_parted_not_the_tip_of_main(repo: Any) -> None:
    """What main did meanwhile is not what the change does."""
    repo.replace(DEMO, "Say which", "Tell which")
    repo.commit()
    repo.git("checkout", "-q", "main")
    add_row(repo)
    repo.commit()
    assert set(kinds(repo.review("main", "change")).values()) == {"metadata"}
    assert set(kinds(repo.review("main", "change", exact=True)).values()) == {"retrain"}


def test_the_main_branch_is_the_default_base(repo: Any) -> None:
    repo.replace(DEMO, "seed: 3", "seed: 4")
    assert kinds(repo.review(None)) == of("retrain")
    repo.git("branch", "-m", "main", "trunk")
    with pytest.raises(UsageError) as caught:
        repo.review(None)
    assert caught.value.code == "no_main_branch"


def test_a_broken_experiment_is_told_and_the_others_are_reviewed(repo: Any) -> None:
    repo.write({"experiments/good.yaml": repo.read(DEMO).replace("seed: 3", "seed: 8")})
    repo.replace(DEMO, "seed: 3", "sede: 3")
    found = repo.review()
    assert kinds(found) == {"good/epochs=1": "new", "good/epochs=2": "new"}
    (trouble,) = found.broken
    assert trouble.place.startswith(f"{DEMO}:")
    assert {e.name: e.kind for e in found.experiments} == {"demo": "broken", "good": "new"}


def test_mending_an_experiment_that_never_composed_is_no_error(repo: Any) -> None:
    good = repo.read(DEMO)
    repo.replace(DEMO, "seed: 3", "sede: 3")
    repo.commit()
    repo.git("branch", "-f", "main")
    repo.write({DEMO: good})
    found = repo.review()
    assert not found.broken
    assert kinds(found) == of("new")
    assert [t.side for t in found.troubles if t.severity == "error"] == ["base"]


# Reading git


def test_a_shallow_clone_names_the_remedy_and_deepened_says_the_same(repo: Any, tmp_path: Path) -> None:
    repo.replace(DEMO, "seed: 3", "seed: 4")
    repo.commit()
    repo.git("checkout", "-q", "main")
    add_row(repo)
    repo.commit()
    whole = repo.review("main", "change")
    clone = type(repo)(tmp_path / "clone")
    repo.git("clone", "-q", "--depth", "1", "--no-single-branch", f"file://{repo.root}", str(clone.root))
    with pytest.raises(UsageError) as caught:
        clone.review("origin/main", "origin/change")
    assert caught.value.code == "shallow"
    assert "fetch-depth: 0" in str(caught.value.problems[0].fix)
    clone.git("fetch", "-q", "--unshallow")
    assert to_json(clone.review("origin/main", "origin/change")) == to_json(whole)


def test_a_partial_clone_is_never_completed_over_the_network(repo: Any, tmp_path: Path) -> None:
    repo.replace(DEMO, "seed: 3", "seed: 4")
    repo.commit()
    repo.git("config", "uploadpack.allowFilter", "true")
    clone = type(repo)(tmp_path / "clone")
    repo.git("clone", "-q", "--filter=blob:none", "--no-checkout", f"file://{repo.root}", str(clone.root))
    clone.write({"experiments/.keep": ""})
    with pytest.raises(DataError) as caught:
        clone.review("origin/main", "origin/change")
    assert caught.value.code == "no_blob"
    missing = clone.git("rev-list", "--objects", "--all", "--missing=print")
    assert "\n?" in missing


HOSTILE_NAMES = [
    *("--git-dir", "--all", "-h", "", "main; touch x", "$(touch x)", "a\nb", "\x1b[31m", "main^{tree}", "m" * 300),
    *("refs/heads/main:conf", "main..change", "^main", "no-such-branch"),
]


def test_a_hostile_revision_names_no_commit(repo: Any) -> None:
    before = sorted(repo.root.rglob("*"))
    for name in HOSTILE_NAMES:
        for arguments in ((name, "change"), ("main", name)) if name else (("main", "\t"),):
            with pytest.raises(UsageError) as caught:
                repo.review(*arguments)
            assert caught.value.code == "unknown_revision"
            assert "\x1b" not in str(caught.value)
            assert str(repo.root) not in str(caught.value)
    assert sorted(repo.root.rglob("*")) == before


def test_replaced_objects_and_attributes_do_not_change_what_is_read(repo: Any) -> None:
    """`git replace` serves other bytes to most commands; `.gitattributes` hides files from an archive."""
    repo.replace(DEMO, "seed: 3", "seed: 4")
    repo.write({".gitattributes": "experiments/** export-ignore\ndata/** filter=evil\n"})
    repo.git("config", "filter.evil.smudge", "touch smudged")
    repo.git("config", "filter.evil.clean", "cat")
    head = repo.commit()
    old, new = (repo.git("rev-parse", f"{rev}:{DEMO}") for rev in ("main", "change"))
    repo.git("replace", new, old)
    assert repo.git("show", f"{head}:{DEMO}").endswith("seed: 3")
    assert kinds(repo.review(head="change")) == of("retrain")
    assert not (repo.root / "smudged").exists()


def test_a_project_below_the_top_of_a_sha256_repository(repo: Any, tmp_path: Path) -> None:
    outer = type(repo)(tmp_path / "outer")
    shutil.copytree(repo.root, outer.root / "ml" / "a project", ignore=shutil.ignore_patterns(".git"))
    outer.git("init", "-q", "-b", "main", "--object-format=sha256", ".")
    outer.commit()
    project = type(repo)(outer.root / "ml" / "a project")
    tree = project.review("main")
    assert tree.quiet
    assert tree.untouched == 1, "ids of files in the working tree are those of the repository"
    project.replace(DEMO, "seed: 3", "seed: 4")
    outer.write({".github/workflows/ci.yml": "on: push\n"})
    for found in (project.review("main"), (outer.commit(), project.review("HEAD~1", "HEAD"))[1]):
        assert kinds(found) == of("retrain")
        assert any(".github/workflows/ci.yml" in words for words in found.beside)


def test_names_that_are_no_text_and_names_with_newlines_are_read(repo: Any) -> None:
    os.makedirs(os.fsencode(repo.root) + b"/data/\xff")
    Path(os.fsdecode(os.fsencode(repo.root) + b"/data/\xff/a\nb.jsonl")).write_text("{}\n")
    repo.write({".github/a\tb.yml": "x"})
    repo.replace(DEMO, "seed: 3", "seed: 4")
    repo.commit()
    found = repo.review(head="change")
    assert kinds(found) == of("retrain")
    json.dumps(to_json(found), ensure_ascii=False).encode()


# The command line


def test_exit_codes_and_outputs(repo: Any) -> None:
    assert repo.ftspec("diff", "main", "--exit-code").returncode == 0
    repo.replace(DEMO, "seed: 3", "seed: 4")
    done = repo.ftspec("diff", "--exit-code")
    assert done.returncode == 2, done.stderr
    assert "2 runs to train" in done.stdout
    assert "seed: 3 → 4" in done.stdout
    plain = read_changes(repo.ftspec("diff", "main", "--json").stdout.encode())
    assert kinds(plain) == of("retrain")
    assert "### ftspec: 2 runs to train" in repo.ftspec("diff", "main", "--markdown").stdout
    repo.replace(DEMO, "seed: 4", "sede: 4")
    done = repo.ftspec("diff", "main", "--json")
    assert done.returncode == 65
    assert read_changes(done.stdout.encode()).broken
    assert repo.ftspec("diff", "nowhere").returncode == 64


def test_no_repository_is_said_so(demo: Any) -> None:
    done = demo.ftspec("diff")
    assert done.returncode == 64
    assert "no_repository" in done.stderr
