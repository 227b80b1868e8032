"""Levels of lints: every piece of advice has a code in the table, and levels change what is said, never an error."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment
from ftspec.spec.lint import LINTS, relevel, unknown_lints

PLAIN = {"model": "tiny", "dataset": {"sources": [{"path": "x.jsonl"}]}}


def advice_codes(repository: Path) -> Iterator[tuple[str, str]]:
    """Yield (file, code) of each problem that is made with a severity below error."""
    for path in (repository / "ftspec").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            for keyword in node.keywords:
                if keyword.arg == "severity" and isinstance(keyword.value, ast.Constant):
                    yield str(path.relative_to(repository)), str(node.args[0].value)


def test_every_advice_can_be_levelled(repository: Path) -> None:
    """A new lint belongs into the table of ftspec/spec/lint.py."""
    found = {code: path for path, code in advice_codes(repository)}
    assert len(found) >= 8
    assert {code: path for code, path in found.items() if code not in LINTS} == {}


def test_levels() -> None:
    chosen = Experiment.model_validate(
        {
            **PLAIN,
            "lint": {
                "dead_rule": "error",
                "few_rows": {"level": "ignore", "reason": "only 40 exist"},
                "leak": {"level": "hint", "reason": "they are greetings"},
            },
        }
    ).lint
    problems = [
        Problem("dead_rule", "x", severity="warning"),
        Problem("few_rows", "x", severity="warning"),
        Problem("leak", "x", severity="warning"),
        Problem("no_baseline", "x", severity="warning"),
        Problem("few_rows", "x"),
    ]
    assert [(one.code, one.severity) for one in relevel(problems, chosen)] == [
        ("dead_rule", "error"),
        ("leak", "hint"),
        ("no_baseline", "warning"),
        ("few_rows", "error"),
    ]


@pytest.mark.parametrize("level", ["ignore", {"level": "ignore"}, {"level": "ignore", "reason": ""}, {"level": "off"}])
def test_saying_less_needs_a_reason(level: object) -> None:
    with pytest.raises(ValidationError):
        Experiment.model_validate({**PLAIN, "lint": {"few_rows": level}})


def test_unknown_lints() -> None:
    assert [problem.fix for problem in unknown_lints(["few_row", "leak"])] == ["did you mean few_rows?"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keep_until", "2027-02-30"),
        ("keep_until", "soon"),
        ("tracking", "wandb"),
        ("store", {"url": "s3://x"}),
        ("store", "s3://key:secret@bucket/x"),
        ("store", "s3://"),
        ("store", "http://host/x"),
        ("store", "s3://bucket/x::file://y"),
        ("store", ""),
        ("store", "a\x1bb"),
        ("judge", {"model": "x"}),
        ("method", {"type": "grpo"}),
    ],
)
def test_what_nothing_obeys_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Experiment.model_validate({**PLAIN, key: value})
    for store in ("s3://bucket/path", "../shared/runs", "~/runs", None):
        assert Experiment.model_validate({**PLAIN, "store": store}).store == store
    assert Experiment.model_validate({**PLAIN, "keep_until": "2027-02-28", "method": {"type": "dpo"}})


def test_strict_lints_may_be_lowered_with_a_reason() -> None:
    chosen = Experiment.model_validate(
        {**PLAIN, "lint": {"secret": {"level": "hint", "reason": "the keys of a test host"}}}
    ).lint
    problems = [Problem("secret", "x"), Problem("leak_row", "x")]
    assert [(one.code, one.severity) for one in relevel(problems, chosen)] == [
        ("secret", "hint"),
        ("leak_row", "error"),
    ]
