"""YAML written by `new` is read back as the same value by OmegaConf, the reader of specs."""

import io
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from ftspec.workflows.importers.layout import block

words = st.sampled_from(["010", "yes", "1:30", "1e-5", "null", "a b", "a: b", "# x", "{{ x }}", "- a", "=", "0x1", "~"])
texts = words | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029"), max_size=12
)
scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | texts
scalars |= st.floats(1e-12, 1e12) | st.just(1e-05)
names = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=8
)


@given(st.dictionaries(names, values, min_size=1, max_size=4))
def test_round_trip(value: dict[str, Any]) -> None:
    text = block(value)
    assert yaml.safe_load(text) == value
    if "${" not in text:
        assert OmegaConf.to_container(OmegaConf.load(io.StringIO(text))) == value
