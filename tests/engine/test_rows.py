"""Training rows: what is refused, with the example named, and that nothing else than a coded error can come out."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.engine.bases import resolve
from ftspec.engine.rows import FileError, encode_row, read_training, read_validation
from ftspec.spec.errors import DataError

TINY = resolve("tiny")
GOOD = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
KEYS = ("messages", "role", "content", "weight", "tool_calls", "function", "name", "arguments", "tools", "parameters")
json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.sampled_from(["user", "assistant", "x"])
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, "type", "text"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from([*KEYS, "prompt", "completion", "functions", "input"]), json_values, max_size=4))
def test_any_object_is_a_row_or_a_coded_error(row):
    with suppress(DataError):
        assert any(encode_row(TINY, row).weights)


@settings(max_examples=200)
@given(st.lists(st.dictionaries(st.sampled_from(KEYS), json_values, max_size=4), min_size=1, max_size=3), json_values)
def test_any_message_is_a_row_or_a_coded_error(messages, tools):
    with suppress(DataError):
        encode_row(TINY, {"messages": messages, "tools": tools})


def long_row(tokens):
    digits = "7" * (tokens - 5)
    return {"messages": [{"role": "user", "content": digits}, {"role": "assistant", "content": "b"}]}


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"{", "json"),
        (b"", "json"),
        (b"[]", "json"),
        (b'{"messages": NaN}', "json"),
        (b"\xff", "json"),
        (b"[" * 100_000, "json"),
        ({"messages": []}, "broken_row"),
        ({"input": {}, "preferred_output": []}, "format"),
        ({"messages": [{"role": "user", "content": "only"}]}, "weight_all_zero"),
        ({"messages": [GOOD["messages"][0], GOOD["messages"][1] | {"weight": 0}]}, "weight_all_zero"),
        ({"messages": [GOOD["messages"][0], GOOD["messages"][1] | {"weight": True}]}, "weight"),
        ({"messages": [GOOD["messages"][0], GOOD["messages"][1] | {"weight": 0.5}]}, "weight"),
        ({"messages": [GOOD["messages"][0], GOOD["messages"][1] | {"content": "\ud800"}]}, "lone_surrogate"),
        (long_row(513), "tokens"),
    ],
)
def test_a_bad_row_is_named_by_its_number(tmp_path, bad, code):
    good = json.dumps(GOOD).encode()
    line = bad if isinstance(bad, bytes) else json.dumps(bad).encode()
    path = tmp_path / "content"
    path.write_bytes(b"\n".join([good] * 11 + [line] + [good]) + b"\n")
    with pytest.raises(FileError, match="Example 12") as caught:
        read_training(TINY, path)
    assert caught.value.code == "invalid_training_file"
    assert caught.value.param == "training_file"
    assert f"[{code}]" in str(caught.value)
    with pytest.raises(FileError) as caught:
        read_validation(TINY, path)
    assert caught.value.code == "invalid_validation_file"


@pytest.mark.parametrize("n", [0, 1, 9])
def test_too_few_rows(tmp_path, n):
    path = tmp_path / "content"
    path.write_text("".join(json.dumps(GOOD) + "\n" for _ in range(n)))
    with pytest.raises(FileError) as caught:
        read_training(TINY, path)
    assert caught.value.code == "invalid_n_examples"


def test_the_limit_is_512_tokens_and_nothing_is_cut(tmp_path):
    path = tmp_path / "content"
    path.write_text("\n".join([json.dumps(long_row(512))] * 10))
    assert {len(row.ids) for row in read_training(TINY, path)} == {512}


def test_a_byte_order_mark_and_a_missing_last_newline_are_fine(tmp_path):
    path = tmp_path / "content"
    path.write_bytes(b"\xef\xbb\xbf" + b"\n".join([json.dumps(GOOD).encode()] * 10))
    assert len(read_training(TINY, path)) == 10


def test_the_mask_can_be_ignored_for_probes():
    row = {
        "messages": [
            *GOOD["messages"],
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d", "weight": 0},
        ]
    }
    honest, broken = encode_row(TINY, row), encode_row(TINY, row, ignore_mask=True)
    assert [span.learned for span in honest.spans] == [0, 2, 0, 0]
    assert [span.learned for span in broken.spans] == [0, 2, 0, 2]
