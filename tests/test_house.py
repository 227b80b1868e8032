"""The house of CONTRIBUTING.md: imports run one way, no odds and ends, heavy imports stay out of start-up."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = [
    "spec",
    "storage",
    "wire",
    "compose",
    "data",
    "engine",
    "server",
    "providers",
    "evals",
    "runs",
    "forges",
    "workflows",
    "report",
    "cli",
]


def imports(path: Path) -> set[str]:
    """Dotted names of ours that a file imports anywhere, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module)
    return {name for name in names if name.split(".")[0] == "ftspec"}


@pytest.mark.parametrize("room", ROOMS)
def test_imports_run_one_way(room: str, repository: Path) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    if room == "cli":  # the command line is one more user of the Python API
        allowed.add("api")
    for path in (repository / "ftspec" / room).rglob("*.py"):
        for name in imports(path):
            target = name.split(".")[1] if "." in name else ""
            assert target in allowed, f"{path.relative_to(repository)} imports {name}, which stands below it"


def test_every_room_is_on_the_map(repository: Path) -> None:
    found = {p.name for p in (repository / "ftspec").iterdir() if p.is_dir() and not p.name.startswith("__")}
    assert found == set(ROOMS)
    text = (repository / "CONTRIBUTING.md").read_text()
    assert all(f"`ftspec/{room}/`" in text for room in ROOMS)


def test_no_room_for_odds_and_ends(repository: Path) -> None:
    forbidden = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert not [p for p in (repository / "ftspec").rglob("*.py") if p.stem in forbidden]


@pytest.mark.parametrize("module", ["ftspec", "ftspec.cli.main", "ftspec.spec.experiment", "ftspec.workflows.plan"])
def test_planning_imports_neither_numpy_nor_openai(module: str) -> None:
    code = f"import {module}, sys; print([m for m in ('numpy', 'openai', 'rapidfuzz', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_almost_nothing() -> None:
    code = (
        "import sys; from ftspec.cli.main import main; main(['--help']);"
        "print([m for m in ('hydra', 'pydantic', 'rich', 'yaml', 'msgspec', 'asyncio') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
