"""P8: `ftspec ls` over 10,000 run directories with a warm index.

One run is really trained and scored; its folder is then multiplied: sealed files as hard links, run.json and folder
name each with a digest and a point of their own. Wall and CPU seconds of the whole process, the best of several calls,
beside `python -c pass` of the same minute. Every process may write and read bytecode, as installed packages do, in a
folder of its own.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EXPERIMENT = """\
defaults: [config, override evals: [routing], _self_]
model: tiny
dataset:
  sources: [{path: data/tickets.jsonl, count: 40}]
  messages:
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ queue }}"}
  split: {validation: 4, test: 6}
hyperparameters: {n_epochs: 1}
"""


def timed(command: list[str], cwd: Path) -> tuple[float, float, str]:
    """Return wall seconds, CPU seconds and the output of one process."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(cwd.parent / "bytecode")
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, env=environment)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def project_with(count: int, place: Path) -> Path:
    """Train one run and multiply its folder."""
    ftspec = [sys.executable, "-m", "ftspec"]
    subprocess.run([*ftspec, "init", "demo"], cwd=place, check=True, capture_output=True)
    project = place / "demo"
    (project / "experiments" / "one.yaml").write_text(EXPERIMENT)
    subprocess.run([*ftspec, "run", "one"], cwd=project, check=True, capture_output=True)
    made = next((project / "runs" / "one").glob("default.*"))
    facts = json.loads((made / "run.json").read_text())
    for number in range(count - 1):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        facts |= {"label": f"seed={number}", "point": {"seed": number, "hyperparameters.n_epochs": 1}}
        facts |= {"digests": facts["digests"] | {"train": f"sha256:{digest}"}}
        _copy(made, project / "runs" / f"many{number % 20}" / f"seed={number}.{digest[:12]}", facts)
    return project


def _copy(source: Path, target: Path, facts: dict[str, object]) -> None:
    for folder, _, files in os.walk(source):
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True)
        for name in files:
            os.link(f"{folder}/{name}", there / name)
    (target / "run.json").unlink()
    (target / "run.json").write_text(json.dumps(facts))


def main(count: int, calls: int) -> dict[str, float]:
    """Measure cold, warm and rebuilt."""
    with tempfile.TemporaryDirectory() as folder:
        project = project_with(count, Path(folder))
        time.sleep(2.5)  # folders younger than that are read again: their clock may not have ticked
        listing = [sys.executable, "-m", "ftspec", "ls"]
        cold, _, first = timed(listing, project)
        warm = [timed(listing, project) for _ in range(calls)]
        bare = [timed([sys.executable, "-c", "pass"], project) for _ in range(calls)]
        assert all(output == first for _, _, output in warm)
        assert len(first.splitlines()) == count + 1
    return {
        "run directories": count,
        "cold, wall s": cold,
        "warm, wall s (bar 0.3)": min(wall for wall, _, _ in warm),
        "warm, CPU s": min(cpu for _, cpu, _ in warm),
        "python -c pass, wall s": min(wall for wall, _, _ in bare),
        "python -c pass, CPU s": min(cpu for _, cpu, _ in bare),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--calls", type=int, default=9)
    given = parser.parse_args()
    print(json.dumps({key: round(value, 3) for key, value in main(given.count, given.calls).items()}, indent=2))
