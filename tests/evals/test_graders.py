"""Golden tables of the graders, and that none of them ever raises over what a model says."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.evals.graders import GRADERS, grade
from ftspec.spec.suite import JsonFields, LabelGrader, RegexGrader, StringCheck, ToolCallGrader

LABELS = ["billing", "card", "other"]


def text_scope(text: str | None, **item: Any) -> dict[str, Any]:
    return {"item": item, "sample": {} if text is None else {"output_text": text}}


STRING = [
    ("eq", "yes", "yes", 1),
    ("eq", "yes ", "yes", 0),
    ("eq", "Yes", "yes", 0),
    ("eq", "", "", 1),
    ("eq", "1", 1, 1),
    ("eq", "1.0", 1, 0),
    ("eq", '{"a":1,"b":2}', {"b": 2, "a": 1}, 1),
    ("eq", "{{ item.reference }}", "{{ item.reference }}", 1),
    ("eq", "null", None, 1),
    ("ne", "yes", "yes", 0),
    ("ne", "no", "yes", 1),
    ("like", "the answer is 42.", "42", 1),
    ("like", "42", "the answer is 42", 0),
    ("like", "The Answer", "answer", 0),
    ("ilike", "The Answer", "answer", 1),
    ("ilike", "STRASSE", "straße", 1),
    ("like", "anything", "", None),
    ("ilike", "anything", "", None),
    ("eq", None, "yes", 0),
    ("ne", None, "yes", 0),
]


@pytest.mark.parametrize(("operation", "given_text", "reference", "expected"), STRING)
def test_string_check(operation: Any, given_text: str | None, reference: Any, expected: float | None) -> None:
    found = grade(StringCheck(type="string_check", operation=operation), text_scope(given_text, reference=reference))
    assert found.score == expected
    assert (found.error is not None) == (expected is None)
    assert found.label == ("missing" if given_text is None else None)


LABEL = [
    ({}, "card", "card", 1, "card"),
    ({}, " card\n", "card", 1, "card"),
    ({}, "Card", "card", 0, "__none__"),
    ({}, "billing", "card", 0, "billing"),
    ({}, "I think: card", "card", 0, "__none__"),
    ({}, "", "card", 0, "__none__"),
    ({}, None, "card", 0, "missing"),
    ({}, "rare", "rare", 1, "rare"),
    ({}, "rare", "card", 0, "__none__"),
    ({}, "card", "", None, None),
    ({}, "card", None, None, None),
    ({"match": "casefold"}, "CARD", "card", 1, "card"),
    ({"match": "casefold"}, "Billing", "card", 0, "billing"),
    ({"match": "casefold"}, "CARDS", "card", 0, "__none__"),
    ({"match": "pattern", "pattern": r"queue: (?P<label>\w+)"}, "so, queue: Card!", "card", 1, "card"),
    ({"match": "pattern", "pattern": r"queue: (\w+)"}, "queue: other", "card", 0, "other"),
    ({"match": "pattern", "pattern": r"card|other"}, "it is a card issue", "card", 1, "card"),
    ({"match": "pattern", "pattern": r"queue: (\w+)"}, "no idea", "card", 0, "__none__"),
    ({"match": "pattern", "pattern": "^(a|aa)+$"}, "a" * 45 + "b", "card", None, None),
    ({"labels": ["no"]}, "card", "card", 1, "card"),
]


@pytest.mark.parametrize(("extra", "given_text", "reference", "expected", "label"), LABEL)
def test_label(extra: Any, given_text: Any, reference: Any, expected: Any, label: Any) -> None:
    spec = LabelGrader(**({"type": "label", "labels": LABELS} | extra))
    found = grade(spec, text_scope(given_text, reference=reference))
    assert found.score == expected
    assert found.label == label
    assert (found.error is not None) == (expected is None)


def test_what_the_item_lacks_is_an_error_and_never_a_zero() -> None:
    for spec in (
        StringCheck(type="string_check"),
        LabelGrader(type="label", labels=LABELS),
        JsonFields(type="json_fields", fields={"a": "exact"}),
        ToolCallGrader(type="tool_call"),
    ):
        found = grade(spec, text_scope("{}"))
        assert found.score is None
        assert found.passed is None
        assert "the item has no" in str(found.error)


REGEX = [
    (r"\d{4}", "in 2024", 1),
    (r"^\d{4}$", "in 2024", 0),
    (r"(?i)YES", "yes", 1),
    (r"\p{Lu}", "äÖ", 1),
    (r"(?<year>\d+)", "7", 1),
    ("", "", 1),
    ("(", "x", None),
    ("^(a|aa)+$", "a" * 45 + "b", None),
    ("x", None, 0),
]


@pytest.mark.parametrize(("pattern", "given_text", "expected"), REGEX)
def test_regex(pattern: str, given_text: str | None, expected: float | None) -> None:
    started = time.monotonic()
    found = grade(RegexGrader(type="regex", pattern=pattern), text_scope(given_text))
    assert time.monotonic() - started < 3
    assert found.score == expected
    assert (found.error is not None) == (expected is None)


FIELDS = {"total": "number", "vendor": "casefold", "id": "exact"}
GOLD = {"total": 1250, "vendor": "ACME", "id": "x1"}
JSON = [
    ({"total": 1250, "vendor": "ACME", "id": "x1"}, 1.0, True, [3, 0, 0]),
    ({"total": 1250.0, "vendor": "acme ", "id": "x1"}, 1.0, True, [3, 0, 0]),
    ({"total": "1,250.00", "vendor": "ACME", "id": "x1"}, 1.0, True, [3, 0, 0]),
    ({"total": "about 1250", "vendor": "ACME", "id": "x1"}, 2 / 3, False, [2, 1, 1]),
    ({"total": True, "vendor": "ACME", "id": "x1"}, 2 / 3, False, [2, 1, 1]),
    ({"total": None, "vendor": "ACME", "id": "x1"}, 2 / 3, False, [2, 1, 1]),
    ({"total": 1250, "vendor": "ACME", "id": "X1"}, 2 / 3, False, [2, 1, 1]),
    ({"vendor": "ACME", "id": "x1"}, 2 / 3, False, [2, 0, 1]),
    ({}, 0.0, False, [0, 0, 3]),
    ({"total": 1, "vendor": "B", "id": "y"}, 0.0, False, [0, 3, 3]),
    ({"total": 1250, "vendor": "ACME", "id": "x1", "note": "hi"}, 1.0, False, [3, 0, 0]),
]


@pytest.mark.parametrize(("answer", "score", "passed", "counts"), JSON)
def test_json_fields(answer: dict[str, Any], score: float, passed: bool, counts: list[int]) -> None:
    spec = JsonFields(type="json_fields", fields=FIELDS)
    found = grade(spec, text_scope(json.dumps(answer), reference=GOLD))
    assert found.score == pytest.approx(score)
    assert found.passed is passed
    assert [sum(column) for column in zip(*found.parts["fields"].values(), strict=True)] == counts
    # A reference that is JSON text means the same as the object.
    assert grade(spec, text_scope(json.dumps(answer), reference=json.dumps(GOLD))) == found


@pytest.mark.parametrize(
    ("text", "label"),
    [("no JSON", "unparsable"), ("[1]", "unparsable"), (None, "missing"), ('{"total": 1', "unparsable")],
)
def test_an_answer_that_is_no_object_misses_every_field(text: str | None, label: str) -> None:
    found = grade(JsonFields(type="json_fields", fields=FIELDS), text_scope(text, reference=GOLD))
    assert (found.score, found.passed, found.label) == (0.0, False, label)
    assert found.parts == {"fields": {name: [0, 0, 1] for name in FIELDS}, "extra": 0}


def test_json_fields_extra_and_absent_on_both_sides() -> None:
    spec = JsonFields(type="json_fields", fields=FIELDS, extra="ignore")
    found = grade(spec, text_scope('{"total": 1250, "note": 1}', reference={"total": 1250}))
    assert (found.score, found.passed, found.parts["extra"]) == (1.0, True, 0)
    counted = grade(spec.model_copy(update={"extra": "count"}), text_scope('{"a": 1, "b": 2}', reference={}))
    assert (counted.score, counted.passed, counted.parts["extra"]) == (1.0, False, 2)


@pytest.mark.parametrize(
    ("kind", "one", "other", "equal"),
    [
        ("date", "2024-03-01", "2024-03-01T10:00:00Z", True),
        ("date", "01.03.2024", "2024-03-01", False),
        ("fuzzy", "Deutsche Bahn AG", "deutsche bahn ag.", True),
        ("fuzzy", "Deutsche Bahn AG", "Lufthansa", False),
        ("set", ["a", "b", "b"], ["b", "a"], True),
        ("set", ["a"], ["a", "b"], False),
        ("exact", 1, 1.0, True),
        ("exact", True, 1, False),
        ("exact", {"a": [1]}, {"a": [1.0]}, True),
        ("number", "1e3", 1000, True),
        ("number", float(2**60), 2**60, True),
    ],
)
def test_ways_to_be_equal(kind: Any, one: Any, other: Any, equal: bool) -> None:
    spec = JsonFields(type="json_fields", fields={"f": kind})
    assert grade(spec, text_scope(json.dumps({"f": one}), reference={"f": other})).passed is equal


def call(name: str, arguments: Any) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"type": "function", "function": {"name": name, "arguments": text}}


def tool_scope(calls: list[Any], expected: Any, tools: Any = None) -> dict[str, Any]:
    return {"item": {"expected_calls": expected}, "sample": {"output_tools": calls}, "tools": tools}


A, B = {"name": "a", "arguments": {"x": 1}}, {"name": "b", "arguments": {}}
TOOL = [
    ([], [], 1.0, 1.0),
    ([call("a", {"x": 1})], [A], 1.0, 1.0),
    ([call("a", {"x": 1.0})], [A], 1.0, 1.0),
    ([call("a", {"x": "1"})], [A], 0.0, 1.0),
    ([call("a", {"x": True})], [A], 0.0, 1.0),
    ([call("a", {"x": 1, "y": 2})], [A], 0.0, 1.0),
    ([call("a", json.dumps(json.dumps({"x": 1})))], [A], 0.0, 1.0),
    ([call("a", "[1]")], [A], 0.0, 1.0),
    ([call("a", "{")], [A], 0.0, 1.0),
    ([call("a", "")], [A], 0.0, 1.0),
    ([call("b", {}), call("a", {"x": 1})], [A, B], 1.0, 1.0),
    ([call("a", {"x": 1})], [A, B], 2 / 3, 2 / 3),
    ([call("a", {"x": 1}), call("a", {"x": 1})], [A], 2 / 3, 2 / 3),
    ([call("a", {"x": 1}), call("a", {"x": 1})], [A, A], 1.0, 1.0),
    ([call("c", {})], [], 0.0, 0.0),
    ([], [A], 0.0, 0.0),
    ([call("b", {"x": 1})], [A], 0.0, 0.0),
    ([{"function": None}], [A], 0.0, 0.0),
    ([call("a", {"x": 1})], [{"function": {"name": "a", "arguments": '{"x": 1}'}}], 1.0, 1.0),
    ([call("a", {"x": 1})], '[{"name": "a", "arguments": {"x": 1}}]', 1.0, 1.0),
]


@pytest.mark.parametrize(("calls", "expected", "f1", "name_f1"), TOOL)
def test_tool_call(calls: list[Any], expected: Any, f1: float, name_f1: float) -> None:
    found = grade(ToolCallGrader(type="tool_call"), tool_scope(calls, expected))
    assert found.score == pytest.approx(f1)
    assert found.passed is (f1 == 1.0)
    assert found.parts["name_f1"] == pytest.approx(name_f1)
    assert found.parts["no_call"] == (None if expected else float(not calls))


@pytest.mark.parametrize("expected", ["nonsense", 3, [1], [{"name": 1}], [{"name": "a", "arguments": "x"}], None])
def test_expected_calls_that_make_no_sense_are_an_error(expected: Any) -> None:
    assert grade(ToolCallGrader(type="tool_call"), tool_scope([], expected)).score is None


def test_order_close_numbers_and_ignored_arguments() -> None:
    spec = ToolCallGrader.model_validate({"type": "tool_call", "order": "same"})
    calls = [call("b", {}), call("a", {"x": 1})]
    assert grade(spec, tool_scope(calls, [A, B])).score == pytest.approx(0.5)
    rules = {"type": "tool_call", "arguments": {"numbers": "close", "ignore": ["request_id"]}}
    spec = ToolCallGrader.model_validate(rules)
    near = [call("a", {"x": 1.0000001, "request_id": "r9"})]
    assert grade(spec, tool_scope(near, [A])).score == 1.0
    assert grade(ToolCallGrader(type="tool_call"), tool_scope(near, [A])).score == 0.0


def test_arguments_are_checked_against_the_declared_function() -> None:
    schema = {
        "type": "object",
        "properties": {"x": {"type": "integer"}, "s": {"type": "string", "pattern": "^(a|aa)+$"}},
        "required": ["x"],
    }
    tools = [{"type": "function", "function": {"name": "a", "parameters": schema}}]
    good, bad, unknown = call("a", {"x": 1}), call("a", {"x": "1"}), call("z", {})
    found = grade(ToolCallGrader(type="tool_call"), tool_scope([good, bad, unknown, call("a", "nope")], [A], tools))
    assert found.parts["args_valid"] == 0.25
    assert len(found.parts["problems"]) == 3
    slow = call("a", {"x": 1, "s": "a" * 45 + "b"})
    assert grade(ToolCallGrader(type="tool_call"), tool_scope([slow], [A], tools)).parts["args_valid"] == 0.0
    remote = [{"function": {"name": "a", "parameters": {"$ref": "http://127.0.0.1:9/schema.json"}}}]
    assert (
        "cannot be used"
        in grade(ToolCallGrader(type="tool_call"), tool_scope([good], [A], remote)).parts["problems"][0]
    )


def test_an_inserted_template_stays_text() -> None:
    spec = StringCheck(type="string_check", operation="like", reference="{{ item.reference }}")
    found = grade(spec, text_scope("{{ item.reference }}", reference="secret"))
    assert found.score == 0.0


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SPECS = [
    StringCheck(type="string_check", operation="ilike"),
    LabelGrader(type="label", labels=LABELS, match="casefold"),
    RegexGrader(type="regex", pattern=r"\w+"),
    JsonFields(type="json_fields", fields={"a": "number", "b": "set", "c": "date"}, reference="item.gold"),
    ToolCallGrader(type="tool_call"),
]


@given(st.sampled_from(SPECS), ANY_JSON, ANY_JSON, st.text(max_size=30), st.booleans())
@settings(max_examples=200, deadline=None)
def test_no_answer_and_no_item_makes_a_grader_raise(spec: Any, one: Any, other: Any, text: str, as_json: bool) -> None:
    answer = json.dumps(one) if as_json else text
    tools = [{"function": {"name": "f", "arguments": answer}}, one]
    scope = {
        "item": {"reference": other, "gold": other, "expected_calls": other},
        "sample": {"output_text": answer, "output_tools": tools},
        "tools": None,
    }
    found = grade(spec, scope)
    assert (found.score is None) == (found.error is not None)
    assert found.score is None or 0 <= found.score <= 1
    assert found == grade(spec, scope)


def test_the_table_is_closed_over_the_spec() -> None:
    assert set(GRADERS) == {spec.type for spec in SPECS}
