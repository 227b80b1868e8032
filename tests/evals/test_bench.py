"""The benchmark of the eval engine runs, and its bar against the SDK's own call holds with room for a busy machine."""

import json
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
    assert ratios["cold / create"] < 1.2, json.dumps(ratios)
