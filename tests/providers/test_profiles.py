"""Profiles as data: what they say, what is refused, and that no number reaches a field of the wrong kind."""

import subprocess
import sys
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.providers.body import (
    ATTEMPT,
    KEY,
    MAX_ABSOLUTE_RATE,
    MIN_MULTIPLIER,
    TRAIN,
    guard,
    job_body,
    job_suffix,
    misplaced_rate,
    normalised_sha256,
)
from ftspec.providers.profiles import check, load_profile, models_of, profile_ids, training_price
from ftspec.spec.errors import SpecError
from ftspec.spec.experiment import Hyperparameters, Provider

IDENTITY = {KEY: "0123456789abcdef" * 2, ATTEMPT: "abababababab#001", TRAIN: "sha256:" + "ab" * 32}


def body_of(profile_id: str, hyperparameters: dict[str, Any], **changes: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "model": "m",
        "method": "supervised",
        "seed": 7,
        "suffix": "demo",
        "metadata": {"team": "blue"},
        "training_file": "file-1",
        "validation_file": None,
        "identity": IDENTITY,
    }
    return job_body(load_profile(profile_id), hyperparameters=hyperparameters, **(asked | changes))


def codes(provider: Provider, model: str, **hyperparameters: Any) -> dict[str, str]:
    found = check(provider, model, Hyperparameters(**hyperparameters), today=date(2026, 11, 24))
    return {problem.code: problem.severity for problem in found}


def test_every_profile_is_read_and_says_what_it_is() -> None:
    assert profile_ids()[0] == "embedded"
    assert set(profile_ids()) >= {"openai", "azure", "nebius", "openai_compatible"}
    for name in profile_ids():
        profile = load_profile(name)
        assert profile.id == name
        assert profile.label
        if name != "embedded":
            assert profile.verified.level == "docs"
            assert "not run" in profile.label
    assert load_profile("embedded").verified.level == "live"


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(SpecError) as caught:
        load_profile("opena")
    assert caught.value.code == "unknown_profile"
    assert "did you mean openai?" in caught.value.problems[0].fix
    assert codes(Provider(profile="nebulas"), "m") == {"unknown_profile": "error"}


def test_the_quickstart_has_no_problems() -> None:
    assert codes(Provider(), "tiny", learning_rate_multiplier=0.1) == {}
    assert codes(Provider(), "tiny") == {}


def test_an_unknown_base_names_those_that_exist() -> None:
    (problem,) = check(Provider(), "tinny", Hyperparameters())
    assert problem.code == "unknown_model"
    assert problem.severity == "error"
    assert "did you mean tiny?" in problem.fix
    assert all(name in problem.fix for name in models_of(load_profile("embedded")))


def test_a_hosted_base_that_is_not_listed_is_a_warning() -> None:
    assert codes(Provider(profile="openai"), "gpt-9")["unknown_model"] == "warning"
    # What the embedded engine alone trains is what a switch of the provider forgets; an address may be `ftspec serve`.
    assert codes(Provider(profile="openai"), "tiny")["unknown_model"] == "error"
    assert codes(Provider(profile="openai", base_url="http://127.0.0.1:1/v1"), "tiny")["unknown_model"] == "warning"
    assert "unknown_model" not in codes(Provider(profile="openai_compatible", base_url="http://127.0.0.1:1/v1"), "tiny")
    assert "unknown_model" not in codes(Provider(profile="openai"), "gpt-4.1-mini-2025-04-14")
    assert "unknown_model" not in codes(Provider(profile="openai"), "ft:gpt-4o-mini-2024-07-18:org::12345678")
    compatible = Provider(profile="openai_compatible", base_url="https://example.com/v1")
    assert codes(compatible, "anything") == {}


def test_rates_of_the_wrong_kind() -> None:
    assert codes(Provider(), "tiny", learning_rate=1e-4) == {"wrong_rate_kind": "error"}
    nebius = codes(Provider(profile="nebius"), "meta-llama/Llama-3.1-8B-Instruct", learning_rate_multiplier=0.1)
    assert nebius == {"wrong_rate_kind": "error"}
    both = codes(Provider(), "tiny", learning_rate=1e-4, learning_rate_multiplier="auto")
    assert both == {"two_rates": "error"}
    assert codes(Provider(profile="nebius"), "meta-llama/Llama-3.1-8B-Instruct", learning_rate=1e-4) == {}
    assert codes(Provider(profile="nebius"), "meta-llama/Llama-3.1-8B-Instruct", learning_rate_multiplier="auto") == {}


def test_guard_rails() -> None:
    assert codes(Provider(), "tiny", learning_rate_multiplier=2e-5) == {"looks_absolute": "error"}
    model = "meta-llama/Llama-3.1-8B-Instruct"
    assert codes(Provider(profile="nebius"), model, learning_rate=0.1) == {"rate_too_high": "error"}
    unusual = codes(Provider(profile="openai"), "gpt-4o-mini-2024-07-18", learning_rate_multiplier=1.5)
    assert unusual["unusual_rate"] == "warning"


def test_guard_rails_see_the_final_body() -> None:
    profile = load_profile("nebius")
    (problem,) = guard(profile, {"model": "m", "method": {"supervised": {"hyperparameters": {"learning_rate": 0.2}}}})
    assert (problem.code, problem.path) == ("rate_too_high", "method.supervised.hyperparameters.learning_rate")
    assert [p.code for p in guard(profile, {"hyperparameters": {"n_epoch": 3}})] == ["unknown_hyperparameter"]
    embedded = load_profile("embedded")
    assert [p.code for p in guard(embedded, {"hyperparameters": {"n_epochs": 51}})] == ["out_of_limits"]
    assert [p.code for p in guard(embedded, {"hyperparameters": {"n_epochs": True}})] == ["invalid_value"]
    assert [p.code for p in guard(embedded, {"hyperparameters": {"batch_size": "3"}})] == ["invalid_value"]


rates = st.floats(min_value=1e-9, max_value=1e3, allow_nan=False)


@given(
    st.sampled_from(profile_ids()),
    st.sampled_from(["learning_rate", "learning_rate_multiplier"]),
    st.one_of(rates, st.just("auto")),
)
def test_no_rate_reaches_a_field_of_the_other_kind(profile_id: str, kind: str, value: Any) -> None:
    if kind == "learning_rate" and value == "auto":
        return
    profile = load_profile(profile_id)
    asked = {"n_epochs": 3, "batch_size": "auto", kind: value}
    problems = [misplaced_rate(profile, asked)]
    body = body_of(profile_id, asked)
    problems += [problem for problem in guard(profile, body) if problem.severity == "error"]
    if any(problems):
        return
    place = body.get("hyperparameters") or body["method"]["supervised"]["hyperparameters"]
    sent = place.get(profile.rate.field)
    if value == "auto":
        assert sent in (None, "auto")
    else:
        assert sent == value
        absolute = profile.rate.semantics == "absolute"
        assert kind == ("learning_rate" if absolute else "learning_rate_multiplier")
        assert sent <= MAX_ABSOLUTE_RATE if absolute else sent >= MIN_MULTIPLIER


def test_golden_bodies() -> None:
    auto = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    metadata = {"team": "blue", **IDENTITY}
    assert body_of("openai", auto) == {
        "model": "m",
        "training_file": "file-1",
        "method": {"type": "supervised", "supervised": {"hyperparameters": auto}},
        "seed": 7,
        "suffix": "demo-01234567",
        "metadata": metadata,
    }
    azure = body_of("azure", auto, suffix="a.long.name.of.ours", validation_file="file-2")
    assert azure["trainingType"] == "GlobalStandard"
    assert azure["validation_file"] == "file-2"
    assert azure["suffix"] == "a-long-na-01234567"
    assert len(azure["suffix"]) == 18
    nebius = body_of("nebius", {"n_epochs": 3, "batch_size": "auto", "learning_rate": 2e-5})
    assert nebius["hyperparameters"] == {"n_epochs": 3, "learning_rate": 2e-5}
    assert "method" not in nebius


@given(st.sampled_from(profile_ids()), st.one_of(st.none(), st.from_regex(r"[A-Za-z0-9-]{1,40}", fullmatch=True)))
def test_a_suffix_always_carries_the_whole_mark(profile_id: str, suffix: str | None) -> None:
    profile = load_profile(profile_id)
    made = job_suffix(profile, suffix, IDENTITY[KEY])
    assert made.endswith("01234567")
    assert len(made) <= profile.job.suffix.max


def test_names_of_the_attempt_stay_out_of_the_normalised_digest() -> None:
    hp = {"n_epochs": 3}
    one = body_of("openai", hp)
    two = body_of("openai", hp, suffix="x", metadata={}, training_file="file-9", identity=IDENTITY | {KEY: "f" * 32})
    sha256 = "12" * 32
    assert normalised_sha256(one, {"file-1": sha256}) == normalised_sha256(two, {"file-9": sha256})
    assert normalised_sha256(one, {"file-1": sha256}) != normalised_sha256(one, {"file-1": "34" * 32})
    assert normalised_sha256(one, {"file-1": sha256}) != normalised_sha256(
        body_of("openai", {"n_epochs": 4}), {"file-1": sha256}
    )


def test_addresses() -> None:
    assert codes(Provider(profile="openai_compatible"), "m") == {"missing_base_url": "error"}
    assert codes(Provider(profile="azure"), "gpt-4.1-2025-04-14")["missing_base_url"] == "error"
    assert codes(Provider(base_url="http://localhost:8000/v1"), "tiny") == {"no_effect": "error"}


def test_prices_are_known_or_unknown_but_never_zero_by_silence() -> None:
    assert training_price(load_profile("embedded"), "tiny") == 0.0
    assert training_price(load_profile("openai"), "gpt-4.1-mini-2025-04-14") is None
    assert training_price(load_profile("nebius"), "meta-llama/Llama-3.1-8B-Instruct") == 0.40


@pytest.mark.parametrize(
    ("today", "text"),
    [
        (date(2027, 1, 5), "about 2027-01-06"),
        (date(2027, 1, 7), "about 2027-01-06"),
        (date(2027, 1, 13), "on 2027-01-14"),
        (date(2027, 1, 14), "since 2027-01-14"),
    ],
)
def test_the_calendar_warns_and_never_refuses(today: date, text: str) -> None:
    found = check(Provider(profile="openai"), "gpt-4o-mini-2024-07-18", Hyperparameters(), today=today)
    assert any(text in problem.message for problem in found)
    assert all(problem.severity == "warning" for problem in found)
    assert all("read on" in problem.fix for problem in found if problem.code in ("create_closed", "inference_off"))


def test_masks_and_small_data_are_told() -> None:
    compatible = Provider(profile="openai_compatible", base_url="https://example.com/v1")
    found = check(compatible, "m", Hyperparameters(), masked=True, rows=5)
    assert {problem.code for problem in found} == {"mask_not_native", "n_rows"}
    assert check(Provider(), "tiny", Hyperparameters(), masked=True, rows=10) == []


def test_planning_imports_neither_the_sdk_nor_numpy() -> None:
    code = (
        "import sys\n"
        "from ftspec.providers.profiles import check, load_profile, models_of\n"
        "from ftspec.spec.experiment import Hyperparameters, Provider\n"
        "assert check(Provider(), 'tiny', Hyperparameters()) == []\n"
        "import ftspec.providers.connect, ftspec.providers.jobs\n"
        "print(sorted(set(sys.modules) & {'openai', 'numpy', 'httpx2', 'starlette'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
