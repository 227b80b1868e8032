"""Comparisons: a fixture for each of the six words, and how often they are wrong."""

import random
from typing import Any

import pytest

from ftspec.evals.compare import Measured, compare, compare_all, measured
from ftspec.evals.grade import grade_responses
from ftspec.evals.metrics import Metric, Values, metrics_of
from ftspec.evals.responses import Response
from ftspec.evals.statistics.detectable import smallest_difference
from ftspec.evals.statistics.mcnemar import mcnemar
from ftspec.spec.suite import Compare, LabelGrader

RATE = Metric("item", lambda score, parts: score)


def arm(values: list[float], name: str = "tuned", **more: Any) -> Measured:
    metric = more.pop("metric", RATE)
    clusters = more.pop("clusters", None)
    by_id = {f"i{n}": value for n, value in enumerate(values)}
    passed = {key: value == 1.0 for key, value in by_id.items() if isinstance(value, float)}
    settings: dict[str, Any] = {"eval_digest": "e", "passed": passed} | more
    return Measured(name=name, values=Values("q.accuracy", metric, by_id, clusters), **settings)


BASE = arm([1.0] * 40 + [0.0] * 60, "base")


def test_better_and_worse_with_flips() -> None:
    found = compare(BASE, arm([0.0] * 2 + [1.0] * 58 + [0.0] * 40))
    assert found.verdict == "better"
    assert (found.baseline_value, found.value, found.difference) == (0.4, 0.58, pytest.approx(0.18))
    assert found.low is not None
    assert found.high is not None
    assert 0 < found.low < 0.18 < found.high
    assert found.p == found.p_adjusted == pytest.approx(mcnemar(2, 20))
    assert found.broke == ("i0", "i1")
    assert len(found.fixed) == 20
    assert compare(BASE, arm([0.0] * 100)).verdict == "worse"
    lower = Metric("item", lambda score, parts: score, direction="lower")
    assert compare(arm([1.0] * 40 + [0.0] * 60, metric=lower), arm([0.0] * 100, metric=lower)).verdict == "better"


def test_cannot_tell_says_what_could() -> None:
    found = compare(BASE, arm([1.0] * 36 + [0.0] * 4 + [1.0] * 6 + [0.0] * 54))
    assert found.verdict == "cannot tell"
    assert found.difference == pytest.approx(0.02)
    assert found.detectable == pytest.approx(smallest_difference(100, 0.1))
    assert found.items_needed is not None
    assert 1_900 < found.items_needed < 2_050
    assert "needs about" in found.reason
    same = compare(BASE, BASE)
    assert (same.verdict, same.items_needed, same.p) == ("cannot tell", None, 1.0)
    assert same.low is not None
    assert same.low < 0
    # Nothing differs, yet no claim is made below what six items could show.
    assert same.detectable == pytest.approx(smallest_difference(100, 0.06))


def test_equivalent_goes_before_better() -> None:
    n = 2000
    base = arm([0.0] * n, "base")
    tuned = arm([1.0] * 12 + [0.0] * (n - 12))
    assert compare(base, tuned).verdict == "better"
    assert compare(base, tuned, Compare(margin=0.02)).verdict == "equivalent"
    assert compare(base, tuned, Compare(margin=0.005)).verdict == "better"


def test_not_comparable_goes_before_invalid() -> None:
    broken = arm([1.0] * 100, error_rate=0.5)
    assert compare(BASE, broken).verdict == "invalid"
    assert compare(broken, BASE).verdict == "invalid"
    assert compare(BASE, arm([1.0] * 100, error_rate=0.5, eval_digest="other")).verdict == "not comparable"
    few = compare(BASE, arm([1.0] * 94))
    assert few.verdict == "not comparable"
    assert len(few.missing) == 6
    assert few.difference is None
    enough = compare(BASE, arm([1.0] * 95))
    assert (enough.verdict, enough.n, len(enough.missing)) == ("better", 95, 5)
    # Items with errors were put to both: that is a question of validity, not of comparability.
    asked = frozenset(f"i{n}" for n in range(100))
    erring = arm([1.0] * 90, asked=asked, error_rate=0.1)
    assert compare(BASE, erring).verdict == "invalid"
    assert compare(arm([]), arm([])).verdict == "not comparable"
    none = arm([], asked=asked, error_rate=1.0, max_error_rate=1.0)
    assert compare(BASE, none).verdict == "invalid"


def test_holm_counts_only_what_can_be_compared() -> None:
    near = arm([1.0] * 49 + [0.0] * 51, "near")
    assert compare(BASE, near).verdict == "better"
    others = [arm([1.0] * 40 + [0.0] * 60, f"null{n}") for n in range(12)]
    found = compare_all(BASE, [near, *others])
    assert found[0].p_adjusted == pytest.approx(13 * mcnemar(0, 9))
    assert (found[0].arm, found[0].verdict) == ("near", "cannot tell" if 13 * mcnemar(0, 9) >= 0.05 else "better")
    assert compare_all(BASE, [near, *others], Compare(correction="none"))[0].p_adjusted == mcnemar(0, 9)
    strangers = [arm([1.0] * 100, "x", eval_digest="other") for _ in range(12)]
    assert compare_all(BASE, [*strangers, near])[-1].p_adjusted == mcnemar(0, 9)
    assert compare_all(BASE, []) == []


def test_scores_and_clusters() -> None:
    stream = random.Random(1)
    base = [round(stream.random(), 2) for _ in range(80)]
    better = [min(1.0, value + 0.1) for value in base]
    assert compare(arm(base, "base"), arm(better)).verdict == "better"
    two = {f"i{n}": "ab"[n % 2] for n in range(80)}
    assert compare(arm(base, "base", clusters=two), arm(better, clusters=two)).verdict == "cannot tell"
    shifted = compare(arm([0.5] * 10, "base"), arm([0.75] * 10))
    assert shifted.low is not None
    assert shifted.high is not None
    assert shifted.high - shifted.low > 0.1


def test_corpus_metrics_are_resampled_in_pairs() -> None:
    stream = random.Random(4)
    metric = metrics_of(LabelGrader(type="label"))["macro_f1"]
    truth = ["abc"[n % 3] for n in range(150)]

    def side(right: float, name: str) -> Measured:
        pairs: list[Any] = [((label, label if stream.random() < right else "a"),) for label in truth]
        return arm(pairs, name, metric=metric)

    base = side(0.5, "base")
    found = compare(base, side(0.9, "tuned"))
    assert (found.verdict, found.method) == ("better", "bootstrap")
    assert found.p == pytest.approx(2 / 2001)
    same = compare(base, base)
    assert same.verdict == "cannot tell"
    assert same.low is not None
    assert same.low < 0


def test_grades_of_a_suite_are_compared(suite_of: Any) -> None:
    resolved = suite_of(n=60)
    responses = [
        Response(id=item.id, arm=name, sample=0, key="k", text=item.fields["reference"] if good else "card")
        for name, good in (("few_shot", False), ("tuned", True))
        for item in resolved.items
    ]
    rows = grade_responses(resolved, responses)
    sides = [measured(resolved, rows, name, eval_digest="e") for name in ("few_shot", "tuned")]
    found = compare(*sides)
    assert (found.verdict, found.metric, found.n) == ("better", "queue.accuracy", 60)
    assert len(found.fixed) == 40


def _pair(stream: random.Random, n: int, discordant: float, gain: float) -> tuple[list[float], list[float]]:
    """Two arms that differ on a share of items, the second being right on `gain` more of them."""
    before, after = [], []
    for _ in range(n):
        u = stream.random()
        if u < (discordant + gain) / 2:
            one, two = 0.0, 1.0
        elif u < discordant:
            one, two = 1.0, 0.0
        else:
            one = two = float(stream.random() < 0.7)
        before.append(one)
        after.append(two)
    return before, after


def test_an_a_a_sweep_is_called_better_in_at_most_five_percent() -> None:
    # Twelve runs equal to the baseline, and single comparisons, at several sizes; 3 Monte Carlo errors allowed.
    stream = random.Random(12)
    sweeps = wrong = 0
    for n in (60, 200):
        for _ in range(60):
            base = [float(stream.random() < 0.7) for _ in range(n)]
            arms = []
            for k in range(12):
                values = [v if stream.random() > 0.2 else float(stream.random() < 0.7) for v in base]
                arms.append(arm(values, f"run{k}"))
            found = compare_all(arm(base, "base"), arms)
            sweeps += 1
            wrong += any(c.verdict in ("better", "worse") for c in found)
    assert wrong / sweeps <= 0.05 + 3 * (0.05 * 0.95 / sweeps) ** 0.5


@pytest.mark.parametrize("kind", ["binary", "scores", "clusters"])
def test_equal_arms_are_told_apart_in_at_most_five_percent(kind: str) -> None:
    stream = random.Random(7)
    runs = 300 if kind == "binary" else 120
    wrong = 0
    for _ in range(runs):
        n = 60
        before, after = _pair(stream, n, 0.3, 0.0)
        clusters = None
        if kind == "clusters":
            # Five clusters whose items move together.
            clusters = {f"i{k}": f"c{k % 5}" for k in range(n)}
            moves = [stream.gauss(0, 0.1) for _ in range(5)]
            after = [min(1.0, max(0.0, 0.5 + moves[k % 5] + stream.gauss(0, 0.05))) for k in range(n)]
            before = [0.5] * n
        elif kind == "scores":
            before, after = ([stream.random() for _ in range(n)] for _ in range(2))
        found = compare(arm(before, "base", clusters=clusters), arm(after, clusters=clusters))
        wrong += found.verdict in ("better", "worse")
    assert wrong / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.parametrize("n", [100, 300])
def test_an_effect_of_the_stated_size_is_called_better(n: int) -> None:
    stream = random.Random(99)
    gain = smallest_difference(n, 0.2)
    runs = 300
    found = sum(
        compare(arm(before, "base"), arm(after)).verdict == "better"
        for before, after in (_pair(stream, n, 0.2, gain) for _ in range(runs))
    )
    assert found / runs >= 0.75 - 2 * (0.75 * 0.25 / runs) ** 0.5
