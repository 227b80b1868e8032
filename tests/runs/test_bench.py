"""A smoke run of the benchmark, so that it cannot rot."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.bench
def test_p8_runs(repository: Path) -> None:
    command = [sys.executable, str(repository / "bench" / "p8_ls.py"), "--count", "60", "--calls", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["run directories"] == 60
