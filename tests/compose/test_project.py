"""Finding a project and naming its experiments."""

from pathlib import Path

import pytest

from ftspec.compose import Project, builtin_conf
from ftspec.spec.errors import FtspecError, UsageError


def test_folders(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.conf == tmp_path / "conf"
    assert project.experiments == tmp_path / "experiments"
    assert project.runs == tmp_path / "runs"
    assert project.store == tmp_path / "runs" / ".store"
    assert project.embedded == tmp_path / "runs" / ".embedded"
    assert project.cache == tmp_path / "runs" / ".cache"


@pytest.mark.parametrize("marker", ["experiments", "conf"])
def test_find_walks_up(tmp_path: Path, marker: str) -> None:
    (tmp_path / marker).mkdir()
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert Project.find(deep).root == tmp_path.resolve()


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ftspec init") as caught:
        Project.find(tmp_path)
    assert caught.value.code == "no_project"


def test_names(make_project) -> None:
    project = make_project(
        files={"experiments/b.yaml": "", "experiments/x.lock.json": "{}", "experiments/no space.yaml": ""}
    )
    assert project.experiment_names() == ["b", "x"]


def test_name_of_accepts_paths(make_project) -> None:
    project = make_project()
    absolute = str(project.experiments / "x.yaml")
    for text in ("x", "x.yaml", "experiments/x.yaml", "./experiments/x.yaml", "../p/experiments/x.yaml", absolute):
        assert project.name_of(text) == "x"


def test_unknown_name_suggests(make_project) -> None:
    project = make_project(files={"experiments/routing.yaml": ""})
    with pytest.raises(UsageError) as caught:
        project.name_of("routnig")
    assert caught.value.code == "unknown_experiment"
    assert caught.value.problems[0].fix == "did you mean routing? known: routing, x"


def test_file_of_another_project(make_project, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        make_project().name_of(str(tmp_path / "elsewhere" / "x.yaml"))
    assert caught.value.code == "not_in_project"


def test_builtin_conf_holds_the_base() -> None:
    assert (builtin_conf() / "config.yaml").is_file()


def test_builtin_conf_of_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel carries the blocks inside the package (force-include in pyproject.toml)."""
    from ftspec.compose import project

    package = tmp_path / "site-packages" / "ftspec"
    (package / "compose").mkdir(parents=True)
    (package / "conf").mkdir()
    monkeypatch.setattr(project, "__file__", str(package / "compose" / "project.py"))
    with pytest.raises(FtspecError, match="built-in conf/ folder is missing"):
        builtin_conf()
    (package / "conf" / "config.yaml").write_text("seed: 0\n")
    assert builtin_conf() == package / "conf"


def test_a_name_longer_than_any_file_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    with pytest.raises(UsageError, match="no experiment"):
        Project(tmp_path).name_of("x" * 300)
