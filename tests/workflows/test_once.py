"""What concerns some runs of a sweep is told of these, at the place of their own values."""

import json
from pathlib import Path

import pytest

from ftspec.compose import Project
from ftspec.spec.errors import FtspecError
from ftspec.workflows.plan import make_plan


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "conf/dataset").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    for name, count in (("few", 15), ("many", 80)):
        (tmp_path / f"conf/dataset/{name}.yaml").write_text(f"sources: [{{path: data/{name}.jsonl}}]\n")
        rows = [[{"role": r, "content": f"{r} {n}"} for r in ("user", "assistant")] for n in range(count)]
        (tmp_path / f"data/{name}.jsonl").write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    (tmp_path / "experiments/x.yaml").write_text(
        "defaults: [config, override dataset: many, _self_]\n"
        "model: tiny\n"
        "sweep:\n  grid:\n    dataset: [many, few]\n    hyperparameters.n_epochs: [1, 2]\n"
    )
    return Project(tmp_path)


def test_a_warning_names_the_runs_that_it_concerns_and_stands_in_their_file(project: Project) -> None:
    warnings = [problem for problem in make_plan(project, "x").warnings if problem.code == "few_rows"]
    assert [(w.runs, w.run, w.file) for w in warnings] == [
        ("dataset=few", "dataset=few,epochs=1", "conf/dataset/few.yaml")
    ]
    assert "(in dataset=few)" in str(warnings[0])


def test_an_error_of_one_value_names_it(project: Project) -> None:
    with pytest.raises(FtspecError) as failed:
        make_plan(project, "x", ["~sweep", "dataset.sources.0.count=70,5"])
    assert {(p.code, p.runs) for p in failed.value.problems} == {("n_rows", "count=5")}


def test_what_concerns_every_run_names_none(project: Project) -> None:
    warnings = make_plan(project, "x", ["dataset=few", "~sweep.grid.dataset"]).warnings
    assert [(w.code, w.runs) for w in warnings if w.code == "few_rows"] == [("few_rows", "")]


def test_a_group_chosen_twice_is_told_at_the_second_choice(project: Project) -> None:
    spec = project.experiments / "x.yaml"
    spec.write_text(spec.read_text().replace("override dataset: many", "dataset: many"))
    with pytest.raises(FtspecError) as failed:
        make_plan(project, "x")
    problem = failed.value.problems[0]
    assert (problem.site, problem.fix) == (
        "experiments/x.yaml:1:20",
        "write `override dataset: many` to replace it",
    )


def test_what_a_provider_does_not_take_stands_at_the_value_of_the_axis(project: Project) -> None:
    with pytest.raises(FtspecError) as failed:
        make_plan(project, "x", ["dataset=many", "model=tiny,gpt-4o"])
    assert [(p.site, p.runs) for p in failed.value.problems] == [("command line", "model=gpt-4o")]
    spec = project.experiments / "x.yaml"
    spec.write_text(spec.read_text().replace("dataset: [many, few]", "model: [tiny, gpt-4o]"))
    with pytest.raises(FtspecError) as failed:
        make_plan(project, "x")
    assert [(p.site, p.runs) for p in failed.value.problems] == [("experiments/x.yaml:5:19", "model=gpt-4o")]
