"""Projects in temporary folders, with real files."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from ftspec.compose import Project

EXPERIMENT = """
defaults: [config, _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
"""

Make = Callable[..., Project]


@pytest.fixture
def make_project(tmp_path: Path) -> Make:
    """Write files (path -> text) into a project folder and return it; `body` is added to the plain experiment `x`."""

    def make(body: str = "", files: dict[str, str] | None = None, experiment: str = EXPERIMENT) -> Project:
        written = {"experiments/x.yaml": experiment.lstrip() + dedent(body).lstrip("\n"), **(files or {})}
        for name, text in written.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text) if name != "experiments/x.yaml" else text, encoding="utf-8")
        return Project(tmp_path)

    return make
