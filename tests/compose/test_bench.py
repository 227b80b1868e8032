"""A smoke run of the benchmark, so that it cannot rot."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.bench
def test_p1_runs(repository: Path) -> None:
    command = [sys.executable, str(repository / "bench" / "p1_expand.py"), "--smoke"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^ratio +[1-9]\d*", done.stdout, re.MULTILINE), done.stdout
