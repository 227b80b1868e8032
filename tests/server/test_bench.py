"""A smoke run of the benchmark, so that it cannot rot."""

import subprocess
import sys

import pytest


@pytest.mark.bench
def test_p4_runs(repository):
    command = [sys.executable, str(repository / "bench" / "p4_server.py"), "--smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "20 jobs at once: {'succeeded': 20}, 20 POSTs that create one" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout
