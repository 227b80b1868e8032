"""P7: `diff` of two revisions of 100 experiments, 5 of them changed: CPU seconds of the whole command, and how many
processes it starts. `git` on the path is a wrapper that notes each call.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

EXPERIMENT = """\
defaults: [config, override evals: [parity], _self_]
description: Is the number {n} odd?
model: tiny
dataset:
  sources: [{{path: data/{n}.jsonl}}]
  messages:
    - {{role: system, content: {{file: prompts/{n}.md}}}}
    - {{role: user, content: "{{{{ text }}}}"}}
    - {{role: assistant, content: "{{{{ label }}}}"}}
  split: {{test: 20}}
sweep:
  grid:
    hyperparameters.n_epochs: [1, 2, 3]
    hyperparameters.learning_rate_multiplier: [0.05, 0.1]
seed: 1
"""
SUITE = "parity:\n  graders: {right: {type: label}}\n"
WRAPPER = "#!/bin/sh\necho \"$*\" >> '{log}'\nexec '{git}' \"$@\"\n"


def make(root: Path, experiments: int) -> None:
    """Write a repository of that many experiments; the second commit changes the seed of five."""
    for folder in ("experiments", "conf/evals", "data", "prompts"):
        (root / folder).mkdir(parents=True)
    (root / "conf/evals/parity.yaml").write_text(SUITE)
    for n in range(experiments):
        rows = [{"text": f"number {i} of {n}", "label": "odd" if i % 2 else "even"} for i in range(120)]
        (root / "data" / f"{n}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (root / "prompts" / f"{n}.md").write_text(f"Answer odd or even. {n}\n")
        (root / "experiments" / f"e{n}.yaml").write_text(EXPERIMENT.format(n=n))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q", "-b", "main", "."], cwd=root, check=True)
    for seed in (1, 2):
        for n in range(0, experiments, max(1, experiments // 5)):
            path = root / "experiments" / f"e{n}.yaml"
            path.write_text(path.read_text().replace("seed: 1", f"seed: {seed}"))
        subprocess.run([*git, "add", "-A"], cwd=root, check=True)
        subprocess.run([*git, "commit", "-qm", str(seed)], cwd=root, check=True)


def measure(root: Path, *options: str) -> dict[str, float]:
    """Run `diff HEAD~1 HEAD` once as its own process."""
    log = root.parent / "calls"
    wrapper = root.parent / "bin" / "git"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text(WRAPPER.format(log=log, git=shutil.which("git")))
    wrapper.chmod(0o755)
    log.write_text("")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "ftspec", "diff", "HEAD~1", "HEAD", "--json", *options],
        cwd=root,
        env=os.environ | {"PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)
    return {
        "cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "git_processes": len(log.read_text().splitlines()),
        "experiments_compared": len(found["experiments"]),
        "runs_changed": len(found["runs"]),
    }


def main(experiments: int, runs: int) -> dict[str, float]:
    """Measure; the median of several runs."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        make(root, experiments)
        measured = [measure(root) for _ in range(runs)]
        apart = [measure(root, "--untrusted") for _ in range(runs)]
    middle = {key: statistics.median(one[key] for one in measured) for key in measured[0]}
    return middle | {"cpu_seconds_untrusted": statistics.median(one["cpu_seconds"] for one in apart)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps({key: round(value, 2) for key, value in main(given.experiments, given.runs).items()}, indent=2))
