"""P6: the embedded engine. 100 examples x 3 epochs in CPU seconds, start included; the tool task; the same bits twice.

    python bench/p6_engine.py [--smoke]

The bars: at most 5 CPU seconds, at least 0.85 exact on held-out rows, equal sha256. `--smoke` trains less, skips the
score and judges no time.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from engine_tasks import rows

from ftspec.engine.bases import resolve
from ftspec.engine.environment import environment


def cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def train(root: Path, name: str, data: list[dict[str, Any]], epochs: int, batch: int) -> dict[str, Any]:
    """Train a job in its own worker process; returns its state with the CPU seconds of the process."""
    base = resolve("tiny")
    files, folder = root / "files" / f"file-{name}", root / "jobs" / f"ftjob-{name}"
    files.mkdir(parents=True)
    folder.mkdir(parents=True)
    (files / "content").write_text("".join(json.dumps(row) + "\n" for row in data))
    hyper = {"n_epochs": epochs, "batch_size": batch, "learning_rate_multiplier": 0.1}
    job = {"id": folder.name, "created_at": 0, "base": {"name": base.name, "digest": base.digest}, "seed": 0}
    job |= {"training_file": f"files/{files.name}/content", "hyperparameters": hyper, "fine_tuned_model": f"ft:{name}"}
    (folder / "job.json").write_text(json.dumps(job))
    before, began = cpu_of_children(), time.monotonic()
    subprocess.run([sys.executable, "-m", "ftspec.engine.worker", str(folder)], env=environment(), check=True)
    state = json.loads((folder / "state.json").read_text())
    if state["status"] != "succeeded":
        raise SystemExit(f"{name}: {state['error']}")
    weights = folder / state["checkpoints"][-1]["path"] / "weights.npz"
    return state | {"cpu": cpu_of_children() - before, "wall": time.monotonic() - began, "weights": str(weights)}


def score(weights: str, digest: str, held: list[dict[str, Any]]) -> tuple[float, float]:
    """Exact matches of the generator process on held-out rows, and its CPU seconds."""
    model = {"weights": weights, "digest": digest}
    requests = [{"model": model, "messages": row["messages"][:-1], "temperature": 0, "limit": 60} for row in held]
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    before = cpu_of_children()
    command = [sys.executable, "-m", "ftspec.engine.generator"]
    done = subprocess.run(command, input=lines, env=environment(), capture_output=True, text=True, check=True)
    answers = [json.loads(line)["choices"][0]["text"] for line in done.stdout.splitlines()]
    hits = sum(answer == row["messages"][-1]["content"] for answer, row in zip(answers, held, strict=True))
    return hits / len(held), cpu_of_children() - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true")
    smoke = parser.parse_args().smoke
    n, epochs = (20, 1) if smoke else (100, 3)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        first, second = (train(root, f"tool-{i}", rows("tool", n), epochs, 1) for i in range(2))
        same = first["weights_digest"] == second["weights_digest"]
        rate = first["trained_tokens"] / first["cpu"]
        print(f"{n} x {epochs} epochs: {first['cpu']:.2f} CPU s, {first['wall']:.2f} s wall, start included (bar 5)")
        print(f"tokens a CPU second: {rate:.0f}; load {os.getloadavg()[0]:.1f}")
        print(f"twice the same sha256: {same} ({first['weights_digest'][:12]})")
        good = same
        if not smoke:
            tuned = train(root, "tool-300", rows("tool", 300), 3, 4)
            exact, cpu = score(tuned["weights"], tuned["weights_digest"], rows("tool", 100, held=True))
            print(f"tool task, 300 x 3: {exact:.2f} exact of 100 held-out rows (bar 0.85), {tuned['cpu']:.2f} CPU s")
            print(f"100 answers: {cpu:.2f} CPU s, start included")
            good = same and first["cpu"] <= 5 and exact >= 0.85
    print("PASS" if good else "FAIL")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
