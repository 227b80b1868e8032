"""A smoke run of the benchmark, so that it cannot rot."""

import subprocess
import sys

import pytest


@pytest.mark.bench
def test_p6_runs(repository):
    command = [sys.executable, str(repository / "bench" / "p6_engine.py"), "--smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "twice the same sha256: True" in done.stdout
