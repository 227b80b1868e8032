"""docs/data.md: each example's raw rows, prepared by its `dataset` block, begin with the row that is shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspec.data import CharEstimate, RowRules, prepare, read_rows
from ftspec.spec.dataset import Dataset, Weights

PAGE = Path(__file__).resolve().parents[2] / "docs" / "data.md"
BLOCKS = re.findall(r"```json\n(.*?)```\n```yaml\n(.*?)```\n```json\n(.*?)```", PAGE.read_text("utf-8"), re.S)


def test_there_are_examples() -> None:
    assert len(BLOCKS) == PAGE.read_text("utf-8").count("```yaml")
    assert len(BLOCKS) >= 5


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_an_example_gives_what_it_shows(number: int, tmp_path: Path) -> None:
    raw, block, shown = BLOCKS[number]
    given: dict[str, Any] = yaml.safe_load(block)
    path = tmp_path / given["sources"][0]["path"]
    path.parent.mkdir()
    path.write_text(raw, "utf-8")
    done = prepare(
        Dataset.model_validate(given),
        Weights(),
        root=tmp_path,
        counter=CharEstimate(),
        cache=None,
        format=RowRules(formats=("chat", "preference"), min_rows=1),
    )
    assert next(read_rows(done.parts["train"])) == json.loads(shown)
