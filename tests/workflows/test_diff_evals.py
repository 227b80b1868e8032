"""Which scores still compare, what scoring again costs, which train rows repeat items, what is known already."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from ftspec.compose import Project
from ftspec.runs.known import KnownResult, KnownResults
from ftspec.workflows.plan import draft_plan

pytestmark = pytest.mark.usefixtures("composed_once")

DEMO = "experiments/demo.yaml"
EXACT = "conf/evals/exact.yaml"
OUTSIDE = """\
outside:
  data: {path: data/items.jsonl, id: id}
  graders: {right: {type: string_check}}
  arms: {base: {model: "@base"}, tuned: {model: "@run"}}
"""


def items(*texts: str) -> str:
    made = [
        {"id": str(n), "messages": [{"role": "user", "content": text}], "reference": "x"}
        for n, text in enumerate(texts)
    ]
    return "".join(json.dumps(item) + "\n" for item in made)


@pytest.fixture
def two(repo: Any) -> Any:
    """The demo with a second suite over a file of items, on main."""
    repo.git("checkout", "-q", "main")
    repo.replace(DEMO, "[exact]", "[exact, outside]")
    repo.write({"conf/evals/outside.yaml": OUTSIDE, "data/items.jsonl": items("one", "two", "three")})
    repo.commit()
    repo.git("branch", "-f", "change")
    repo.git("checkout", "-q", "change")
    return repo


Edit = Callable[[Any], object]
CAUSES: dict[str, tuple[Edit, str, tuple[str, ...]]] = {
    "item edited": (
        lambda r: r.write({"data/items.jsonl": items("one", "2", "three")}),
        "outside",
        ("items: 1 edited",),
    ),
    "items added and gone": (
        lambda r: r.write({"data/items.jsonl": items("one", "two", "three", "four").split("\n", 1)[1]}),
        "outside",
        ("items: 1 added, 1 removed",),
    ),
    "request": (
        lambda r: r.write(
            {"conf/evals/outside.yaml": OUTSIDE + '  request: {messages: [{role: user, content: "{{ item.id }}"}]}\n'}
        ),
        "outside",
        ("request messages",),
    ),
    "sampling": (
        lambda r: r.write({"conf/evals/outside.yaml": OUTSIDE + "  request: {params: {temperature: 0.5}}\n"}),
        "outside",
        ("sampling parameters",),
    ),
    "samples": (
        lambda r: r.write({"conf/evals/outside.yaml": OUTSIDE + "  samples: 3\n"}),
        "outside",
        ("answers per item",),
    ),
    "grader field": (
        lambda r: r.write(
            {"conf/evals/outside.yaml": OUTSIDE.replace("string_check}", "string_check, operation: ne}")}
        ),
        "outside",
        ("grader right: operation",),
    ),
    "grader added": (
        lambda r: r.write({"conf/evals/outside.yaml": OUTSIDE.replace("right:", "also: {type: string_check}, right:")}),
        "outside",
        ("metrics", "grader also added"),
    ),
    "arm added": (
        lambda r: r.write({"conf/evals/outside.yaml": OUTSIDE.replace("tuned:", "more: {model: other}, tuned:")}),
        "outside",
        ("arm more added",),
    ),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_suite_that_stops_being_comparable_says_why(two: Any, name: str) -> None:
    edit, suite, causes = CAUSES[name]
    edit(two)
    changes = two.review()
    assert {run.kind for run in changes.runs} == {"re-score"}
    (found,) = changes.suites
    assert (found.suite, found.kind, found.causes, found.runs) == (suite, "changed", causes, 2)
    arms = ("base", "more") if name == "arm added" else ("base",)
    assert found.baselines == arms
    assert found.answers == (found.items_new or 0) * len(arms) * (3 if name == "samples" else 1)
    assert {(run.answers, run.usd_answers) for run in changes.runs} == {
        ((found.items_new or 0) * (3 if name == "samples" else 1), 0.0)
    }


def test_new_coordinates_for_every_run_do_not_hide_a_suite_that_shrank(two: Any) -> None:
    two.replace(DEMO, "[1, 2]", "[3, 4]")
    two.write({"data/items.jsonl": items("one")})
    changes = two.review()
    assert {run.kind for run in changes.runs} == {"new", "removed"}
    (found,) = changes.suites
    assert (found.suite, found.items_old, found.items_new, found.items_removed) == ("outside", 3, 1, 2)


def test_suites_come_and_go(two: Any) -> None:
    two.replace(DEMO, "[exact, outside]", "[outside]")
    assert [(s.suite, s.kind) for s in two.review().suites] == [("exact", "removed")]
    two.commit()
    assert [(s.suite, s.kind) for s in two.review("change", "main", exact=True).suites] == [("exact", "new")]


def test_an_unknown_price_is_never_nothing(two: Any) -> None:
    two.git("checkout", "-q", "main")
    two.replace(DEMO, "model: tiny", "provider: {profile: openai}\nmodel: gpt-4.1-nano-2025-04-14")
    two.commit()
    two.git("branch", "-f", "change")
    two.git("checkout", "-q", "change")
    two.replace(DEMO, "seed: 3", "seed: 4")
    two.write({"conf/evals/outside.yaml": OUTSIDE + "  samples: 2\n"})
    changes = two.review()
    assert changes.usd is None
    assert {(run.usd_old, run.usd_new) for run in changes.runs} == {(None, None)}
    assert all(run.answers and run.usd_answers is None for run in changes.runs)
    (experiment,) = changes.experiments
    assert (experiment.usd_all_old, experiment.usd_all_new) == (None, None)
    assert {s.usd for s in changes.suites} == {None}
    assert "price unknown" in two.ftspec("diff", "main").stdout
    assert "$0" not in two.ftspec("diff", "main").stdout.split("cost")[1].splitlines()[0]


# Overlap


def add_rows(repo: Any, *texts: str) -> None:
    more = "".join(json.dumps({"text": text, "label": "cow"}) + "\n" for text in texts)
    repo.write({"data/rows.jsonl": repo.read("data/rows.jsonl") + more})


def outside_of(changes: Any) -> Any:
    return next((overlap for overlap in changes.overlaps if overlap.suite == "outside"), None)


def test_rows_that_repeat_items_are_told_where_this_change_brings_them(two: Any) -> None:
    two.replace(DEMO, "validation: 8, test: 12", "validation: 8, test: 12, by: row")
    two.commit()
    two.git("branch", "-f", "main")
    add_rows(two, *["two"] * 2, "Three!", *[f"more {n}" for n in range(30)])
    found = outside_of(two.review())
    # Rows that fell into another part are not trained on: ask the plan which did.
    plan = draft_plan(Project(two.root), "demo")
    train = plan.runs[0].prepared.parts["train"].path.read_text()
    same, alike = train.count('"two"'), train.count('"Three!"')
    assert same + alike > 0
    assert (found.introduced, found.existing) == (same + alike, 0)
    assert (found.same_prompt + found.same_turn, found.alike) == (same, alike)
    assert all(place.startswith("data/rows.jsonl:") for place in found.places)
    # Once merged they are old, also for a new point of the sweep.
    two.commit()
    two.git("branch", "-f", "main")
    two.replace(DEMO, "[1, 2]", "[1, 2, 5]")
    found = outside_of(two.review())
    assert (found.introduced, found.existing) == (0, same + alike)
    # An item that repeats a row counts as much as a row that repeats an item.
    two.write(
        {"data/items.jsonl": items("one", "two", "three", json.loads(train.splitlines()[0])["messages"][1]["content"])}
    )
    assert outside_of(two.review()).introduced >= 1


# Known results


def put_on_file(repo: Any, value: float) -> dict[str, str]:
    """Write results for every run of the demo as it stands; return the eval digests."""
    plan = draft_plan(Project(repo.root), "demo")
    rows = []
    for n, run in enumerate(plan.runs):
        for suite in run.suites:
            rows.append(
                KnownResult(
                    run=run.label,
                    point=dict(run.point.coordinates),
                    train=run.train_digest,
                    suite=suite.name,
                    eval=suite.eval_digest,
                    arm="tuned",
                    metric="animal.accuracy",
                    value=value + n / 10,
                    ci95=(0.1, 0.9),
                    n=12,
                    valid_loss=None,
                    epochs=1,
                    attempt="0" * 64,
                )
            )
    repo.write({"experiments/demo.results.json": KnownResults(results=tuple(rows)).to_bytes()})
    return {suite.name: suite.eval_digest for suite in plan.runs[0].suites}


def test_scores_under_one_digest_stand_side_by_side_and_others_never(two: Any) -> None:
    two.git("checkout", "-q", "main")
    old = put_on_file(two, 0.5)
    two.commit()
    two.git("branch", "-f", "change")
    two.git("checkout", "-q", "change")
    two.write({"conf/evals/outside.yaml": OUTSIDE + "  samples: 2\n"})
    known = two.review().known
    rows = {(k.run, k.suite, k.digest): (k.old, k.new, k.comparable) for k in known}
    assert rows == {
        ("epochs=1", "exact", old["exact"]): (0.5, 0.5, True),
        ("epochs=2", "exact", old["exact"]): (0.6, 0.6, True),
        ("epochs=1", "outside", old["outside"]): (0.5, None, False),
        ("epochs=2", "outside", old["outside"]): (0.6, None, False),
    }
    new = put_on_file(two, 0.7)
    assert new["outside"] != old["outside"]
    for one in two.review().known:
        assert one.digest in (old[one.suite], new[one.suite])
        if one.suite == "outside":
            assert (one.old is None) != (one.new is None), "two digests never share a row"
    shown = two.ftspec("diff", "main").stdout
    assert "exact animal.accuracy: 0.500 → 0.700" in shown
    assert not [line for line in shown.splitlines() if "outside animal" in line and "0.500" in line and "0.7" in line]
    assert shown.index("known") < shown.index("spec"), "scores come first"


def test_a_run_that_is_trained_anew_shows_what_it_replaces(two: Any) -> None:
    two.git("checkout", "-q", "main")
    put_on_file(two, 0.5)
    two.commit()
    two.git("branch", "-f", "change")
    two.git("checkout", "-q", "change")
    two.replace(DEMO, "seed: 3", "seed: 4")
    known = {(k.run, k.suite): (k.old, k.new) for k in two.review().known if k.suite == "outside"}
    assert known == {("epochs=1", "outside"): (0.5, None), ("epochs=2", "outside"): (0.6, None)}
    two.git("checkout", "-q", "--", ".")
    two.replace(DEMO, "[1, 2]", "[2]")
    gone = {(k.run, k.suite): (k.old, k.new) for k in two.review().known if k.run == "epochs=1"}
    assert gone[("epochs=1", "outside")] == (0.5, None), "what is given up was worth this much"


def test_a_broken_results_file_hides_nothing_else(two: Any) -> None:
    two.write({"experiments/demo.results.json": "<<<<<<< ours\n"})
    two.replace(DEMO, "seed: 3", "seed: 4")
    changes = two.review()
    assert len(changes.to_train) == 2
    assert changes.known == ()


def test_another_base_model_asks_the_baselines_anew(two: Any) -> None:
    two.replace(DEMO, "model: tiny", "provider: {profile: openai}\nmodel: gpt-4.1-nano-2025-04-14")
    (asked,) = {(one.old, one.new) for one in two.review().baselines}
    assert asked[0] == "embedded/tiny"
    assert "gpt-4.1-nano" in asked[1]
