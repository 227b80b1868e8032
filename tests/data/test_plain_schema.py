"""The fast yes is never wrong: whatever it accepts, jsonschema accepts too."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.data.contract import validator_of
from ftspec.data.plain_schema import surely_valid

names = st.sampled_from(["a", "b", "c"])
plain = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.5, 1.0])
    | st.sampled_from(["x", "y", "", "ö😀x"])
)
values = st.recursive(plain, lambda v: st.lists(v, max_size=2) | st.dictionaries(names, v, max_size=3), max_leaves=6)
bounds = st.sampled_from([-1, 0, 1, 0.5, 2])
types = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
leaves = st.fixed_dictionaries(
    {},
    optional={
        "type": types,
        "enum": st.just(["x", "z"]),
        "description": st.just("d"),
        **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), bounds),
        **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), st.integers(0, 2)),
        "multipleOf": st.just(2),
    },
)
schemas = st.recursive(
    leaves | st.booleans(),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": types,
            "properties": st.dictionaries(names, inner, max_size=2),
            "required": st.lists(names, max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
        },
    ),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(schemas, values)
def test_what_it_accepts_is_valid(schema: Any, value: Any) -> None:
    if surely_valid(schema, value):
        assert validator_of(schema).is_valid(value)


def test_it_says_yes_to_what_functions_look_like() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "where"}, "unit": {"enum": ["c", "f"]}},
        "required": ["city"],
        "additionalProperties": False,
    }
    assert surely_valid(schema, {"city": "Bern", "unit": "c"})
    assert not surely_valid(schema, {"unit": "c"})
    assert not surely_valid(schema, {"city": "Bern", "unit": "k"})
    assert not surely_valid(schema, {"city": 1})
    assert not surely_valid(schema, {"city": "Bern", "more": 1})
    assert not surely_valid({"type": "string", "pattern": "x"}, "x")


def test_bounds_are_plain() -> None:
    schema = {
        "properties": {
            "query": {"type": "string", "minLength": 1, "maxLength": 2},
            "limit": {"type": "integer", "minimum": 0, "exclusiveMaximum": 100},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 2},
        }
    }
    assert surely_valid(schema, {"query": "😀ö", "limit": 99, "tags": ["x"]})
    for wrong in ({"query": ""}, {"query": "abc"}, {"limit": -1}, {"limit": 100}, {"tags": []}, {"tags": ["x"] * 3}):
        assert not surely_valid(schema, wrong)
    assert surely_valid({"minimum": 1, "minLength": 3, "minItems": 3}, False)
    assert not surely_valid({"minimum": "1"}, 2)
