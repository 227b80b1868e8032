"""P1: expanding a sweep of 1,000 runs against Hydra composing each of them, in CPU seconds of one process.

    python bench/p1_expand.py [--smoke]

Ours pays for everything: parsing overrides, the first composition, a resolved and an unresolved configuration per run.
Hydra's side composes a sample and is scaled up. The bar: at least 100 times less CPU. The whole `load` (validation,
labels, plain data) is shown beside it; its bar is the plan's, 5 CPU seconds.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ftspec.compose import Project, load, verify_with_hydra
from ftspec.compose.expand import Expander
from ftspec.compose.session import opened
from ftspec.compose.sources import Snapshot

EXPERIMENT = """
defaults: [config, _self_]
description: A sweep over what matters.
model: tiny
dataset:
  sources: [{path: data/rows.jsonl}]
  messages:
    - {role: user, content: "{{ text }}"}
    - {role: assistant, content: "{{ answer }}"}
sweep:
  grid:
    seed: range(0, %d)
    hyperparameters.n_epochs: [auto, 1, 2, 3, 4]
    hyperparameters.batch_size: [auto, 4, 8, 16]
    hyperparameters.learning_rate_multiplier: [auto, 0.02, 0.05, 0.1, 0.2]
"""


def cpu(run: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = run()
    return time.process_time() - began, result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--smoke", action="store_true", help="100 runs, a sample of 5")
    seeds, sample = (1, 5) if parser.parse_args().smoke else (10, 40)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "experiments").mkdir()
        (root / "experiments" / "sweep.yaml").write_text(EXPERIMENT.lstrip() % seeds)
        project = Project(root)
        load(project, "sweep", ["seed=0", "hyperparameters.n_epochs=1", "hyperparameters.batch_size=4"])  # warm imports
        loading, composed = cpu(lambda: load(project, "sweep"))
        points = composed.points
        with opened(Snapshot.of(project), "sweep", str(project.experiments)) as session:
            expander = Expander(session)
            ours, runs = cpu(lambda: [expander.run(point.overrides) for point in points])
            step = max(1, len(points) // sample)
            chosen = list(range(0, len(points), step))[:sample]
            theirs, oracle = cpu(lambda: [expander.oracle(points[number].overrides) for number in chosen])
        for number, run in zip(chosen, oracle, strict=True):
            if (run.config, run.unresolved) != (runs[number].config, runs[number].unresolved):
                raise SystemExit(f"{points[number].label} is not what Hydra composes")
        verified, _ = cpu(lambda: verify_with_hydra(composed))
    each, hydra_each = ours / len(points), theirs / len(chosen)
    print(f"runs                        {len(points)}")
    print(f"Hydra, compose each         {hydra_each * 1000:8.2f} ms a run    {hydra_each * len(points):8.2f} CPU s")
    print(f"ours, expand                {each * 1000:8.3f} ms a run    {ours:8.3f} CPU s")
    print(f"ratio                       {hydra_each / each:8.0f}               bar 100")
    print(f"load: expand and validate   {loading / len(points) * 1000:8.3f} ms a run    {loading:8.3f} CPU s")
    print(f"verify before training      {verified:8.2f} CPU s")


if __name__ == "__main__":
    main()
