"""docs/api.md: its examples run one after the other in a new project."""

import re
from pathlib import Path
from typing import Any

import pytest

import ftspec
from ftspec.workflows.start import start_project


@pytest.mark.slow
def test_examples_run(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (repository / "docs" / "api.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) >= 6
    start_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        line = page[: page.index(block)].count("\n")
        exec(compile("\n" * line + block, "docs/api.md", "exec"), names)


def test_the_public_names() -> None:
    assert dir(ftspec) == sorted(ftspec.__all__)
    for name in ftspec.__all__:
        assert getattr(ftspec, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        _ = ftspec.nope  # type: ignore[attr-defined]


def test_overrides_are_a_list(tmp_path: Path) -> None:
    start_project(tmp_path)
    with pytest.raises(ftspec.FtspecError, match="overrides are a list"):
        ftspec.load("quickstart", "seed=1", project=tmp_path)
    plan = ftspec.plan("quickstart", project=tmp_path)
    with pytest.raises(ftspec.FtspecError, match="has its overrides already"):
        ftspec.run(plan, ["seed=1"])
    assert not (tmp_path / "runs" / "quickstart").exists()
