"""A gate that is set otherwise is called loosened only where it lets through more than before."""

from typing import Any

import pytest

from ftspec.spec.policy import Policy
from ftspec.workflows.review.gates import differences


@pytest.mark.parametrize(
    ("old", "new", "loosened"),
    [
        ({"max_usd": 2}, {"max_usd": 200}, True),
        ({"max_usd": 200}, {"max_usd": 2}, False),
        ({"max_usd": 2}, {}, True),
        ({}, {"max_usd": 2}, False),
        ({"no_new_overlap": True}, {}, True),
        ({}, {"no_new_overlap": True}, False),
        ({}, {"accept_unknown": True}, True),
        ({"accept_unknown": True}, {}, False),
        ({"required_suites": ["a", "b"]}, {"required_suites": ["a"]}, True),
        ({"required_suites": ["a"]}, {"required_suites": ["b"]}, False),
        ({"models": ["a"]}, {"models": ["a", "b"]}, True),
        ({"models": ["a", "b"]}, {"models": ["a"]}, False),
        ({"models": ["a"]}, {}, True),
    ],
)
def test_loosened(old: dict[str, Any], new: dict[str, Any], loosened: bool) -> None:
    (told,) = differences(Policy.model_validate(old), Policy.model_validate(new))
    assert told.startswith("loosened ") == loosened
