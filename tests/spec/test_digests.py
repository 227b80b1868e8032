"""Identity must never move by accident: golden values, and what may and may not change them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.spec.digests import data_digest, digest, short, train_digest, without_neutral

ENGINE = {"name": "builtin", "contract": 1, "base": "sha256:" + "b" * 64}
TRAINING = {
    "family": "embedded",
    "model": "ftspec-tiny-1",
    "method": "supervised",
    "hyperparameters": {"n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": 0.1},
    "seed": 7,
    "data": "sha256:" + "d" * 64,
    "engine": ENGINE,
}


def test_golden_digests() -> None:
    """A change here re-identifies every past run: it needs an "identity change" line in CHANGELOG.md."""
    assert data_digest(train="a" * 64, valid=None, row_format="chat") == (
        "sha256:74a4e6e750a2aed00d94d3240c94c17e6db2d72e1361de924299dc5fc0bc7a65"
    )
    assert train_digest(**TRAINING) == "sha256:24fac28c058742405b4079f59cc67feae69b774b282867bc5e44b5deee078b28"  # type: ignore[arg-type]
    assert digest("eval", {"graders": {"queue": {"type": "label"}}}) == (
        "sha256:3a746341758f8e1e52b36074b360382b434bc123cad7fefcbaf59393661f247b"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("family", "openai"),
        ("model", "ftspec-scratch"),
        ("method", "dpo"),
        ("hyperparameters", {"n_epochs": 4, "batch_size": "auto", "learning_rate_multiplier": 0.1}),
        ("hyperparameters", {"n_epochs": 3, "batch_size": "auto", "learning_rate": 0.1}),
        ("seed", 8),
        ("data", "sha256:" + "e" * 64),
        ("engine", ENGINE | {"base": "sha256:" + "c" * 64}),
        ("engine", None),
    ],
)
def test_each_input_of_a_training_changes_its_digest(field: str, value: object) -> None:
    assert train_digest(**(TRAINING | {field: value})) != train_digest(**TRAINING)  # type: ignore[arg-type]


def test_what_is_not_set_does_not_count() -> None:
    spelled = TRAINING["hyperparameters"] | {"learning_rate": None}  # type: ignore[operator]
    assert train_digest(**(TRAINING | {"hyperparameters": spelled})) == train_digest(**TRAINING)  # type: ignore[arg-type]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), values, max_size=5))
def test_key_order_never_matters(value: dict[str, object]) -> None:
    assert digest("eval", value) == digest("eval", dict(reversed(value.items())))


def test_kinds_and_schemas_are_kept_apart() -> None:
    assert len({digest("data", 1), digest("train", 1), digest("eval", 1), digest("eval", 1, schema=2)}) == 4


def test_what_json_cannot_write_is_refused() -> None:
    for value in (float("nan"), float("inf"), "\ud800", 2**60):
        with pytest.raises(ValueError, match="identified"):
            digest("eval", value)


def test_neutral_fields_are_left_out() -> None:
    assert without_neutral({"a": 1, "b": None}, {"b": None, "c": 0}) == {"a": 1}
    assert short("sha256:" + "ab" * 32) == "abababababab"
