"""A corpus of broken experiments: every mistake found at once, each with its code, its path and file:line:column."""

import shutil
from pathlib import Path
from typing import Any

import hydra
import pytest
import yaml

from ftspec.compose import load
from ftspec.report.problems import problem_lines
from ftspec.spec.errors import FtspecError
from ftspec.workflows.plan import make_plan

HERE = Path(__file__).parent
CASES: list[dict[str, Any]] = yaml.safe_load((HERE / "broken.yaml").read_text("utf-8"))
PRINTED = HERE / "broken.txt"
# Where the words are Hydra's own, another Hydra may choose others.
HYDRAS = ("compose", "override_syntax")
OLDER = tuple(map(int, hydra.__version__.split(".")[:2])) < (1, 4)


def problems_of(case: dict[str, Any], make_project: Any, make_files: Any) -> FtspecError:
    """Compose a case, or plan it where it is about rows; return what is raised."""
    project = make_files(case["files"]) if "files" in case else make_project(case.get("experiment", ""))
    if "rows" in case:
        make_files({"data/rows.jsonl": "".join(f"{row}\n" for row in case["rows"])})
    read: Any = make_plan if "rows" in case or "plan" in case else load
    with pytest.raises(FtspecError) as caught:
        read(project, "x", case.get("overrides", []))
    assert str(project.root) not in str(caught.value), "a path of this machine"
    return caught.value


def printed(case: dict[str, Any], error: FtspecError) -> str:
    """Return a case as the terminal shows it."""
    lines = "\n".join(problem_lines(error.problems, colour=False))
    return f"## {' '.join([case['name'], *case.get('overrides', [])])}\n{lines}\n"


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_problem_has_its_place_and_words(make_project, make_files, case: dict[str, Any]) -> None:
    error = problems_of(case, make_project, make_files)
    said = [f"{one.site} {one.code} {one.path}".strip() for one in error.problems]
    assert said == case["problems"]
    assert type(error).__name__ == case["error"]
    if OLDER or not any(problem.code in HYDRAS for problem in error.problems):
        assert printed(case, error) in PRINTED.read_text("utf-8")


def test_golden_output_is_of_these_cases(make_project, make_files, request: pytest.FixtureRequest) -> None:
    """`pytest tests/compose/test_problems.py --rewrite` writes broken.txt anew."""
    if request.config.getoption("--rewrite"):
        texts = []
        for case in CASES:
            shutil.rmtree(make_files({}).root)
            texts.append(printed(case, problems_of(case, make_project, make_files)))
        PRINTED.write_text("\n".join(texts), "utf-8")
    assert PRINTED.read_text("utf-8").count("\n## ") + 1 == len(CASES)


def test_the_corpus_is_large_enough() -> None:
    assert len(CASES) >= 110
    assert len({code.split()[1] for case in CASES for code in case["problems"] if code.count(" ") > 1}) >= 25


def messages(project: Any, *overrides: str) -> list[str]:
    with pytest.raises(FtspecError) as caught:
        load(project, "x", overrides)
    return [str(problem) for problem in caught.value.problems]


def test_words_for_a_wrong_value(make_project) -> None:
    assert messages(make_project("hyperparameters: {n_epochs: '3', batch_size: 300}\n")) == [
        "experiments/x.yaml:5:19: hyperparameters.n_epochs: must be `auto` or a whole number from 1 to 50 (got '3'); "
        "remove the quotes [invalid_value]",
        "experiments/x.yaml:5:34: hyperparameters.batch_size: must be `auto` or a whole number from 1 to 256 (got 300) "
        "[invalid_value]",
    ]


def test_unknown_keys_are_told_where_they_belong(make_project) -> None:
    body = "n_epochs: 3\nlr: 0.1\nhyperparameters: {epochs: 3}\nseeed: 1\n"
    fixes = [message.partition("; ")[2] for message in messages(make_project(body))]
    assert fixes == [
        "did you mean hyperparameters.n_epochs? [unknown_key]",
        "did you mean hyperparameters.learning_rate_multiplier? [unknown_key]",
        "did you mean n_epochs? [unknown_key]",
        "did you mean seed? [unknown_key]",
    ]


def test_the_branch_of_a_union_that_was_meant(make_project) -> None:
    body = "provider: {base_url: {enb: X}, auth: text}\n"
    assert [message.split(": ", 1)[1] for message in messages(make_project(body))] == [
        "provider.base_url.env: is missing; give a text like ^[A-Za-z_][A-Za-z0-9_]*$ [missing_key]",
        "provider.base_url.enb: is no known key; did you mean env? [unknown_key]",
        "provider.auth: must be {env: NAME} (got 'text') [invalid_value]",
    ]


def test_a_mistake_of_some_runs(make_project) -> None:
    body = "sweep:\n  grid:\n    hyperparameters.n_epochs: [1, 2, 99]\n    seed: [1, 2, 3, 4]\n"
    assert messages(make_project(body)) == [
        "experiments/x.yaml:7:38: hyperparameters.n_epochs: must be `auto` or a whole number from 1 to 50 (got 99) "
        "[invalid_value]"
    ]


def test_one_mistake_behind_two_references(make_project) -> None:
    body = "metadata: {s: not ok}\nsuffix: ${metadata.s}\nmodel: ${metadata.s}\n"
    assert messages(make_project(body.replace("model: ${metadata.s}\n", ""))) == [
        "experiments/x.yaml:5:12: metadata.s: must be a text of at most 40 like ^[A-Za-z0-9-]+$ (got 'not ok'); used "
        "by suffix [invalid_value]"
    ]


def test_many_mistakes_are_cut(make_project) -> None:
    found = messages(make_project("sweep: {grid: {hyperparameters.n_epochs: 'range(100,1000)'}}\n"))
    assert len(found) == 201
    assert found[-1] == "and 700 more problems of the same kinds [more]"


def test_a_mistake_is_found_without_the_swept_value(make_project) -> None:
    """The base lacks what an axis gives: that is no mistake; a wrong seed is, and it is said once."""
    project = make_project("seed: -1\nsweep: {grid: {model: [tiny, small]}}\n")
    path = project.experiments / "x.yaml"
    path.write_text(path.read_text().replace("model: tiny\n", ""))
    found = messages(project)
    assert len(found) == 1
    assert "seed: must be a whole number" in found[0]
    path.write_text(path.read_text().replace("seed: -1\n", ""))
    composed = load(project, "x")
    assert [point.experiment.model for point in composed.points] == ["tiny", "small"]
    assert composed.experiment.model == "tiny"


SWEPT = "sweep: {grid: {hyperparameters.n_epochs: [1, 2, 3]}}\n"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("seed=1,1", "seed: holds 1 twice; leave one out: a run is trained once [axis]"),
        (
            "hyperparameters.n_epochs=2,2",
            "hyperparameters.n_epochs: holds 2 twice; leave one out: a run is trained once [axis]",
        ),
        (
            "seed=range(1,1001)",
            "seed: the sweep has 3,000 runs, the limit is 2,000; sweep less, or raise sweep.max_runs [too_many_runs]",
        ),
        (
            "hyperparameters.n_epochs=range(1,100000)",
            "hyperparameters.n_epochs: the sweep has 99,999 runs, the limit is 2,000; sweep less, or raise "
            "sweep.max_runs [too_many_runs]",
        ),
    ],
)
def test_an_axis_of_the_command_line_is_told_there(make_project, override: str, said: str) -> None:
    assert messages(make_project(SWEPT), override) == [f"command line: {said}"]


def test_a_sweep_too_large_by_itself_is_told_in_its_file(make_project) -> None:
    body = "sweep: {grid: {hyperparameters.n_epochs: [1, 2, 3]}, max_runs: 2}\n"
    (said,) = messages(make_project(body), "seed=1,2")
    assert said.startswith("experiments/x.yaml:5:1: sweep: the sweep has ")


def test_a_day_is_asked_for_by_an_example(make_project) -> None:
    (said,) = messages(make_project("keep_until: tomorrow\n"))
    assert said.partition(": ")[2] == "keep_until: must be a day, such as 2027-06-30 (got 'tomorrow') [invalid_value]"


UNION = "sweep: {grid: {seed: [AXIS, 1]}, union: [{grid: {seed: [2]}}], random: 2}\n"


@pytest.mark.parametrize("value", ["1" + "0" * 30, ".inf", ".nan", "[1, [.inf]]", "{a: 1" + "0" * 30 + "}"])
def test_numbers_that_json_cannot_hold_are_no_axis(make_project, value: str) -> None:
    found = messages(make_project(UNION.replace("AXIS", value)))
    assert any("seed" in said and said.startswith("experiments/x.yaml:5:") for said in found), found
    found = messages(make_project(UNION.replace("AXIS", "3")), f"seed={value.lstrip('.').replace(': ', ':')},4")
    assert all(said.startswith("command line: seed: ") for said in found), found


def test_a_range_of_numbers_that_json_cannot_hold(make_project) -> None:
    big = 10**30
    (said,) = messages(make_project(UNION.replace("AXIS", "3")), f"seed=range({big},{big + 2})")
    assert said == "command line: seed: holds a number that is too large to be written exactly; make it a text [axis]"
