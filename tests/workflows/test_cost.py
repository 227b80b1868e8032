"""What a plan costs: the dated price table, `auto` as a range, unknown that is never 0, the budget by the most."""

import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.compose import Project
from ftspec.providers.profiles import load_profile
from ftspec.report.plan import plan_lines
from ftspec.spec.errors import GateError
from ftspec.workflows.plan import Plan, make_plan
from ftspec.workflows.run import RunOptions, check_budget
from ftspec.workflows.shapes import plan_json

BODY = """\
defaults: [config, _self_]
provider: {{profile: {profile}}}
model: {model}
dataset: {{sources: [{{path: data/rows.jsonl}}]}}
hyperparameters: {{n_epochs: {epochs}}}
budget: {{max_usd: {limit}}}
"""
NEBIUS = "meta-llama/Llama-3.1-8B-Instruct"


def plan(root: Path, *, profile: str = "nebius", model: str = NEBIUS, epochs: Any = "auto", limit: float = 1) -> Plan:
    (root / "experiments").mkdir(exist_ok=True)
    (root / "data").mkdir(exist_ok=True)
    rows = [[{"role": "user", "content": f"{n}"}, {"role": "assistant", "content": "yes"}] for n in range(60)]
    (root / "data/rows.jsonl").write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    body = BODY.format(profile=profile, model=model, epochs=epochs, limit=limit)
    (root / "experiments/x.yaml").write_text(body)
    return make_plan(Project(root), "x")


def test_auto_is_a_range_and_a_number_is_not(tmp_path: Path) -> None:
    made = plan(tmp_path)
    tokens = made.runs[0].prepared.parts["train"].tokens
    per_token = 0.40 / 1_000_000
    assert made.usd == pytest.approx(3 * tokens * per_token, abs=1e-6)
    assert made.usd_range == pytest.approx((tokens * per_token, 3 * tokens * per_token), abs=1e-6)
    exact = plan(tmp_path, epochs=2)
    assert exact.usd_range == (exact.usd, exact.usd)
    assert plan_json(exact)["usd_range"] == (exact.usd, exact.usd)


def test_the_range_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftspec.workflows import plan as room

    monkeypatch.setattr(room, "training_price", lambda profile, model: 2_000.0)
    made = plan(tmp_path)
    assert made.usd_range is not None
    low, high = made.usd_range
    assert f"${high:.2f} (${low:.2f}-${high:.2f}) of $1" in next(plan_lines(made, colour=False))


def test_the_budget_holds_for_the_most(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert made.usd_range is not None
    most = made.usd_range[1]
    with pytest.raises(GateError) as caught:
        check_budget(plan(tmp_path, limit=most * 0.9), RunOptions(yes=True))
    assert caught.value.code == "over_budget"
    check_budget(plan(tmp_path, limit=most), RunOptions(yes=True))
    check_budget(plan(tmp_path, limit=most * 0.9), RunOptions(only=("data",)))


def test_an_unknown_price_is_never_nothing(tmp_path: Path) -> None:
    made = plan(tmp_path, profile="openai", model="gpt-4.1-mini-2025-04-14")
    assert (made.usd, made.usd_range) == (None, None)
    with pytest.raises(GateError) as caught:
        check_budget(made, RunOptions(yes=True))
    assert caught.value.code == "unknown_price"


def test_every_price_has_a_day_and_a_source() -> None:
    prices = [price for name in ("embedded", "nebius", "openai", "azure") for price in load_profile(name).prices]
    assert prices
    assert all(price.as_of and price.source and price.read_on for price in prices)


def test_points_that_differ_in_evals_alone_are_one_training_with_one_price(tmp_path: Path) -> None:
    plan(tmp_path)
    path = tmp_path / "experiments/x.yaml"
    text = path.read_text().replace("jsonl}]}", "jsonl}], split: {test: 10}}").replace("hyperparameters:", "#")
    text += "evals: {same: {graders: {same: {type: string_check}}}}\n"
    path.write_text(text + "sweep: {grid: {hyperparameters.n_epochs: [1, 2]}}\n")
    once = make_plan(Project(tmp_path), "x")
    path.write_text(text + "sweep: {grid: {hyperparameters.n_epochs: [1, 2], evals.same.samples: [1, 3]}}\n")
    made = make_plan(Project(tmp_path), "x")
    assert len(made.runs) == 4
    assert (made.counts, once.counts) == ({"train": 2, "score": 2, "reuse": 0}, {"train": 2, "score": 0, "reuse": 0})
    assert made.usd == once.usd
    assert made.usd_range == once.usd_range
    assert made.usd
