"""Small projects to prepare."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.data import CharEstimate, Prepared, RowRules, prepare
from ftspec.spec.dataset import Dataset, Weights

FORMATS = ("chat", "completion", "preference")


def write_rows(path: Path, rows: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def chat(user: str, assistant: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}], **more}


class Project:
    """A folder with data, and `prepare` on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache: Path | None = None
        self.counter: Any = CharEstimate()

    def rows(self, rows: list[Any], name: str = "data/rows.jsonl") -> "Project":
        write_rows(self.root / name, rows)
        return self

    def raw(self, data: bytes, name: str = "data/rows.jsonl") -> "Project":
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(data)
        return self

    def prepare(
        self,
        dataset: dict[str, Any] | None = None,
        weights: dict[str, Any] | None = None,
        limits: RowRules | None = None,
        **more: Any,
    ) -> Prepared:
        return prepare(
            Dataset.model_validate({"sources": [{"path": "data/rows.jsonl"}], **(dataset or {})}),
            Weights.model_validate(weights or {}),
            root=self.root,
            counter=self.counter,
            cache=self.cache,
            format=limits or RowRules(formats=FORMATS, min_rows=1, advised_rows=0),
            **more,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def make_chat() -> Callable[..., dict[str, Any]]:
    return chat
