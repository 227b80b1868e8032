"""Each gate of `.ftspec/policy.yaml`: kept by a harmless change, failed by the one it is for."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ftspec.spec.errors import SpecError
from ftspec.workflows.review.gates import read_policy

pytestmark = pytest.mark.usefixtures("composed_once")

DEMO = "experiments/demo.yaml"
POLICY = ".ftspec/policy.yaml"
Edit = Callable[[Any], object]
HOSTED = "provider: {profile: openai}\nmodel: gpt-4.1-nano-2025-04-14"


def seed(repo: Any) -> None:
    repo.replace(DEMO, "seed: 3", "seed: 4")


def repeat_items(repo: Any) -> None:
    rows = repo.read("data/rows.jsonl").splitlines()
    repo.replace(DEMO, "test: 12}", "test: 12, by: row}")
    more = [json.dumps(json.loads(row) | {"text": json.loads(row)["text"] + "!"}) for row in rows]
    repo.write({"data/rows.jsonl": "\n".join([*rows, *more]) + "\n"})


def locked(repo: Any) -> None:
    seed(repo)
    assert repo.ftspec("lock", "demo").returncode == 0


def stale(repo: Any) -> None:
    locked(repo)
    repo.replace(DEMO, "seed: 4", "seed: 5")


def row_without_target(repo: Any) -> None:
    rule = "weights: {rules: [{name: quiet, match: {content_contains: cow}, weight: 0}], on_empty: keep}\n"
    repo.write({DEMO: repo.read(DEMO) + rule})


def fewer_items(repo: Any) -> None:
    repo.replace(DEMO, "test: 12", "test: 10")


def no_baselines(repo: Any) -> None:
    repo.write(
        {"conf/evals/exact.yaml": "exact:\n  arms: {tuned: {model: '@run'}}\n  graders: {animal: {type: label}}\n"}
    )


GATES: dict[str, tuple[str, Edit, Edit, str]] = {
    # policy, a change that passes, one that fails, words of the failure
    "max_usd": ("max_usd: 0", seed, lambda r: r.replace(DEMO, "model: tiny", HOSTED), "a price is unknown"),
    "max_runs": ("max_runs: 2", seed, lambda r: r.replace(DEMO, "[1, 2]", "[3, 4, 5]"), "3 runs to train of 2"),
    "no_shrinking_eval": ("no_shrinking_eval: true", seed, fewer_items, "exact loses"),
    "required_suites": (
        "required_suites: [exact]",
        seed,
        lambda r: r.replace(DEMO, "override evals: [exact], ", ""),
        "demo lacks exact",
    ),
    "no_new_overlap": ("no_new_overlap: true", seed, repeat_items, "repeat items of exact"),
    "no_row_without_target": ("no_row_without_target: true", seed, row_without_target, "learn nothing"),
    "lock_current": ("lock_current: true", locked, stale, "the lock is stale"),
    "eval_change_needs_baselines": (
        "eval_change_needs_baselines: true",
        lambda r: r.replace("conf/evals/exact.yaml", "label}", "label, match: casefold}"),
        no_baselines,
        "no arm to score again",
    ),
    "providers": (
        "providers: [embedded]",
        seed,
        lambda r: r.replace(DEMO, "model: tiny", HOSTED),
        "demo uses openai",
    ),
    "models": (
        "models: [tiny, ftspec-*]",
        seed,
        lambda r: r.write({DEMO: r.read(DEMO).replace("seed: 3", "seed: 4") + "baselines: {big: {model: gpt-5}}\n"}),
        "demo uses gpt-5",
    ),
}


@pytest.mark.parametrize("name", GATES)
def test_a_gate_passes_and_fails(repo: Any, name: str) -> None:
    policy, good, bad, words = GATES[name]
    repo.git("checkout", "-q", "main")
    repo.write({POLICY: policy + "\n"})
    repo.commit()
    repo.git("branch", "-f", "change")
    repo.git("checkout", "-q", "change")
    good(repo)
    (gate,) = repo.review().gates
    assert (gate.name, gate.passed) == (name, True), gate.detail
    repo.git("checkout", "-q", "--", ".")
    bad(repo)
    (gate,) = repo.review().gates
    assert (gate.name, gate.passed) == (name, False)
    assert words in gate.detail


def test_a_failed_gate_exits_3_and_says_which(repo: Any) -> None:
    repo.git("checkout", "-q", "main")
    repo.write({POLICY: "max_runs: 1\nno_shrinking_eval: true\n"})
    repo.commit()
    seed(repo)
    done = repo.ftspec("diff")
    assert done.returncode == 3
    assert "max_runs FAILED: 2 runs to train of 1" in done.stdout
    assert "no_shrinking_eval passed" in done.stdout


def test_a_suite_that_is_dropped_has_shrunk(repo: Any) -> None:
    repo.git("checkout", "-q", "main")
    repo.write({POLICY: "no_shrinking_eval: true\n"})
    repo.commit()
    repo.replace(DEMO, "override evals: [exact], ", "")
    (gate,) = repo.review().gates
    assert not gate.passed


def test_the_policy_of_the_working_tree_judges_nothing(repo: Any) -> None:
    """It is part of the change: it takes effect after the merge."""
    seed(repo)
    repo.write({POLICY: "max_runs: 0\n"})
    changes = repo.review()
    assert changes.gates == ()
    assert any(POLICY in words for words in changes.beside)


def test_a_policy_that_cannot_be_read_judges_nobody_free(repo: Any) -> None:
    repo.git("checkout", "-q", "main")
    repo.write({POLICY: "max_rnus: 1\n"})
    repo.commit()
    seed(repo)
    with pytest.raises(SpecError) as caught:
        repo.review()
    assert caught.value.problems[0].file == POLICY
    assert repo.ftspec("diff").returncode == 65


@pytest.mark.parametrize(
    "text",
    ["max_usd: -1\n", "max_usd: lots\n", "providers: []\n", "- a\n", "a: &x 1\nb: *x\n"],
)
def test_wrong_policies_are_errors(text: str) -> None:
    with pytest.raises(SpecError):
        read_policy(text.encode())


def test_a_gate_over_grader_code_is_refused() -> None:
    """No suite can hold code yet: a gate that could never fail is none."""
    with pytest.raises(SpecError, match="no grader of this version runs code"):
        read_policy(f"trusted_graders: [{'a' * 64}]\n".encode())
