"""A smoke run of the benchmark, so that it cannot rot."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.bench
def test_p3_runs(repository: Path) -> None:
    found = subprocess.run(
        [sys.executable, str(repository / "bench" / "p3_evals.py"), "--smoke"],
        capture_output=True,
        text=True,
        check=True,
        cwd=repository,
    )
    lines = found.stdout.splitlines()
    assert lines[0].endswith("CPU ms per sample")
    ratios = {line.split("   ")[0].strip(): float(line.split()[3]) for line in lines[1:4]}
    assert set(ratios) == {"cold / post", "cold / create", "warm / post"}
    assert min(ratios.values()) > 0
