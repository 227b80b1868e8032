"""The lines after a sweep: what the pick rests on."""

from types import SimpleNamespace
from typing import Any

import pytest

from ftspec.evals.compare import Measured, compare, compare_all
from ftspec.evals.metrics import Values, metrics_of
from ftspec.report.notes import verdict_notes
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


def notes(*gained: int, margin: float | None = None) -> dict[str, str]:
    """The notes under a table of runs that are compared with one arm of 90 in 100."""

    def arm(name: str, right: int) -> Measured:
        values = {f"i{n}": float(n < right) for n in range(100)}
        return Measured(name, "sha256:0", Values("queue.accuracy", ACCURACY, values))

    runs = [arm(f"r{number}", 90 + more) for number, more in enumerate(gained)]
    found = compare_all(arm("majority", 90), runs, Compare(margin=margin))
    rows = [SimpleNamespace(label=one.arm, comparisons={"s": one}, best={}) for one in found]
    results: Any = SimpleNamespace(runs=rows, margins={"s": margin})
    return dict(verdict_notes(results, "s"))


def test_a_verdict_that_its_interval_does_not_explain_says_what_decided() -> None:
    assert notes(0, 1, 8) == {}
    corrected = notes(6, 6, 6, 1)["holm"]
    assert corrected.startswith(
        "verdicts are corrected for 4 comparisons, intervals are not: r0 cannot tell, p = 0.031 -> "
    )
    assert corrected.count("cannot tell") == 3
    assert notes(5) == {"exact": "the test is exact, the interval nearly so: r0 cannot tell, p = 0.063 (vs majority)"}
    assert notes(3, margin=0.15) == {"margin": "equivalent: by less than 15 points, the margin that the suite declares"}
    assert notes(6, 6, 6, 6, 6)["holm"].endswith("; and 2 more")
