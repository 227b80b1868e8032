"""P5: `ftspec --help` against `python -c pass`; `validate` of one experiment against one bare Hydra compose.

CPU seconds of whole processes, taken in turn; the median of the ratios pair by pair is the figure. Every process may
write and read bytecode, as installed packages do, in a folder of its own.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

BARE_COMPOSE = """
from hydra import compose, initialize_config_dir
with initialize_config_dir(%r, version_base="1.3"):
    compose("config")
"""

BARE_CONFIG = {"hyperparameters": {"n_epochs": 3}, "model": "tiny", "seed": 1}


def cpu(command: list[str], cwd: Path) -> float:
    """Return user and system seconds of one process with its children."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(cwd.parent / "bytecode")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ratio(first: list[str], second: list[str], cwd: Path, runs: int) -> float:
    """Return the median of cpu(first) / cpu(second), in turn, after one warm-up each."""
    cpu(first, cwd), cpu(second, cwd)
    return statistics.median(cpu(first, cwd) / max(cpu(second, cwd), 1e-3) for _ in range(runs))


def main(runs: int) -> dict[str, float]:
    """Measure both figures."""
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        subprocess.run([python, "-m", "ftspec", "init", "demo"], cwd=place, check=True, capture_output=True)
        project = place / "demo"
        configs = _bare_configs(project)
        ftspec = [str(Path(python).with_name("ftspec"))]
        help_ratio = ratio([*ftspec, "--help"], [python, "-c", "pass"], project, runs)
        bare = [python, "-c", BARE_COMPOSE % str(configs)]
        validate_ratio = ratio([*ftspec, "validate", "quickstart"], bare, project, runs)
    return {"help / python -c pass (bar 6)": help_ratio, "validate / bare compose (bar 2)": validate_ratio}


def _bare_configs(project: Path) -> Path:
    """The same experiment as one plain Hydra folder: the built-in groups beside the experiment's own file."""
    import shutil

    from ftspec.compose import builtin_conf

    target = project / "bare"
    shutil.copytree(builtin_conf(), target)
    text = (project / "experiments" / "quickstart.yaml").read_text()
    base = (target / "config.yaml").read_text()
    (target / "base.yaml").write_text(base)
    (target / "config.yaml").write_text(text.replace("[config,", "[base,"))
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    print(json.dumps({key: round(value, 2) for key, value in main(parser.parse_args().runs).items()}, indent=2))
