"""`keep_until` against the dates of profiles, and methods that no shipped profile trains."""

import pytest

from ftspec.providers.profiles import check, profile_ids
from ftspec.spec.experiment import Hyperparameters, Provider


def problems(profile: str, model: str, day: str) -> list[tuple[str, str]]:
    found = check(Provider(profile=profile), model, Hyperparameters(), keep_until=day)
    return [(one.code, one.severity) for one in found if one.code == "keep_until"]


@pytest.mark.parametrize(
    ("profile", "model", "day", "severity"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "2027-01-15", ["error"]),
        ("openai", "gpt-4o-mini-2024-07-18", "2027-01-14", []),
        ("openai", "o4-mini-2025-04-16", "2027-01-01", ["error"]),
        ("openai", "something-new", "2027-06-01", ["hint"]),
        ("nebius", "meta-llama/Llama-3.1-8B-Instruct", "2030-01-01", ["hint"]),
        ("embedded", "tiny", "2099-01-01", []),
    ],
)
def test_dates(profile: str, model: str, day: str, severity: list[str]) -> None:
    assert [level for _, level in problems(profile, model, day)] == severity


@pytest.mark.parametrize("profile", profile_ids())
@pytest.mark.parametrize("method", ["dpo", "reinforcement"])
def test_every_shipped_profile_refuses_other_methods(profile: str, method: str) -> None:
    found = check(Provider(profile=profile), "tiny", Hyperparameters(), method=method)
    told = [one for one in found if one.code == "unknown_method"]
    assert len(told) == 1
    assert told[0].message.startswith(f"{method} is not trained: ")
    assert {"dpo": "preferences", "reinforcement": "graders"}[method] in told[0].message
