"""Every text round-trips, none makes a special id, merges do not depend on hash order."""

import hashlib
import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ftspec.engine.bases import resolve
from ftspec.engine.tokenizer import SPECIAL, Tokenizer, train_merges
from ftspec.spec.errors import DataError

TOKENIZER = resolve("tiny").tokenizer


@given(st.text())
@example("<end><|endoftext|><asst>")
@example('Ünïcode, tabs\tand "quotes": 10/12/2026 日本 \u200d\x00 \x85')
def test_text_round_trips_without_special_ids(text):
    ids = TOKENIZER.encode(text)
    assert TOKENIZER.decode(ids) == text
    assert all(len(SPECIAL) <= i < TOKENIZER.size for i in ids)


def test_special_looking_text_is_plain_text():
    for name in SPECIAL:
        assert len(TOKENIZER.encode(name)) > 1
        assert TOKENIZER.decode(TOKENIZER.encode(name)) == name


def test_shipped_vocabulary(tiny):
    assert TOKENIZER.size == 964 == tiny.config["vocabulary"]
    assert TOKENIZER.identity == hashlib.sha256((tiny.folder / "merges.json").read_bytes()).hexdigest()


def test_lone_surrogates_are_refused():
    with pytest.raises(DataError) as caught:
        TOKENIZER.encode("broken \ud800 text")
    assert caught.value.code == "lone_surrogate"


def test_text_without_spaces_costs_no_quadratic_time():
    start = time.process_time()
    TOKENIZER.encode("a" * 200_000)
    assert time.process_time() - start < 2


def test_merges_do_not_depend_on_hash_order(pinned):
    code = (
        "import json;from ftspec.engine.tokenizer import train_merges;from ftspec.engine.mixture import rows;"
        "from ftspec.engine.streams import Stream;"
        "texts=[m.get('content') or '' for x in rows(Stream('t'),200) for m in x['messages']];"
        "print(json.dumps(train_merges(texts,150)))"
    )
    first, second = (pinned(code, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert json.loads(first) == json.loads(second)
    assert len(json.loads(first)) == 150


def test_ties_go_to_the_larger_pair():
    texts = ["ab", "cd", "ab", "cd"]
    assert Tokenizer(train_merges(texts, 1)).bytes_of[-1] == b"cd"
    assert train_merges(texts, 2) == train_merges(texts[::-1], 2)


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "merges.json"
    path.write_text("[]")
    with pytest.raises(DataError, match=r"merges\.json"):
        Tokenizer.load(path)


def test_count_is_the_length_of_the_encoding():
    texts = ["", "one two three", "日本"]
    assert list(TOKENIZER.count(texts)) == [len(TOKENIZER.encode(text)) for text in texts]
