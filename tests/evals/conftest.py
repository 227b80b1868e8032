"""A small classification task with a model that is a function, shared by the tests of this room."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ftspec.evals.suites import ResolvedSuite, resolve
from ftspec.spec.suite import Suite

LABELS = ("billing", "card", "other")


@dataclass
class FilePart:
    role: str
    path: Path


def _item(i: int) -> dict[str, Any]:
    messages = [{"role": "system", "content": "Route it."}, {"role": "user", "content": f"question {i}"}]
    return {"id": f"i{i:03}", "metadata": {"customer": f"c{i % 7}"}, "messages": messages, "reference": LABELS[i % 3]}


def _row(i: int) -> dict[str, Any]:
    item = _item(i)
    return {"messages": [*item["messages"], {"role": "assistant", "content": item["reference"]}]}


@pytest.fixture
def part(tmp_path: Path) -> Callable[[str, list[dict[str, Any]]], FilePart]:
    def write(role: str, rows: list[dict[str, Any]]) -> FilePart:
        path = tmp_path / f"{role}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return FilePart(role, path)

    return write


@pytest.fixture
def suite_of(part: Callable[..., FilePart]) -> Callable[..., ResolvedSuite]:
    """Resolve a suite over n test items and 40 training rows, five of which ask what test items ask."""

    def build(spec: dict[str, Any] | None = None, *, n: int = 30, **more: Any) -> ResolvedSuite:
        given = {
            "items": part("test", [_item(i) for i in range(n)]),
            "train": part("train", [_row(i) for i in range(n - 5, n + 35)]),
            "references": {"billing": 14, "card": 13, "other": 13},
        }
        parsed = Suite.model_validate(spec or {"graders": {"queue": {"type": "label"}}})
        return resolve("routing", parsed, **(given | more))

    return build


@pytest.fixture
def completion() -> Callable[..., dict[str, Any]]:
    def build(text: str | None, *, model: str = "m", **message: Any) -> dict[str, Any]:
        return {
            "id": "chatcmpl-x",
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text, **message},
                }
            ],
            "model": model,
            "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
            "system_fingerprint": "fp",
        }

    return build
