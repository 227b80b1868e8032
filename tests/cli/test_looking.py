"""Looking at what was trained: report, compare, pick, ls, show; one small project trained once for all tests here."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import call_inside

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def ftspec(*arguments: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    return call_inside(cwd, *arguments, **environment)


def as_json(*arguments: str, cwd: Path) -> Any:
    done = ftspec(*arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter project with fewer rows and two runs, trained; its data holds markup that must stay text."""
    place = tmp_path_factory.mktemp("looking")
    assert ftspec("init", "demo", cwd=place).returncode == 0
    project = place / "demo"
    data, spec = project / "data" / "tickets.jsonl", project / "experiments" / "quickstart.yaml"
    rows = [json.loads(line) for line in data.read_text().splitlines()[:120]]
    hostile = "<script>alert(1)</script> \u202e"
    data.write_text("".join(json.dumps(row | {"text": hostile + row["text"]}) + "\n" for row in rows))
    text = (
        spec.read_text()
        .replace("test: 100", "test: 20")
        .replace("[1, 3]", "[3]")
        .replace("[auto, 0.02, 0.2]", "[0.02, 0.2]")
    )
    spec.write_text(text)
    done = ftspec("run", "quickstart", cwd=project)
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout.splitlines()[-1] == "report  runs/quickstart/report.html"
    assert "ftspec compare base 'quickstart/*' --flips" in done.stdout
    return project


@pytest.fixture(scope="module")
def results(trained: Path) -> Any:
    """What `run --json` says once all is done."""
    return as_json("run", "quickstart", cwd=trained)


def test_the_report_stands_alone_and_says_what_the_terminal_says(trained: Path, results: Any) -> None:
    page = (trained / "runs" / "quickstart" / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "\u202e" not in page
    assert not re.search(r"""(src|href)=|url\(|@import|https?://""", page)
    for run in results["runs"]:
        found = run["scores"]["routing"]["arms"]["tuned"]["metrics"]["queue.accuracy"]
        assert f"{found['value']:.2f} [{found['low']:.2f}-{found['high']:.2f}]" in page
        assert run["train"].removeprefix("sha256:")[:12] in page
    assert page.count('role="img" aria-label="loss of') == 2
    assert results["pick"]["label"] in page
    source = as_json("show", results["runs"][0]["label"], cwd=trained)["sources"][0]
    assert source["sha256"] in page


def test_the_same_runs_give_the_same_report_in_another_place(trained: Path, tmp_path: Path) -> None:
    first = (trained / "runs" / "quickstart" / "report.html").read_bytes()
    done = as_json("report", "quickstart", "-o", str(tmp_path / "a" / "page.html"), cwd=trained)
    assert done["report"].endswith("page.html")
    assert (tmp_path / "a" / "page.html").read_bytes() == first


def test_compare_is_paired_and_names_the_flips(trained: Path, results: Any) -> None:
    found = as_json("compare", "base", "*", cwd=trained)
    (suite,) = found["suites"]
    n = results["runs"][0]["scores"]["routing"]["items"]
    assert suite["n"] == n >= 20
    fixed = [flip for flip in suite["flips"] if flip["kind"] == "fixed"]
    assert fixed
    assert {flip["item"] for flip in fixed} == set(suite["fixed"])
    assert all(flip["arm"] == flip["reference"] != flip["baseline"] for flip in fixed)
    assert suite["difference"] == pytest.approx((len(suite["fixed"]) - len(suite["broke"])) / n)
    back = as_json("compare", found["arm"], "base", cwd=trained)["suites"][0]
    assert (back["fixed"], back["broke"]) == (suite["broke"], suite["fixed"])
    assert back["difference"] == pytest.approx(-suite["difference"])
    said = ftspec("compare", "base", "*", "--flips", cwd=trained).stdout
    assert said.count("+ fixed") == len(suite["fixed"])


def test_scores_of_different_suites_are_never_compared(trained: Path) -> None:
    other = trained / "experiments" / "other.yaml"
    other.write_text((trained / "experiments" / "quickstart.yaml").read_text().replace("test: 20", "test: 18"))
    try:
        assert ftspec("run", "other", "--only", "baselines", cwd=trained).returncode == 0
        found = as_json("compare", "quickstart/majority", "other/majority", cwd=trained)
        assert found["suites"][0]["verdict"] == "not comparable"
        assert found["suites"][0]["difference"] is None
        assert "not comparable" in ftspec("compare", "quickstart/base", "other/base", cwd=trained).stdout
    finally:
        other.unlink()


def test_names_are_digests_too_and_wrong_ones_are_answered_with_near_ones(trained: Path, results: Any) -> None:
    runs = results["runs"]
    digest = runs[1]["train"].removeprefix("sha256:")[:8]
    assert as_json("compare", runs[0]["label"], digest, cwd=trained)["arm"] == runs[1]["label"]
    wrong = ftspec("compare", "base", "epochs=3,lr=0.3", cwd=trained)
    assert wrong.returncode == 64
    assert "did you mean epochs=3,lr=0.2" in wrong.stderr


def test_a_label_that_two_runs_have_is_refused_and_the_digest_decides(trained: Path, results: Any) -> None:
    label, train = results["runs"][0]["label"], results["runs"][0]["train"].removeprefix("sha256:")[:12]
    earlier = trained / "runs" / "quickstart" / f"{label}.{'0' * 12}"
    shutil.copytree(earlier.with_name(f"{label}.{train}"), earlier)
    try:
        refused = ftspec("compare", "base", label, cwd=trained)
        assert refused.returncode == 64
        assert "names 2 runs" in refused.stderr
        assert train in refused.stderr
        assert "0" * 12 in refused.stderr
        assert as_json("compare", "base", train, cwd=trained)["arm"] == label
        assert as_json("compare", "base", "*", cwd=trained)["arm"] in [run["label"] for run in results["runs"]]
    finally:
        shutil.rmtree(earlier)


@pytest.fixture(scope="module")
def shared(trained: Path, results: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A copy in which the experiment `one` has one run, which `quickstart` made as the label that is returned."""
    project = Path(shutil.copytree(trained, tmp_path_factory.mktemp("shared") / "demo", symlinks=True))
    shutil.rmtree(project / "runs" / "other", ignore_errors=True)
    label = results["runs"][1]["label"]
    text = (project / "experiments" / "quickstart.yaml").read_text()
    start, end = text.index("sweep:\n"), text.index("budget:")
    rate = label.rpartition("=")[2]
    block = f"hyperparameters: {{n_epochs: 3, learning_rate_multiplier: {rate}}}\n"
    (project / "experiments" / "one.yaml").write_text(text[:start] + block + text[end:])
    done = ftspec("run", "one", cwd=project)
    assert done.returncode == 0, done.stderr
    assert f"default (reused: quickstart/{label})" in done.stdout
    return project, label


def test_a_shared_run_has_one_folder_and_answers_to_all_its_names(shared: tuple[Path, str]) -> None:
    project, label = shared
    folder = as_json("show", f"quickstart/{label}", cwd=project)["folder"]
    for name in ("default", "one", "one[default]", f"one/{label}", label):
        shown = as_json("show", name, cwd=project)
        assert (shown["folder"], shown["also"]) == (folder, ["one/default"])
        compared = as_json("compare", "base", name, cwd=project)
        assert compared["lies"] == ({"default": f"quickstart/{label}"} if compared["arm"] == "default" else {})
        assert compared["suites"][0]["verdict"] != "not comparable"
        assert as_json("data", "stats", "one", "--run", name, cwd=project)["run"] == "default"
    (row,) = as_json("ls", "one", cwd=project)["runs"]
    assert (row["folder"], row["also"]) == (folder, ["one/default"])
    assert f"default (reused: quickstart/{label})" in ftspec("ls", "one", cwd=project).stdout
    assert f"{label} (also one/default)" in ftspec("ls", cwd=project).stdout
    verified = as_json("verify", "one", cwd=project)["runs"]
    assert [Path(one["folder"]).name for one in verified] == ["baselines", Path(folder).name]
    packed = as_json("runs", "pack", "one", "-o", "one.tar", cwd=project)["packed"]
    assert {name.split("/")[0] for name in packed} == {"one", "quickstart"}
    env = {"_FTSPEC_COMPLETE": "bash_complete", "COMP_WORDS": "ftspec verify one/", "COMP_CWORD": "2"}
    assert ftspec(cwd=project, **env).stdout.split(",")[-1].strip() == "one/default"


def test_a_run_that_is_planned_no_more_is_compared_by_its_own_evidence(shared: tuple[Path, str]) -> None:
    """Its suite and items are stored with it; the experiment asks another suite now, or is gone."""
    project, label = shared
    spec = project / "experiments" / "quickstart.yaml"
    before = spec.read_text()
    expected = as_json("compare", "one/default", f"quickstart/{label}", cwd=project)["suites"]
    try:
        spec.write_text(before.replace("test: 20", "test: 18").replace("seed: 7", "seed: 8"))
        planned = ftspec("compare", "base", f"quickstart/{label}", cwd=project)
        assert "several_runs" in planned.stderr, "the experiment as it stands has another run of that label"
        folder = as_json("show", "one", cwd=project)["folder"]
        assert as_json("compare", "one/default", folder, cwd=project)["suites"] == expected
        spec.unlink()
        (project / "experiments" / "one.yaml").rename(project / "experiments" / "one.off")
        runs = [row["folder"] for row in as_json("ls", "quickstart", cwd=project)["runs"]]
        for base in ("base", "quickstart/base"):
            assert as_json("compare", base, runs[0], cwd=project)["suites"][0]["verdict"] == "better"
        found = as_json("compare", *runs, cwd=project)["suites"][0]
        assert found["verdict"] not in ("not comparable", "invalid")
        assert len(found["flips"]) == len(found["fixed"]) + len(found["broke"])
    finally:
        spec.write_text(before)
        (project / "experiments" / "one.off").rename(project / "experiments" / "one.yaml")


def test_what_was_changed_after_it_was_sealed_is_not_reused(shared: tuple[Path, str]) -> None:
    project, label = shared
    (changed,) = (project / "runs" / "quickstart").glob(f"{label}.*/evals/*/scores.json")
    before = changed.read_bytes()
    try:
        changed.write_bytes(before.replace(b"1", b"2"))
        for verb in (("run", "one"), ("compare", "base", "one")):
            done = ftspec(*verb, cwd=project)
            assert (done.returncode, done.stdout) == (4, "")
            assert re.search(r"scores\.json; bring it back, or remove runs/quickstart/", done.stderr)
        shown = ftspec("show", "one", cwd=project)
        assert shown.returncode == 4
        assert "scores.json is not what was sealed" in shown.stdout
    finally:
        changed.write_bytes(before)


def test_show_answers_an_experiment_with_the_names_of_its_runs(trained: Path, results: Any) -> None:
    several = ftspec("show", "quickstart", cwd=trained)
    assert several.returncode == 64
    assert all(f"quickstart/{run['label']}" in several.stderr for run in results["runs"])
    shown = ftspec("show", f"quickstart/{results['runs'][0]['label']}", cwd=trained).stdout
    assert re.search(r"valid \d+\.\d{3}$", shown, re.MULTILINE)


def test_pick_follows_the_declared_rule(trained: Path, results: Any) -> None:
    runs = results["runs"]
    picked = as_json("pick", "quickstart", cwd=trained)
    assert picked["winner"]["label"] == min(runs, key=lambda run: run["valid_loss"])["label"]
    assert picked["winner"]["model"].startswith("ft:")
    by_score = as_json("pick", "quickstart", "sweep.select.by=routing.queue.accuracy", cwd=trained)
    assert by_score["pick"]["by"] == "routing.queue.accuracy"
    assert "model" in ftspec("pick", "quickstart", cwd=trained).stdout


@pytest.mark.parametrize(("verb", "arguments"), [("report", ()), ("pick", ())])
def test_before_the_first_run_they_say_what_to_do(tmp_path: Path, verb: str, arguments: tuple[str, ...]) -> None:
    assert ftspec("init", ".", cwd=tmp_path).returncode == 0
    done = ftspec(verb, "quickstart", *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert "ftspec run quickstart" in done.stderr
    assert not (tmp_path / "runs" / "quickstart").exists()


@pytest.mark.parametrize("group", ["data", "runs"])
def test_a_group_without_a_verb_prints_its_help(tmp_path: Path, group: str) -> None:
    done = ftspec(group, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr == ftspec(group, "--help", cwd=tmp_path).stdout
    assert done.stderr.startswith(f"Usage: ftspec {group} ")
