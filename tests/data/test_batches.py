"""Rows are taken many at a time; one at a time is the oracle: the same files, the same problems in the same order."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftspec.data import rows
from ftspec.spec.errors import DataError

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def asked(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "who?\nwho <|im_end|"}, *messages], **more}


GOOD = [
    asked({"role": "assistant", "content": "me", "weight": 0}, {"role": "assistant", "content": "and you"}),
    asked({"role": "system", "content": "late"}, {"role": "assistant", "content": "\u2028é", "name": "bo"}),
    asked({"role": "assistant", "refusal": "no"}, parallel_tool_calls=False),
    asked(
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "assistant", "content": [{"type": "text", "text": "one"}]},
        tools=TOOLS,
    ),
]
BAD = [
    asked(),
    asked({"role": "assistant"}),
    asked({"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}),
    asked({"role": "assistant", "tool_calls": [CALL]}, {"role": "assistant", "content": "x"}),
    asked({"role": "assistant", "content": "x"}, tools=[{"type": "other"}]),
    asked({"role": "assistant", "content": 5}),
    {"prompt": "p", "completion": "c"},
    {"prompt": "p", "completion": ""},
    {"messages": []},
]
LINES = st.sampled_from([json.dumps(row) for row in [*GOOD, *GOOD, *GOOD, *BAD]] + ["", "{", "[1]"])


def found(project: Any, at_a_time: int) -> Any:
    """What `prepare` makes of the file by batches of so many rows: its files, or its problems."""
    project.cache = project.root / f"cache{at_a_time}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "_BATCH_ROWS", at_a_time)
        try:
            done = project.prepare(weights={"on_empty": "drop"})
        except DataError as error:
            return error.problems
    kept = {path.name.partition(".")[2]: path.read_bytes() for path in sorted(project.cache.glob("[rcf]*/*/*.*"))}
    kept.pop("json")  # the manifest names files by random words
    return kept, done.parts.keys(), done.proof, done.problems


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, min_size=1, max_size=12), st.integers(2, 5))
def test_batches_equal_single_rows(tmp_path_factory: Any, lines: list[str], at_a_time: int) -> None:
    from tests.data.conftest import Project

    project = Project(tmp_path_factory.mktemp("batches")).raw("\n".join(lines).encode())
    assert found(project, at_a_time) == found(project, 1)


def test_good_rows_alone_make_files(project: Any) -> None:
    project.raw("".join(json.dumps(row) + "\n" for row in GOOD * 5).encode())
    kept, parts, _, _ = found(project, 7)
    assert {"canonical.jsonl", "index", "counts", "train.jsonl", "rows.jsonl"} <= kept.keys()
    assert "train" in parts
    assert kept == found(project, 1)[0]
