"""A smoke run of the benchmark, so that it cannot rot."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def p7(repository: Path) -> Any:
    spec = importlib.util.spec_from_file_location("p7_diff", repository / "bench" / "p7_diff.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.bench
def test_p7_runs_and_starts_no_process_per_file(p7: Any, tmp_path: Path) -> None:
    found = {}
    for experiments in (5, 20):
        root = tmp_path / str(experiments) / "project"
        p7.make(root, experiments)
        found[experiments] = p7.measure(root)
    assert found[20]["experiments_compared"] == 5
    assert found[20]["git_processes"] == found[5]["git_processes"]
