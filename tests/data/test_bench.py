"""A smoke run of the data bench: all arms work and agree; figures need the real file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.bench
@pytest.mark.slow
def test_the_data_bench_runs(repository: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(repository / "bench" / "p2_data.py"), "--smoke"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert {"cold", "weights", "rules", "again"} <= set(rows)
    assert "'rows': 0" not in done.stdout
