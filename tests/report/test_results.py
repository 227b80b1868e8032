"""The lines after a sweep: what the pick rests on."""

from types import SimpleNamespace
from typing import Any

import pytest

from ftspec.evals.compare import Measured, compare
from ftspec.evals.metrics import Values, metrics_of
from ftspec.report.results import _pick
from ftspec.spec.suite import Compare, LabelGrader
from ftspec.workflows.winner import Pick

ACCURACY = metrics_of(LabelGrader(type="label"))["accuracy"]


def line(gained: int, margin: float | None = None) -> str:
    def arm(name: str, right: int) -> Measured:
        values = {f"i{n}": float(n < right) for n in range(100)}
        return Measured(name, "sha256:0", Values("queue.accuracy", ACCURACY, values))

    found = compare(arm("b", 94), arm("a", 94 + gained), Compare(margin=margin))
    results: Any = SimpleNamespace(pick=Pick("a", "valid_loss", "b", found, seeds=3))
    return next(_pick(results, False))


@pytest.mark.parametrize(
    ("gained", "margin", "said"),
    [
        (5, None, "cannot tell (+5 [+1..+11], p = 0.063)"),  # the interval leaves 0 out, the exact test does not
        (3, None, "cannot tell (+3 [-1..+8])"),
        (6, None, "better (+6 [+2..+12])"),
        (5, 0.15, "equivalent (+5 [+1..+11])"),
        (3, 0.15, "equivalent (+3 [-1..+8])"),
    ],
)
def test_cannot_tell_beside_an_interval_without_zero_names_its_p(gained: int, margin: float | None, said: str) -> None:
    assert line(gained, margin).endswith(f"runner-up b: {said}")
