"""The scan: what is refused before composing, in which time, and YAML's traps."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.compose import load
from ftspec.compose.scan import MAX_BYTES, scan
from ftspec.spec.errors import FtspecError, SpecError, UnsafeError

X = "experiments/x.yaml"
BASE = "defaults: [config, _self_]\nmodel: tiny\ndataset: {sources: [{path: a}]}\n"
DEFAULTS = BASE.replace("config,", "config, %s,")

ALIAS_BOMB = "metadata:\n" + "".join(
    f"  k{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9) if level else 'lol'}]\n" for level in range(9)
)
REFERENCE_BOMB = "metadata:\n  a0: xxxxxxxxxx\n" + "".join(
    f"  a{n}: ${{metadata.a{n - 1}}}${{metadata.a{n - 1}}}\n" for n in range(1, 44)
)
LIST_BOMB = "tags: [x]\nmetadata:\n  a0: [y, y]\n" + "".join(
    f"  a{n}: ['${{metadata.a{n - 1}}}', '${{metadata.a{n - 1}}}']\n" for n in range(1, 40)
)

# The attack table of the review note, and what belongs to it: (name, files, overrides, code).
ATTACKS: list[tuple[str, dict[str, str], list[str], str]] = [
    ("searchpath of a package", {X: BASE + "hydra: {searchpath: [pkg://evil]}\n"}, [], "hydra_key"),
    ("searchpath of a folder", {X: BASE + "hydra: {searchpath: [file:///etc]}\n"}, [], "hydra_key"),
    ("hydra on the command line", {}, ["hydra.searchpath=[pkg://evil]"], "hydra_key"),
    ("hydra group on the command line", {}, ["hydra/launcher=evil"], "hydra_key"),
    ("hydra as a mapping", {}, ["hydra={verbose: true}"], "hydra_key"),
    ("added hydra key", {}, ["++hydra.job.chdir=true"], "hydra_key"),
    ("package header", {"conf/weights/w.yaml": "# @package hydra\nverbose: true\n"}, ["weights=w"], "package_header"),
    ("global header", {"conf/weights/w.yaml": "# @package _global_\nhydra: {}\n"}, ["weights=w"], "package_header"),
    ("package in defaults", {X: DEFAULTS % "weights@hydra: assistant"}, [], "package"),
    ("package in an override", {}, ["weights@hydra=assistant"], "package"),
    ("hydra group in defaults", {X: DEFAULTS % "override hydra/launcher: x"}, [], "hydra_key"),
    ("leaving the folder", {X: DEFAULTS % "../outside"}, [], "outside"),
    ("leaving by an option", {X: DEFAULTS % "override weights: ../../o"}, [], "outside"),
    ("environment", {X: BASE + "description: ${oc.env:CANARY}\n"}, [], "resolver"),
    ("environment in an axis", {X: BASE + "sweep: {grid: {model: ['${oc.env:CANARY}']}}\n"}, [], "resolver"),
    ("environment in a text axis", {X: BASE + "sweep: {grid: {model: 'a,${oc.env:CANARY}'}}\n"}, [], "resolver"),
    ("environment on the command line", {}, ["description='${oc.env:CANARY}'"], "resolver"),
    ("environment inside a list", {}, ["tags=[a,'${oc.env:CANARY}']"], "resolver"),
    ("environment in a swept value", {}, ["model='${oc.env:CANARY}',b"], "resolver"),
    ("environment in defaults", {X: DEFAULTS % "override weights: '${oc.env:C}'"}, [], "resolver"),
    ("resolver that selects", {X: BASE + "description: ${oc.select:model}\n"}, [], "resolver"),
    ("nested reference", {X: BASE + "description: ${${model}}\n"}, [], "resolver"),
    ("alias bomb", {X: BASE + ALIAS_BOMB}, [], "anchor"),
    ("merge key", {X: BASE + "metadata: {<<: {a: b}}\n"}, [], "anchor"),
    ("reference bomb", {X: BASE + REFERENCE_BOMB}, [], "reference_size"),
    ("reference bomb over lists", {X: BASE + LIST_BOMB}, [], "reference_size"),
    ("reference circle", {X: BASE + "suffix: ${model}\nmetadata: {a: '${metadata.a}'}\n"}, [], "reference_size"),
    ("many references", {X: BASE + "description: '" + "${model}" * 1001 + "'\n"}, [], "limit"),
    ("object tag", {X: BASE + "description: !!python/object/apply:os.system [id]\n"}, [], "tag"),
    ("_target_", {X: BASE + "metadata: {_target_: os.system}\n"}, [], "target_key"),
    ("deep nesting", {X: BASE + "tags: " + "[" * 3000 + "]" * 3000 + "\n"}, [], "limit"),
    ("many values", {X: BASE + "tags: [" + "a," * 20_001 + "]\n"}, [], "limit"),
    ("large file", {X: BASE + "# " + "x" * MAX_BYTES + "\n"}, [], "limit"),
    ("long override", {}, ["description='" + "x" * 5000 + "'"], "limit"),
    ("deep override", {}, ["tags=" + "[" * 2040], "override_syntax"),
    ("file outside", {X: BASE + "description: {file: ../../etc/passwd}\n"}, [], "outside"),
    ("absolute file", {X: BASE + "description: {file: /etc/passwd}\n"}, [], "outside"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "overrides", "code"), [case[1:] for case in ATTACKS], ids=[case[0] for case in ATTACKS]
)
def test_attacks_are_refused(
    make_files: Any, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], overrides: list[str], code: str
) -> None:
    monkeypatch.setenv("CANARY", "a-value-that-must-not-appear")
    project = make_files({"experiments/x.yaml": BASE, **files})
    began = time.process_time()
    with pytest.raises(FtspecError) as caught:
        load(project, "x", overrides)
    assert time.process_time() - began < 2
    assert code in [problem.code for problem in caught.value.problems]
    assert isinstance(caught.value, UnsafeError) == (code != "override_syntax")
    assert "a-value-that-must-not-appear" not in str(caught.value)


def test_plugins_on_the_path_are_not_imported(make_files: Any, tmp_path: Path) -> None:
    """In a process of its own: the first compose is when Hydra looks for plugins."""
    import subprocess

    project = make_files({"experiments/x.yaml": BASE})
    evil = tmp_path / "path" / "hydra_plugins" / "evil"
    evil.mkdir(parents=True)
    canary = tmp_path / "canary"
    (evil / "__init__.py").write_text(f"open({str(canary)!r}, 'w')\n")
    code = f"""
import sys
sys.path.insert(0, {str(evil.parents[1])!r})
from pathlib import Path
from ftspec.compose import Project, load
load(Project(Path({str(project.root)!r})), "x")
print("hydra_plugins" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert not canary.exists()


def test_a_link_that_leaves_the_project(make_files: Any, tmp_path: Path) -> None:
    secret = tmp_path.parent / "secret.md"
    secret.write_text("secret")
    project = make_files({X: BASE + "description: {file: link.md}\n"})
    (project.root / "link.md").symlink_to(secret)
    with pytest.raises(UnsafeError, match="leaves the project") as caught:
        load(project, "x")
    assert "secret" not in str(caught.value).replace("secret.md", "")


HEADERS = ["# @package _global_", "#@package _global_", "# yaml-language-server: x\n# @package _global_"]
HEADERS += ["---\n# @package _global_", "\n\n# a comment\n#   @   package _global_"]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_are_refused_with_a_form_that_composes_equal(make_files: Any, header: str) -> None:
    """The converted form is an experiment that says the same as the refused file would have said."""
    body = "weights: {train_on: last_assistant_turn}\nseed: 9\n"
    files = {"experiments/x.yaml": BASE, "conf/weights/w.yaml": f"{header}\n{body}"}
    with pytest.raises(UnsafeError) as caught:
        load(make_files(files), "x", ["weights=w"])
    (problem,) = caught.value.problems
    assert problem.code == "package_header"
    converted = problem.fix.partition("\n")[2]
    project = make_files({"conf/weights/w.yaml": "", "experiments/y.yaml": converted + "\n"})
    files = {"experiments/z.yaml": converted.replace("[config, _self_]", "[x, _self_]") + "\n"}
    experiment = load(make_files(files), "z").experiment
    assert (experiment.seed, experiment.weights.train_on) == (9, "last_assistant_turn")
    assert project.experiment_names() == ["x", "y", "z"]


def test_a_wrapped_package_is_converted(make_files: Any) -> None:
    files = {"experiments/x.yaml": BASE, "conf/weights/w.yaml": "# @package hyperparameters\nn_epochs: 7\n"}
    with pytest.raises(UnsafeError) as caught:
        load(make_files(files), "x", ["weights=w"])
    converted = caught.value.problems[0].fix.partition("\n")[2].replace("[config, _self_]", "[x, _self_]")
    assert load(make_files({"experiments/z.yaml": converted + "\n"}), "z").experiment.hyperparameters.n_epochs == 7


def test_hydra_sweeper_params_are_converted(make_files: Any) -> None:
    axes = ("hyperparameters.n_epochs: 1,2", "dataset.metadata: [a, b]", "seed: 5")
    params = "hydra:\n  sweeper:\n    params:\n" + "".join(f"      {axis}\n" for axis in axes)
    with pytest.raises(UnsafeError) as caught:
        load(make_files({X: BASE + params}), "x")
    block = caught.value.problems[0].fix.partition("\n")[2].partition("\n(")[0]
    composed = load(make_files({X: BASE + block + "\n"}), "x")
    assert composed.swept == {"hyperparameters.n_epochs": [1, 2], "dataset.metadata": [["a", "b"]], "seed": [5]}


def test_text_that_looks_like_a_header_inside_a_value_is_kept(make_files: Any) -> None:
    body = 'description: |\n  first\n  # @package is a word here\nsuffix: "a\n\n  # @package b"\n'
    assert "# @package" in str(load(make_files({X: BASE + body.partition("suffix")[0]}), "x").experiment)


EXACT = [
    ("seed: 1_000", 1000),
    ("seed: 0", 0),
    ("budget: {max_usd: 1e-5}", 1e-05),
    ("budget: {max_usd: 1e1}", 10.0),
    ("suffix: 08", "08"),
    ("suffix: 2026-01-01", "2026-01-01"),
    ("suffix: '010'", "010"),
    ("suffix: 'yes'", "yes"),
    ("suffix: y", "y"),
    ("\ufeffseed: 3", 3),
]  # fmt: skip


@pytest.mark.parametrize(("line", "value"), EXACT, ids=[line for line, _ in EXACT])
def test_exact_scalars(make_files: Any, line: str, value: Any) -> None:
    mark = "\ufeff" if line.startswith("\ufeff") else ""
    files = {"experiments/x.yaml": mark + BASE + line.removeprefix(mark) + "\n"}
    experiment = load(make_files(files), "x").experiment
    found = {"seed": experiment.seed, "suffix": experiment.suffix, "budget": experiment.budget.max_usd}
    read = found[line.removeprefix(mark).partition(":")[0]]
    assert (read, type(read)) == (value, type(value))


TRAPS = "yes no on off Yes OFF 010 0o17x 0x10 0b11 1:30 1:30.5 -017 .inf -.inf .nan 12345678901234567890 1e400 ="


@pytest.mark.parametrize("scalar", [trap for trap in TRAPS.split() if trap != "0o17x"])
def test_traps_have_a_place(make_files: Any, scalar: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(
            make_files({X: BASE + f"dataset:\n  tools: [{{k: {scalar}}}]\n".replace("dataset:\n", "z:\n")}),
            "x",
        )
    assert ("yaml_trap", "experiments/x.yaml:5:12") in [(one.code, one.site) for one in caught.value.problems]


@settings(max_examples=300, deadline=None, database=None)
@given(st.one_of(st.binary(max_size=200), st.text("a:-[]{}&*!'\"|># \n\t${}@,?=1.", max_size=120).map(str.encode)))
def test_any_bytes_give_a_document_or_problems_with_the_file(content: bytes) -> None:
    document, text, problems = scan(content, "conf/a/b.yaml", "a/b", False)
    assert document is not None or problems
    assert all(problem.file == "conf/a/b.yaml" and problem.code for problem in problems)
    if document is not None:
        lines = text.splitlines() or [""]
        for _, node, _ in document.marks():
            assert 1 <= node.line <= len(lines) + 1
            assert node.column >= 1
