"""Masks: presets on golden conversations, precedence, rules, proof table, aliases of other tools."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ftspec.data import RowRules, read_rows
from ftspec.data.weights import preset_mask
from ftspec.spec.aliases import weights_aliases
from ftspec.spec.dataset import Weights
from ftspec.spec.errors import DataError, SpecError

ALL = RowRules(min_rows=1, advised_rows=0, roles=("system", "developer", "user", "assistant", "tool"))

GOLDEN = {
    # letters: assistant, last_assistant_message, last_assistant_turn, all_messages
    "ua": ("01", "01", "01", "11"),
    "sua": ("001", "001", "001", "111"),
    "suaua": ("00101", "00001", "00001", "11111"),
    "uata": ("0101", "0001", "0101", "1111"),
    "uaa": ("011", "001", "011", "111"),
    "uaaua": ("01101", "00001", "00001", "11111"),
    "ssua": ("0001", "0001", "0001", "1111"),
    "uau": ("010", "010", "000", "111"),
    "sa": ("01", "01", "01", "11"),
    "a": ("1", "1", "1", "1"),
    "uatatauata": ("0101010101", "0000000001", "0000000101", "1111111111"),
    "duauu": ("00100", "00100", "00000", "11111"),
}


@pytest.mark.parametrize("letters", GOLDEN)
def test_golden_masks(letters: str) -> None:
    presets = ("assistant", "last_assistant_message", "last_assistant_turn", "all_messages")
    assert tuple(preset_mask(preset, letters) for preset in presets) == GOLDEN[letters]
    assert preset_mask("all_assistant_messages", letters) == GOLDEN[letters][0]
    assert preset_mask("from_data", letters) == "0" * len(letters)


@given(st.text("sduat", min_size=1, max_size=12))
def test_presets_nest(letters: str) -> None:
    masks = [preset_mask(p, letters) for p in ("all_messages", "assistant", "last_assistant_turn")]
    for wide, narrow in itertools.pairwise(masks):
        assert all(w >= n for w, n in zip(wide, narrow, strict=True))
    assert preset_mask("last_assistant_message", letters).count("1") == ("a" in letters)


def talk(**flags: Any) -> dict[str, Any]:
    """u a u a, the first answer with a flag."""
    return {
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "Okay, two", **flags},
            {"role": "user", "content": "three", "name": "bob"},
            {"role": "assistant", "content": "four"},
        ]
    }


def masks(done: Any, part: str = "train") -> list[str]:
    rows = []
    for row in read_rows(done.parts[part]):
        default = {"assistant": 1}
        rows.append("".join(str(m.get("weight", default.get(m["role"], 0))) for m in row["messages"]))
    return rows


@pytest.mark.parametrize("existing", ["respect", "override", "error"])
@pytest.mark.parametrize("flag", [None, 0, 1])
@pytest.mark.parametrize("rule", [None, 0, 1])
@pytest.mark.parametrize("preset", ["assistant", "last_assistant_message", "from_data", "all_messages"])
def test_precedence(project: Any, existing: str, flag: int | None, rule: int | None, preset: str) -> None:
    project.rows([talk(**({} if flag is None else {"weight": flag}))])
    rules = [] if rule is None else [{"name": "r", "match": {"content_contains": "two"}, "weight": rule}]
    weights = {"train_on": preset, "existing": existing, "rules": rules, "on_empty": "keep"}
    if existing == "error" and flag is not None:
        with pytest.raises(DataError):
            project.prepare(weights=weights, limits=ALL)
        return
    expected = {"assistant": 1, "last_assistant_message": 0, "from_data": 0, "all_messages": 1}[preset]
    expected = expected if rule is None else rule
    expected = flag if flag is not None and existing == "respect" else expected
    (mask,) = masks(project.prepare(weights=weights, limits=ALL))
    assert mask[1] == str(expected)


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({"role": "assistant"}, "0101"),
        ({"role": ["user", "assistant"]}, "1111"),
        ({"turn": "first"}, "1100"),
        ({"turn": "last"}, "0011"),
        ({"turn": 2}, "0011"),
        ({"turn": -2}, "1100"),
        ({"turn": 3}, "0000"),
        ({"message": "first"}, "1000"),
        ({"message": "last"}, "0001"),
        ({"content_contains": "o"}, "1101"),
        ({"content_regex": "^(Okay|Sure)\\b"}, "0100"),
        ({"name": "bob"}, "0010"),
        ({"tool_calls": False, "role": "assistant"}, "0101"),
        ({"tool_name": "f"}, "0000"),
        ({"row": {"lang": "de"}}, "1111"),
        ({"row": {"lang": "en"}}, "0000"),
        ({"role": "assistant", "turn": "first"}, "0100"),
    ],
)
def test_match(project: Any, match: dict[str, Any], hit: str) -> None:
    project.rows([{**talk(), "lang": "de"}])
    rule = {"name": "r", "match": match, "weight": 1}
    weights = {"train_on": "from_data", "rules": [rule], "on_empty": "keep"}
    done = project.prepare({"metadata": ["lang"]}, weights, limits=ALL)
    assert masks(done) == [hit]
    assert "lang" not in next(read_rows(done.parts["train"]))


def test_proof_sums_to_the_file(project: Any) -> None:
    project.rows([talk()] * 3 + [talk(weight=0)] * 2)
    weights = {
        "rules": [
            {"name": "okay", "match": {"role": "assistant", "content_regex": "^Okay"}, "weight": 0},
            {"name": "late", "match": {"role": "assistant", "content_contains": "Okay"}, "weight": 1},
            {"name": "never", "match": {"content_contains": "zzz"}, "weight": 0},
        ]
    }
    done = project.prepare(weights=weights)
    lines = {line.name: line for line in done.proof.lines}
    assert list(lines) == ["(data)", "okay", "late", "never", "preset assistant"]
    assert sum(line.decided for line in done.proof.lines) == done.proof.messages == 20
    assert (lines["(data)"].decided, lines["(data)"].lowered, lines["(data)"].rows) == (2, 2, 2)
    assert (lines["okay"].matched, lines["okay"].decided, lines["okay"].lowered) == (5, 3, 3)
    assert (lines["late"].matched, lines["late"].decided) == (5, 0)
    assert lines["late"].dead == "always decided earlier"
    assert lines["never"].dead == "matches nothing"
    assert [p.code for p in done.problems] == ["dead_rule", "dead_rule"]
    assert [p.path for p in done.problems] == ["weights.rules[1]", "weights.rules[2]"]
    assert done.proof.learned_messages == done.parts["train"].learned_messages == 5
    assert done.proof.learned_tokens == done.parts["train"].learned_tokens
    usual = 10
    assert done.proof.learned_messages == usual + sum(line.raised - line.lowered for line in done.proof.lines)


def test_on_empty(project: Any, make_chat: Any) -> None:
    empty = make_chat("a", "b")
    empty["messages"][1]["weight"] = 0
    project.rows([make_chat("c", "d"), empty, make_chat("e", "f")])
    with pytest.raises(DataError) as caught:
        project.prepare()
    assert [(p.code, p.line) for p in caught.value.problems] == [("weight_all_zero", 2)]
    done = project.prepare(weights={"on_empty": "drop"})
    assert (done.parts["train"].rows, done.dropped) == (2, 1)
    done = project.prepare(weights={"on_empty": "keep"})
    assert (done.parts["train"].rows, done.dropped, done.proof.without_target) == (3, 0, 1)


def test_role_that_cannot_be_learned(project: Any) -> None:
    project.rows([talk()])
    with pytest.raises(DataError) as caught:
        project.prepare(weights={"train_on": "all_messages"})
    assert "train_on: all_messages" in caught.value.problems[0].message
    rule = {"name": "users", "match": {"role": "user"}, "weight": 1}
    with pytest.raises(DataError) as caught:
        project.prepare(weights={"rules": [rule]})
    assert "rule 'users'" in caught.value.problems[0].message
    assert masks(project.prepare(weights={"train_on": "all_messages"}, limits=ALL)) == ["1111"]


def test_bad_rules(project: Any) -> None:
    project.rows([talk()])
    twice = [{"name": "r", "match": {"role": "user"}, "weight": 0}] * 2
    for rules in (
        twice,
        [{"name": "r", "match": {}, "weight": 0}],
        [{"name": "r", "match": {"content_regex": "("}, "weight": 0}],
    ):
        with pytest.raises(SpecError) as caught:
            project.prepare(weights={"rules": rules})
        assert caught.value.problems[0].path.startswith("weights.rules[")


def test_catastrophic_pattern_ends(project: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("ftspec.data.weights.REGEX_SECONDS", 0.2)
    project.rows([{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "a" * 60 + "!"}]}])
    rule = {"name": "slow", "match": {"content_regex": "^(a|aa)+$"}, "weight": 0}
    with pytest.raises(DataError) as caught:
        project.prepare(weights={"rules": [rule]})
    assert caught.value.code == "regex_timeout"
    assert "'slow'" in str(caught.value)


@pytest.mark.parametrize(
    ("field", "off", "on"),
    [
        ("trainable", False, True),
        ("loss", False, True),
        ("train", False, True),
        ("masked", True, False),
        ("loss_weight", 0.0, 1),
    ],
)
def test_flags_of_other_tools(project: Any, field: str, off: Any, on: Any) -> None:
    row = talk(**{field: off})
    row["messages"][3][field] = on
    project.rows([row])
    assert masks(project.prepare(weights={"field": field})) == ["0001"]
    with pytest.raises(DataError) as caught:
        project.prepare()
    assert f"weights.field: {field}" in caught.value.problems[0].fix
    row["messages"][3][field] = 0.5 if field == "loss_weight" else 1
    project.rows([row])
    if field == "loss_weight":
        with pytest.raises(DataError):
            project.prepare(weights={"field": field})


@pytest.mark.parametrize(
    ("alias", "own"),
    [
        ({"train_on_inputs": True}, {"train_on": "all_messages"}),
        ({"train_on_inputs": False}, {"train_on": "assistant"}),
        ({"train_on_prompt": True}, {"train_on": "all_messages"}),
        ({"train_on_input": True}, {"train_on": "all_messages"}),
        ({"mask_history": True}, {"train_on": "last_assistant_message"}),
        ({"train_on_last_turn_only": True}, {"train_on": "last_assistant_message"}),
        ({"train_on": "train_on_last"}, {"train_on": "last_assistant_message"}),
        ({"train_target": "final_assistant_turn"}, {"train_on": "last_assistant_message"}),
        ({"loss_scale": "last_round"}, {"train_on": "last_assistant_message"}),
        ({"loss_scale": "default"}, {"train_on": "assistant"}),
        ({"assistant_only_loss": True}, {"train_on": "assistant"}),
        ({"answer_only_loss_mask": True}, {"train_on": "assistant"}),
        ({"train_on_completions": True}, {"train_on": "assistant"}),
        ({"masking_strategy": "train_on_assistant"}, {"train_on": "assistant"}),
        ({"completion_only_loss": True}, {"train_on": "last_assistant_message"}),
        ({"train_on_what": "customized"}, {"train_on": "from_data", "field": "trainable"}),
        ({"train_on_what": "last_assistant_turn"}, {"train_on": "last_assistant_turn"}),
        (
            {"loss_mask": {"user": True, "assistant": False}},
            {
                "rules": [
                    {"name": "role-user", "match": {"role": "user"}, "weight": 1},
                    {"name": "role-assistant", "match": {"role": "assistant"}, "weight": 0},
                ]
            },
        ),
        (
            {"roles_to_train": ["user", "assistant"]},
            {
                "rules": [
                    {"name": "role-user", "match": {"role": "user"}, "weight": 1},
                    {"name": "role-assistant", "match": {"role": "assistant"}, "weight": 1},
                    {"name": "other-roles", "match": {"role": ["system", "developer", "tool"]}, "weight": 0},
                ]
            },
        ),
        ({"roles_to_train": ["assistant"]}, {"train_on": "assistant"}),
    ],
)
def test_alias_equals_its_own_form(alias: dict[str, Any], own: dict[str, Any]) -> None:
    assert Weights.model_validate(alias) == Weights.model_validate(own)
    assert len(weights_aliases(alias)[1]) == 1
    assert weights_aliases(own) == (own, [])
    assert Weights.model_validate({"train_on": "assistant", **alias}) if "train_on" not in alias else True


@pytest.mark.parametrize(
    "wrong",
    [
        {"train_on_inputs": "auto"},
        {"train_on_inputs": True, "train_on": "last_assistant_turn"},
        {"train_on_inputs": True, "mask_history": True},
        {"loss_mask": {"usr": True}},
        {"loss_mask": {}},
        {"roles_to_train": ["human"]},
        {"train_target": "sometimes"},
        {"assistant_only_loss": False},
        {"loss_mask": {"user": True}, "rules": [{"name": "r", "match": {"role": "user"}, "weight": 1}]},
        {"weihgt": 1},
    ],
)
def test_wrong_alias(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Weights.model_validate(wrong)


def test_a_rule_that_empties_rows_is_not_dead(project: Any) -> None:
    """It decided rows that are left out for it: the advice was to remove it, which would have trained them."""
    answers = ["no", "yes"] * 20
    project.rows(
        [
            {"messages": [{"role": "user", "content": f"q {n}"}, {"role": "assistant", "content": answer}]}
            for n, answer in enumerate(answers)
        ]
    )
    rules = [
        {"name": "no", "match": {"content_contains": "no"}, "weight": 0},
        {"name": "never", "match": {"content_contains": "maybe"}, "weight": 0},
    ]
    done = project.prepare(weights={"rules": rules, "on_empty": "drop"})
    assert (done.parts["train"].rows, done.dropped) == (20, 20)
    assert [line.dead for line in done.proof.lines] == ["", "", "matches nothing", ""]
    assert [problem.path for problem in done.problems if problem.code == "dead_rule"] == ["weights.rules[1]"]
