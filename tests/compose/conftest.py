"""Projects in temporary folders, with real files."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from ftspec.compose import Project

EXPERIMENT = """\
defaults: [config, _self_]
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
"""

MakeFiles = Callable[[Mapping[str, str | bytes]], Project]
Make = Callable[..., Project]


@pytest.fixture
def make_files(tmp_path: Path) -> MakeFiles:
    """Write files (path -> content) into a project folder."""

    def make(files: Mapping[str, str | bytes]) -> Project:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Project(tmp_path)

    return make


@pytest.fixture
def make_project(make_files: MakeFiles) -> Make:
    """Write a project whose experiment `x` is valid, plus `body`; further files are dedented."""

    def make(body: str = "", files: Mapping[str, str] | None = None) -> Project:
        further = {name: dedent(text).lstrip("\n") for name, text in (files or {}).items()}
        return make_files({"experiments/x.yaml": EXPERIMENT + dedent(body).lstrip("\n"), **further})

    return make
