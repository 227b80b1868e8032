"""Pull requests of a team, each with the comment that a reviewer gets: `prs/NN-name.md`.

`pytest tests/review --rewrite` writes the comments anew: read every change of them before you commit it.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.report.markdown.comment import comment
from ftspec.workflows.review.changes import to_json

pytestmark = pytest.mark.usefixtures("composed_once")
PRS = Path(__file__).parent / "prs"
CASES: dict[str, Callable[[Any], None]] = {}
SUPPORT, TRIAGE, POLICY = "experiments/support.yaml", "experiments/triage.yaml", ".ftspec/policy.yaml"


def case(name: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register the edits of one pull request under its number and name."""

    def register(edit: Callable[[Any], None]) -> Callable[[Any], None]:
        CASES[name] = edit
        return edit

    return register


def jsonl(rows: list[dict[str, str]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@case("01-data-edit")
def data_edit(team: Any) -> None:
    rows = team.rows("data/support.jsonl")[4:]
    for row in rows[:3]:
        row["answer"] = "Thank you. This is settled."
    rows += [{**row, "ask": f"Another matter: {row['ask']}"} for row in rows[100:110]]
    team.write("data/support.jsonl", jsonl(rows))


@case("02-weights-only")
def weights_only(team: Any) -> None:
    team.edit("experiments/tutor.yaml", ("weights: assistant", "weights: last_assistant_message"))


@case("03-grader")
def grader(team: Any) -> None:
    team.edit("conf/evals/answers.yaml", ("operation: eq", "operation: ilike"))


@case("04-prompt")
def prompt(team: Any) -> None:
    team.edit("prompts/support.md", ("short and polite", "short, polite and honest"))


@case("05-rename")
def rename(team: Any) -> None:
    for suffix in ("yaml", "lock.json", "results.json"):
        team.git("mv", f"experiments/support.{suffix}", f"experiments/helpdesk.{suffix}")


@case("06-moved-folder")
def moved_folder(team: Any) -> None:
    (team.root / "datasets").mkdir()
    team.git("mv", "data/support.jsonl", "datasets/support.jsonl")
    team.edit(SUPPORT, ("data/support.jsonl", "datasets/support.jsonl"))


@case("07-axis-value-added")
def axis_value_added(team: Any) -> None:
    team.edit(SUPPORT, ("[2, 3]", "[2, 3, 4]"))


@case("08-axis-value-removed")
def axis_value_removed(team: Any) -> None:
    team.edit(SUPPORT, ("[1.0e-5, 2.0e-5]", "[1.0e-5]"))


@case("09-conf-refactor-without-effect")
def conf_refactor(team: Any) -> None:
    team.write("conf/hyperparameters/small_batch.yaml", "defaults: [auto, _self_]\nbatch_size: 8\n")
    team.edit(SUPPORT, ("hyperparameters: {batch_size: 8}\n", ""))
    team.edit(
        SUPPORT, ("override provider: nebius", "override provider: nebius, override hyperparameters: small_batch")
    )


@case("10-built-in-default-changed")
def built_in_default(team: Any) -> None:
    block = "n_epochs: auto\nbatch_size: 4\nlearning_rate_multiplier: null\nlearning_rate: null\n"
    team.write("conf/hyperparameters/auto.yaml", block)


@case("11-dependency-bump")
def dependency_bump(team: Any) -> None:
    team.write("requirements.txt", "ftspec==0.2.0\n")


@case("12-merge-resolution")
def merge_resolution(team: Any) -> None:
    """Main went on meanwhile; the conflict is solved for both. Only what this branch adds is its change."""
    team.edit(TRIAGE, ("n_epochs: 2", "n_epochs: 3"))
    team.commit("three epochs")
    here = team.git("rev-parse", "--abbrev-ref", "HEAD")
    team.git("checkout", "-qb", "later", "main")
    team.edit(TRIAGE, ("n_epochs: 2}", "n_epochs: 2, batch_size: 4}"))
    team.edit(SUPPORT, ("[2, 3]", "[2]"))
    team.commit("others' work")
    team.git("checkout", "-q", here)
    team.git("merge", "-q", "--no-commit", "-s", "ours", "later")
    team.git("checkout", "later", "--", SUPPORT)
    team.edit(TRIAGE, ("n_epochs: 3}", "n_epochs: 3, batch_size: 4}"))


@case("13-data-outside-git")
def data_outside_git(team: Any) -> None:
    before = team.read("data/private/calls.jsonl")
    rows = team.rows("data/private/calls.jsonl")[3:]
    rows += [{"text": f"the line was dead on day {day}", "queue": "lines"} for day in range(9)]
    team.write("data/private/calls.jsonl", jsonl(rows))
    team.lock("calls")
    team.write("data/private/calls.jsonl", before)


@case("14-suite-items-added")
def suite_items_added(team: Any) -> None:
    items = [{"question": f"Read me the letters of customer {n}."} for n in range(20)]
    team.write("data/evals/refusals.jsonl", team.read("data/evals/refusals.jsonl") + jsonl(items))


@case("15-suite-shrunk")
def suite_shrunk(team: Any) -> None:
    team.write("data/evals/refusals.jsonl", jsonl(team.rows("data/evals/refusals.jsonl")[:25]))


@case("16-compare-margin-only")
def compare_margin(team: Any) -> None:
    team.edit("conf/evals/answers.yaml", ("margin: 0.05", "margin: 0.1"))


@case("17-tags-only")
def tags_only(team: Any) -> None:
    team.edit(SUPPORT, ("tags: [support]", "tags: [support, quarter_4]"))


@case("18-new-experiment")
def new_experiment(team: Any) -> None:
    text = team.read(SUPPORT).replace("[2, 3]", "[1]").replace("Answer customers", "One epoch only; answer customers")
    team.write("experiments/support_short.yaml", text)


@case("19-experiment-removed")
def experiment_removed(team: Any) -> None:
    team.git("rm", "-q", *[f"experiments/support.{suffix}" for suffix in ("yaml", "lock.json", "results.json")])


@case("20-seed-and-repeats")
def seed_and_repeats(team: Any) -> None:
    team.edit(TRIAGE, ("seed: 1", "seed: 2\nrepeats: 3"))


@case("21-epochs")
def epochs(team: Any) -> None:
    team.edit(TRIAGE, ("n_epochs: 2", "n_epochs: 4"))


@case("22-model-switch")
def model_switch(team: Any) -> None:
    team.edit(SUPPORT, ("Llama-3.1-8B-Instruct", "Llama-3.3-70B-Instruct"))


@case("23-policy-loosened")
def policy_loosened(team: Any) -> None:
    team.edit(POLICY, ("no_shrinking_eval: true", "no_shrinking_eval: false"))
    suite_shrunk(team)


@case("24-training-rows-repeat-eval-items")
def overlap(team: Any) -> None:
    rows = team.rows("data/support.jsonl")
    for number, row in enumerate(rows[10:17]):
        row["detail"] = f"What does a transfer of {number} euros cost?"
    rows[17]["detail"] = "WHAT does a transfer of 50 euros cost"
    team.write("data/support.jsonl", jsonl(rows))


@case("25-several-at-once")
def several(team: Any) -> None:
    data_edit(team)
    weights_only(team)
    grader(team)
    axis_value_added(team)
    epochs(team)
    tags_only(team)
    overlap(team)


@case("26-provider-switch")
def provider_switch(team: Any) -> None:
    openai = ("override provider: nebius", "override provider: openai")
    model = ("meta-llama/Llama-3.1-8B-Instruct", "gpt-4.1-mini-2025-04-14")
    team.edit(SUPPORT, openai, model, ("learning_rate: [1.0e-5, 2.0e-5]", "learning_rate_multiplier: [0.1, 0.2]"))


@case("27-typo")
def typo(team: Any) -> None:
    team.edit(TRIAGE, ("n_epochs: 2", "n_epoch: 2"))


@case("31-provider-that-does-not-obey-weights")
def refused_weights(team: Any) -> None:
    """One experiment is broken while another has something to do."""
    team.edit(SUPPORT, ("override weights: assistant", "override weights: last_assistant_message"))
    epochs(team)


@case("28-scores-by-the-bot")
def scores_by_the_bot(team: Any) -> None:
    """What the job on main commits after a run: only scores on file."""
    team.score("triage", {"queue": 0.9})


@case("29-comments-and-layout")
def comments_and_layout(team: Any) -> None:
    team.edit(SUPPORT, ("hyperparameters: {batch_size: 8}", "# eight rows at once\nhyperparameters:\n  batch_size: 8"))


@case("30-only-the-policy")
def only_the_policy(team: Any) -> None:
    team.edit(POLICY, ("max_usd: 2", "max_usd: 200"))


def plain(text: str, heads: dict[str, str]) -> str:
    """Name commits and digests by what they are, so that only what a reader reads is compared."""
    for commit, name in heads.items():
        text = text.replace(commit, name).replace(commit[:12], name)
    seen: dict[str, str] = {}

    def digest(match: re.Match[str]) -> str:
        return seen.setdefault(match[0], f"`digest {len(seen) + 1}`")

    return re.sub(r"`[0-9a-f]{12}`", digest, text)


@pytest.mark.parametrize("name", CASES)
def test_the_comment(team: Any, name: str, request: pytest.FixtureRequest) -> None:
    with team.branch(name):
        CASES[name](team)
        head = team.commit(name)
    base = "later" if name.startswith("12") else "main"
    changes = team.diff(name, base)
    heads = {head: "HEAD", team.git("merge-base", base, name): "BASE"}
    found = plain(comment(changes), heads)
    golden = PRS / f"{name}.md"
    if request.config.getoption("--rewrite"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text()


@pytest.mark.parametrize("name", CASES)
def test_a_reviewer_s_questions_are_answered(name: str) -> None:
    """Which runs, at what cost, do old scores compare, which rows and words are learned: each in a line of its own."""
    text = (PRS / f"{name}.md").read_text()
    if "### ftspec: no semantic change: nothing to train or to score, same rows and words" not in text:
        for question in (
            "- **Runs:** ",
            "- **Cost of this change:** ",
            "- **Old scores:** ",
            "- **Data",
            "- **Merge:** ",
        ):
            assert f"\n{question}" in text


WHOLE = ("04-prompt", "05-rename", "12-merge-resolution", "25-several-at-once")


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_not_composed_would_have_added_nothing(team: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan of what may differ is the plan of everything, without the experiments of which nothing changed."""
    base = "later" if name.startswith("12") else "main"
    fast = json.loads(json.dumps(to_json(team.diff(name, base))))
    monkeypatch.setattr("ftspec.workflows.diff._may_differ", lambda *_: True)
    whole = json.loads(json.dumps(to_json(team.diff(name, base))))
    assert fast["untouched"] + len(fast["experiments"]) == len(whole["experiments"])
    assert whole["untouched"] == 0
    composed = {experiment["name"] for experiment in fast["experiments"]}
    others = [experiment for experiment in whole["experiments"] if experiment["name"] not in composed]
    assert all(one["kind"] == "unchanged" and one["unchanged"] == one["runs_new"] for one in others)
    expected = {
        key: [one for one in value if one.get("experiment", one.get("name")) in composed]
        if key in ("experiments", "known")
        else value
        for key, value in whole.items()
    }
    notices = [notice for notice in whole["notices"] if notice.partition(":")[0] in composed]
    assert fast == expected | {"untouched": fast["untouched"], "notices": notices}


def test_every_comment_belongs_to_a_pull_request() -> None:
    assert {path.stem for path in PRS.glob("*.md")} == set(CASES)
