"""Resolved suites: defaults, problems, and what is in the eval digest."""

import json
import subprocess
import sys
from typing import Any

import pytest

from ftspec.evals.suites import projection, resolve, to_dict
from ftspec.spec.digests import digest
from ftspec.spec.errors import UnsafeError
from ftspec.spec.suite import Arm, Suite

THREE_LINES: dict[str, Any] = {"graders": {"queue": {"type": "label"}}}


def codes(resolved: Any, severity: str | None = None) -> list[str]:
    return [problem.code for problem in resolved.problems if severity in (None, problem.severity)]


def test_three_lines_are_a_whole_suite(suite_of: Any) -> None:
    resolved = suite_of()
    assert list(resolved.arms) == ["base", "few_shot", "tuned", "majority"]
    assert resolved.trained_arms == ("tuned",)
    assert resolved.baseline_arms == ("base", "few_shot", "majority")
    assert (resolved.baseline, resolved.primary, resolved.majority) == ("few_shot", "queue.accuracy", "billing")
    assert resolved.suite.graders["queue"].labels == ["billing", "card", "other"]
    assert len(resolved.items) == 30
    assert len(resolved.shots["few_shot"]) == 5
    shown = {shot[0]["content"] for shot in resolved.shots["few_shot"]}
    assert not shown & {item.fields["messages"][-1]["content"] for item in resolved.items}
    assert resolved.problems == ()
    assert [resolved.model_of(arm, base="b", run="r") for arm in resolved.arms] == ["b", "b", "r", None]


def test_the_spelt_out_form_has_the_same_digest(suite_of: Any) -> None:
    resolved = suite_of()
    spelt = to_dict(resolved)
    assert json.loads(json.dumps(spelt)) == spelt
    again = suite_of(spelt)
    assert again.suite == resolved.suite
    assert digest("eval", projection(again)) == digest("eval", projection(resolved))


def test_an_explicit_null_prompt_survives_spelling_out(suite_of: Any) -> None:
    arms = {"base": {"model": "@base"}, "bare": {"model": "@base", "prompt": None}}
    resolved = suite_of(THREE_LINES | {"arms": arms, "compare": {"baseline": "base"}})
    assert projection(resolved)["arms"] == {"base": {"model": "@base"}, "bare": {"model": "@base", "prompt": None}}
    assert projection(suite_of(to_dict(resolved))) == projection(resolved)


@pytest.mark.parametrize(
    ("grader", "primary"),
    [
        ({"type": "label"}, "g.accuracy"),
        ({"type": "string_check"}, "g.rate"),
        ({"type": "regex", "pattern": "x"}, "g.rate"),
        ({"type": "json_fields", "fields": {"a": "exact"}}, "g.micro_f1"),
        ({"type": "tool_call"}, "g.f1"),
    ],
)
def test_the_first_metric_of_the_first_grader_decides(suite_of: Any, grader: Any, primary: str) -> None:
    resolved = suite_of({"graders": {"g": grader, "later": {"type": "label"}}})
    assert resolved.primary == primary


def test_without_a_label_grader_there_is_no_majority(suite_of: Any) -> None:
    resolved = suite_of({"graders": {"g": {"type": "string_check"}}})
    assert "majority" not in resolved.arms


def test_the_baseline_is_the_only_plain_base_arm(suite_of: Any) -> None:
    arms: dict[str, Any] = {"plain": {"model": "@base"}, "tuned": {"model": "@run"}}
    assert suite_of(THREE_LINES | {"arms": arms}).baseline == "plain"
    two = suite_of(THREE_LINES | {"arms": arms | {"other": {"model": "@base", "prompt": "P"}}})
    assert two.baseline is None
    assert codes(two, "warning") == ["no_baseline"]


def test_baselines_join_every_suite(suite_of: Any) -> None:
    resolved = suite_of(baselines={"big": Arm(model="gpt-x")})
    assert resolved.arms["big"].model == "gpt-x"
    assert "big" in resolved.baseline_arms
    assert codes(suite_of(baselines={"base": Arm(model="gpt-x")})) == ["arm_twice"]


def with_arm(**arm: Any) -> dict[str, Any]:
    return THREE_LINES | {"arms": {"base": {"model": "@base"}, "x": arm}, "compare": {"baseline": "base"}}


BAD: list[tuple[dict[str, Any], str, str]] = [
    (with_arm(model=""), "arm_model", "evals.routing.arms.x.model"),
    (with_arm(model="@rum"), "arm_model", "evals.routing.arms.x.model"),
    (with_arm(model="@run", prompt=""), "empty_prompt", "evals.routing.arms.x.prompt"),
    (with_arm(model="@run", prompt={"file": "p.md"}), "file_ref", "evals.routing.arms.x.prompt"),
    (THREE_LINES | {"arms": {}}, "empty_suite", "evals.routing.arms"),
    (THREE_LINES | {"metrics": {"primary": "quue.accuracy"}}, "unknown_metric", "evals.routing.metrics.primary"),
    (THREE_LINES | {"metrics": {"primary": "queue.f1"}}, "unknown_metric", "evals.routing.metrics.primary"),
    (THREE_LINES | {"metrics": {"also": ["queue.nope"]}}, "unknown_metric", "evals.routing.metrics.also[0]"),
    (THREE_LINES | {"compare": {"baseline": "bse"}}, "unknown_arm", "evals.routing.compare.baseline"),
    ({"graders": {"q": {"type": "label", "labels": []}}}, "no_labels", "evals.routing.graders.q.labels"),
    (
        {"graders": {"q": {"type": "label", "labels": ["a", "A"], "match": "casefold"}}},
        "labels_alike",
        "evals.routing.graders.q.labels",
    ),
    ({"graders": {"q": {"type": "label", "match": "pattern"}}}, "label_pattern", "evals.routing.graders.q.match"),
    ({"graders": {"q": {"type": "label", "pattern": "x"}}}, "label_pattern", "evals.routing.graders.q.match"),
    ({"graders": {"q": {"type": "regex", "pattern": "("}}}, "pattern", "evals.routing.graders.q.pattern"),
    (
        {"graders": {"q": {"type": "string_check", "input": "{{ item.x"}}},
        "template",
        "evals.routing.graders.q.input",
    ),
    (
        {"graders": {"q": {"type": "string_check", "input": "{{ itm.x }}"}}},
        "template_root",
        "evals.routing.graders.q.input",
    ),
    (
        THREE_LINES | {"request": {"messages": [{"role": "user", "content": "{{ sample.output_text }}"}]}},
        "template_root",
        "evals.routing.request.messages[0].content",
    ),
    (
        {"graders": {"g": {"type": "string_check"}}, "arms": {"b": {"model": "@base"}, "m": {"model": "@majority"}}},
        "no_majority",
        "evals.routing.arms.m.model",
    ),
    (THREE_LINES | {"data": {"part": "test", "cluster": "nope"}}, "no_cluster", "evals.routing.data.cluster"),
]


@pytest.mark.parametrize(("spec", "code", "path"), BAD)
def test_problems_have_a_code_and_a_place(suite_of: Any, spec: dict[str, Any], code: str, path: str) -> None:
    resolved = suite_of(spec)
    assert (code, path) in [(problem.code, problem.path) for problem in resolved.problems]
    assert code in codes(resolved, "error")


def test_warnings_do_not_stop_a_suite(suite_of: Any) -> None:
    assert codes(suite_of(THREE_LINES | {"arms": {"t": {"model": "@run"}}}), "warning") == ["no_base_arm"]
    assert codes(suite_of(THREE_LINES | {"samples": 3}), "warning") == ["equal_samples"]
    arms = {"base": {"model": "@base", "shots": {"k": 60}}, "t": {"model": "@run"}}
    many = suite_of(THREE_LINES | {"arms": arms, "compare": {"baseline": "base"}})
    assert codes(many, "warning") == ["few_shots"]
    assert len(many.shots["base"]) == 35


def test_no_items_is_an_empty_suite(suite_of: Any, part: Any) -> None:
    assert codes(suite_of(items=part("empty", []))) == ["empty_suite"]
    assert codes(suite_of(items=None)) == ["empty_suite"]


def test_files_are_read_where_they_are_named(suite_of: Any, tmp_path: Any) -> None:
    (tmp_path / "items.jsonl").write_text('{"key": "a", "q": "?", "reference": "card"}\n')
    spec = {
        "data": {"path": "items.jsonl", "id": "key"},
        "request": {
            "messages": [{"role": "user", "content": {"file": "ask.md"}}],
            "params": {"tools": {"file": "tools.json"}},
        },
        "arms": {"base": {"model": "@base", "prompt": {"file": "ask.md"}}},
        "graders": {"queue": {"type": "label"}},
    }
    texts = {"ask.md": "Q: {{ item.q }}", "tools.json": '[{"type": "function"}]'}
    resolved = suite_of(spec, root=tmp_path, read=texts.__getitem__)
    assert codes(resolved, "error") == []
    assert resolved.items[0].id == "a"
    assert resolved.suite.request.messages[0].content == "Q: {{ item.q }}"
    assert resolved.suite.request.params.tools == [{"type": "function"}]
    assert "file" not in json.dumps(projection(resolved))
    texts["tools.json"] = "{}"
    assert "tools_json" in codes(suite_of(spec, root=tmp_path, read=texts.__getitem__))


@pytest.mark.parametrize("path", ["../x.jsonl", "/etc/hostname", "link.jsonl"])
def test_items_outside_the_project_are_unsafe(suite_of: Any, tmp_path: Any, path: str) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "x.jsonl").write_text("{}\n")
    (tmp_path / "project" / "link.jsonl").symlink_to(tmp_path / "x.jsonl")
    with pytest.raises(UnsafeError, match="outside_project"):
        suite_of(THREE_LINES | {"data": {"path": path}}, root=tmp_path / "project")


def test_what_decides_scores_is_in_the_digest_and_nothing_else(suite_of: Any, part: Any) -> None:
    def found(spec: dict[str, Any] | None = None, **more: Any) -> str:
        return digest("eval", projection(suite_of(THREE_LINES | (spec or {}), **more)))

    same = found()
    for neutral in (
        {"compare": {"margin": 0.05, "alpha": 0.01, "baseline": "base"}},
        {"max_error_rate": 0.5},
        {"data": {"part": "test"}},
        {"metrics": {"primary": "queue.accuracy"}},
    ):
        assert found(neutral) == same
    changed = [
        found({"samples": 2}),
        found({"request": {"params": {"temperature": 0.5}}}),
        found({"request": {"parse": "json"}}),
        found({"request": {"messages": [{"role": "user", "content": "{{ item.reference }}"}]}}),
        found({"graders": {"queue": {"type": "label", "match": "casefold"}}}),
        found({"metrics": {"also": ["queue.macro_f1"]}}),
        found({"data": {"part": "test", "cluster": "customer"}}),
        found(n=29),
        found(baselines={"big": Arm(model="gpt-x")}),
        found(references={"card": 14, "billing": 13, "other": 13}),
        found(train=part("train2", [])),
        found({"arms": {"base": {"model": "@base", "prompt": "P"}}}),
    ]
    assert len({same, *changed}) == len(changed) + 1


def test_loss_weights_do_not_touch_the_eval_digest(suite_of: Any, part: Any) -> None:
    def train(weight: int) -> Any:
        return [
            {
                "messages": [
                    {"role": "user", "content": f"t{i}"},
                    {"role": "assistant", "content": "card", "weight": weight},
                ]
            }
            for i in range(20)
        ]

    one, two = (suite_of(train=part(f"train{w}", train(w))) for w in (0, 1))
    assert digest("eval", projection(one)) == digest("eval", projection(two))


def test_golden_digest(part: Any) -> None:
    # A changed value here re-identifies every past score: it needs an "identity change" line in CHANGELOG.md.
    suite = Suite.model_validate({"graders": {"queue": {"type": "label"}}})
    items = part("test", [{"id": "a", "messages": [{"role": "user", "content": "q"}], "reference": "x"}])
    train = part("train", [{"messages": [{"role": "user", "content": "t"}, {"role": "assistant", "content": "x"}]}])
    resolved = resolve("s", suite, references=[("x", 2), ("y", 1)], items=items, train=train)
    assert digest("eval", projection(resolved)) == GOLDEN


GOLDEN = "sha256:e1cd7f2e417f06074a8db4b6aff1fa018b17589ab876df69932eda4f51b2fe08"


def test_importing_suites_is_light() -> None:
    code = (
        "import sys, ftspec.evals.suites, ftspec.evals.compare, ftspec.evals.ask;"
        "heavy = {'openai', 'numpy', 'rapidfuzz', 'jsonschema', 'regex', 'hydra', 'scipy', 'httpx2', 'splintr'};"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
