"""Metrics against their definitions, their intervals, and scores.json."""

import json
import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.evals.grade import GradeRow, grade_responses, grader_digest, read_grades
from ftspec.evals.metrics import (
    Metric,
    Values,
    balanced_accuracy,
    confusion,
    estimate,
    macro_f1,
    metrics_of,
    micro_f1,
    values_of,
)
from ftspec.evals.responses import Response, majority_responses, write_rows
from ftspec.evals.scores import read_scores, score
from ftspec.evals.statistics.wilson import wilson
from ftspec.spec.errors import DataError
from ftspec.spec.suite import JsonFields, LabelGrader, RegexGrader, StringCheck, ToolCallGrader

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "__none__"])), min_size=1)


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_class_metrics_equal_their_definitions(pairs: list[tuple[str, str]]) -> None:
    drawn = Counter(pairs)
    recalls, f1s = [], []
    for name in {r for r, _ in pairs} | {p for _, p in pairs} - {"__none__"}:
        tp = sum(r == p == name for r, p in pairs)
        fn = sum(r == name != p for r, p in pairs)
        fp = sum(p == name != r for r, p in pairs)
        f1s.append(2 * tp / (2 * tp + fp + fn))
        if tp + fn:
            recalls.append(tp / (tp + fn))
    assert balanced_accuracy(drawn) == pytest.approx(sum(recalls) / len(recalls))
    assert macro_f1(drawn) == pytest.approx(sum(f1s) / len(f1s))
    table = confusion(pairs)
    assert sum(sum(row.values()) for row in table.values()) == len(pairs)
    assert list(table) == sorted(table)


def test_f1_over_fields_is_pooled_not_averaged() -> None:
    drawn = Counter({((1, 0, 0), (0, 1, 1)): 3, ((0, 0, 1), (1, 0, 0)): 1})
    assert micro_f1(drawn) == pytest.approx(2 * 4 / (2 * 4 + 3 + 4))
    assert micro_f1(Counter()) is None


def test_every_grader_has_metrics_and_the_first_is_its_own() -> None:
    firsts = {
        "rate": [StringCheck(type="string_check"), RegexGrader(type="regex", pattern="x")],
        "accuracy": [LabelGrader(type="label")],
        "micro_f1": [JsonFields(type="json_fields", fields={"a": "exact"})],
        "f1": [ToolCallGrader(type="tool_call")],
    }
    for name, specs in firsts.items():
        for spec in specs:
            found = metrics_of(spec)
            assert next(iter(found)) == name
            for metric in found.values():
                assert metric.direction == "higher"
                assert metric.unit == "share"
                assert (metric.level == "corpus") == (metric.statistic is not None)


def item_values(values: list[float], clusters: dict[str, str] | None = None) -> Values:
    metric = metrics_of(StringCheck(type="string_check"))["rate"]
    return values_of("g.rate", metric, [(f"i{n}", value, {}) for n, value in enumerate(values)], clusters)


def test_rates_means_and_clusters() -> None:
    rate = estimate(item_values([1.0] * 30 + [0.0] * 70))
    assert (rate.low, rate.high) == wilson(30, 100)
    assert (rate.value, rate.n, rate.method) == (0.3, 100, "wilson")
    mean = estimate(item_values([0.5, 1.0, 0.25, 0.75]))
    assert mean.method == "t"
    clusters = {f"i{n}": f"c{n // 10}" for n in range(100)}
    wide = estimate(item_values([1.0] * 30 + [0.0] * 70, clusters))
    assert wide.method == "cluster t"
    assert wide.high is not None
    assert rate.high is not None
    assert wide.high > rate.high
    assert estimate(item_values([])).value is None
    assert estimate(item_values([0.5])).low is None


def test_nothing_varies_but_the_interval_has_a_width() -> None:
    clusters = {f"i{n}": f"c{n // 10}" for n in range(40)}
    found = estimate(item_values([1.0] * 40, clusters))
    assert (found.low, found.high) == wilson(4, 4)
    metric = metrics_of(LabelGrader(type="label"))["macro_f1"]
    parts = {"reference": "a", "predicted": "a"}
    perfect = estimate(values_of("g.macro_f1", metric, [(f"i{n}", 1.0, parts) for n in range(50)]))
    assert perfect.value == 1.0
    assert perfect.low == pytest.approx(wilson(50, 50)[0])


def test_samples_are_averaged_within_the_item() -> None:
    metric = Metric("item", lambda score, parts: score)
    found = values_of("g", metric, [("a", 1.0, {}), ("a", 0.0, {}), ("b", 1.0, {}), ("c", None, {})])
    assert found.by_id == {"a": 0.5, "b": 1.0}


def test_the_interval_of_a_corpus_metric_covers() -> None:
    stream = random.Random(8)
    metric = metrics_of(LabelGrader(type="label"))["balanced_accuracy"]
    inside = 0
    for _ in range(60):
        answers = []
        for n in range(120):
            reference = "ab"[n % 2]
            predicted = reference if stream.random() < 0.8 else "ba"[n % 2]
            answers.append((f"i{n}", 1.0, {"reference": reference, "predicted": predicted}))
        found = estimate(values_of("g", metric, answers), draws=300)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.8 <= found.high
    assert inside >= 51


def answered(resolved: Any, arm: str, texts: Any) -> list[Response]:
    return [
        Response(id=item.id, arm=arm, sample=sample, key="k", text=texts(item, sample))
        for item in resolved.items
        for sample in range(resolved.suite.samples)
    ]


def test_scores_json(suite_of: Any, tmp_path: Path) -> None:
    spec = {"graders": {"queue": {"type": "label"}}, "metrics": {"also": ["queue.balanced_accuracy"]}}
    resolved = suite_of(spec, n=100)
    responses = answered(resolved, "tuned", lambda item, s: item.fields["reference"] if int(item.id[1:]) % 4 else "?")
    responses[0] = Response(id=responses[0].id, arm="tuned", sample=0, key="k", error="timeout: x")
    responses += majority_responses("majority", resolved.items, resolved.majority)
    rows = grade_responses(resolved, reversed(responses))
    assert [row.arm for row in rows] == ["tuned"] * 100 + ["majority"] * 100
    found = score(resolved, rows, eval_digest="sha256:0", models={"tuned": "ft:x"})
    (tmp_path / "scores.json").write_bytes(found.to_json())
    assert read_scores(tmp_path / "scores.json") == found
    shape = json.loads(found.to_json())
    assert list(shape) == [
        "schema", "suite", "eval", "items", "samples", "primary", "baseline", "max_error_rate", "arms",
        "attempt", "items_file",
    ]  # fmt: skip
    tuned = shape["arms"]["tuned"]
    assert (tuned["n"], tuned["errors"], tuned["error_rate"], tuned["invalid"]) == (100, 1, 0.01, False)
    assert list(tuned["metrics"]) == ["queue.accuracy", "queue.balanced_accuracy"]
    accuracy = tuned["metrics"]["queue.accuracy"]
    # 24 of 99: the error is no zero, item 0 is not counted.
    assert accuracy == {
        "value": 75 / 99,
        "low": wilson(75, 99)[0],
        "high": wilson(75, 99)[1],
        "n": 99,
        "method": "wilson",
    }
    assert tuned["confusion"]["queue"]["billing"]["__none__"] == 8
    assert tuned["model"] == "ft:x"
    assert shape["arms"]["majority"]["metrics"]["queue.accuracy"]["value"] == pytest.approx(0.34)
    assert found.to_json() == score(resolved, rows, eval_digest="sha256:0", models={"tuned": "ft:x"}).to_json()


def test_too_many_errors_make_an_arm_invalid_and_missing_answers_are_errors(suite_of: Any) -> None:
    resolved = suite_of(n=100)
    responses = answered(resolved, "tuned", lambda item, s: "card")[:97]
    arm = score(resolved, grade_responses(resolved, responses), eval_digest="d").arms["tuned"]
    assert (arm.errors, arm.invalid) == (3, True)
    empty = score(resolved, [], eval_digest="d", arms=["tuned"]).arms["tuned"]
    assert (empty.error_rate, empty.metrics["queue.accuracy"].value) == (1.0, None)


def test_grades_are_rows_that_can_be_read_again(suite_of: Any, tmp_path: Path) -> None:
    resolved = suite_of({"graders": {"queue": {"type": "label"}, "any": {"type": "regex", "pattern": "."}}}, n=5)
    rows = grade_responses(resolved, answered(resolved, "base", lambda item, s: "card"))
    path = tmp_path / "grades.jsonl"
    write_rows(path, rows)
    assert read_grades(path) == rows
    assert [row.grader for row in rows[:2]] == ["queue", "any"]
    first = json.loads(path.read_text().splitlines()[0])
    assert list(first) == [
        "id", "arm", "sample", "key", "grader", "grader_digest", "score", "passed", "label", "parts", "error",
    ]  # fmt: skip
    # A changed grader grades stored answers again, with another digest and no call.
    changed = resolved.suite.graders["queue"].model_copy(update={"match": "casefold"})
    assert grader_digest(changed) != rows[0].grader_digest
    path.write_text("{}\n")
    with pytest.raises(DataError, match="not a grade"):
        read_grades(path)


def test_answers_of_strangers_are_left_out(suite_of: Any) -> None:
    resolved = suite_of(n=3)
    strange = [Response(id="zz", arm="base", sample=0, key="k", text="x")]
    strange.append(Response(id="i000", arm="zz", sample=0, key="k", text="x"))
    assert grade_responses(resolved, strange) == []


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), max_size=40))
@settings(max_examples=60, deadline=None)
def test_estimates_hold_their_value(answers: list[tuple[int, float]]) -> None:
    metric = Metric("item", lambda score, parts: score)
    found = estimate(values_of("g", metric, [(f"i{n}", value, {}) for n, value in answers]))
    if found.low is not None:
        assert found.value is not None
        assert found.high is not None
        assert 0 <= found.low <= found.value + 1e-12
        assert found.value - 1e-12 <= found.high <= 1
        assert not math.isnan(found.low)


def test_rows_are_plain_json() -> None:
    row = GradeRow(
        id="a", arm="b", sample=0, key="k", grader="g", grader_digest="d",
        score=1.0, passed=True, label=None, parts={"x": [1]}, error=None,
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(row), type=GradeRow) == row
