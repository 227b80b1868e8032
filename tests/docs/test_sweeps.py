"""docs/sweeps.md: each block composes to exactly the runs that are listed below it."""

import re
import shlex
from pathlib import Path

import pytest

from ftspec.compose import Project, load

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "sweeps.md").read_text("utf-8")
_YAML = r"```yaml\n(?P<yaml>.*?)```"
_RUNS = r"\n(?P<command>`ftspec plan NAME [^\n]*`)?\n*(?P<runs>(?:    [^\n]+\n)+)"


def examples() -> list[tuple[str, list[str], list[str]]]:
    """Return (experiment's own text, overrides, labels) of each list of runs; it speaks of the last block above it."""
    found, block = [], ""
    for match in re.finditer(f"{_YAML}|{_RUNS}", PAGE, re.DOTALL):
        if match["yaml"] is not None:
            block = match["yaml"]
        else:
            overrides = shlex.split((match["command"] or "").strip("`"))[3:]
            found.append((block, overrides, match["runs"].split()))
    return found


def test_the_page_has_examples() -> None:
    assert len(examples()) == 7
    assert PAGE.count("```yaml") == 6


@pytest.mark.parametrize(("block", "overrides", "labels"), examples())
def test_an_example_gives_its_runs(tmp_path: Path, block: str, overrides: list[str], labels: list[str]) -> None:
    (tmp_path / "experiments").mkdir()
    base = "defaults: [config, _self_]\nmodel: tiny\ndataset: {sources: [{path: data/tickets.jsonl}]}\n"
    (tmp_path / "experiments" / "x.yaml").write_text(base + block)
    composed = load(Project(tmp_path), "x", overrides)
    assert [point.label for point in composed.points] == labels
