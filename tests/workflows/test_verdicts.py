"""What two results say to each other, with plain values: equivalence, conclusions, bits, and how verdicts add up."""

from collections.abc import Iterable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ftspec.evals.compare import Measured
from ftspec.evals.metrics import Values, metrics_of
from ftspec.spec.errors import Exit
from ftspec.spec.suite import Compare, LabelGrader
from ftspec.workflows.reproduction.bits import Weights, judge_bits
from ftspec.workflows.reproduction.conclusion import Claim, Standing, claim_of, judge_conclusion
from ftspec.workflows.reproduction.equivalent import judge_equivalent, judge_unpaired, provable_margin
from ftspec.workflows.reproduction.verdicts import LEVELS, Reproduction, Subject, Verdict, Word, together, worst

ACCURACY = metrics_of(LabelGrader(type="label"))["accuracy"]
WORDS: tuple[Word, ...] = ("reproduced", "differs", "inconclusive", "impossible")


def measured(right: Iterable[float], name: str = "run", errors: float = 0.0, suite: str = "sha256:0") -> Measured:
    values = Values("queue.accuracy", ACCURACY, {f"i{i}": value for i, value in enumerate(right)})
    return Measured(name, suite, values, error_rate=errors)


def paired(only_before: int, only_after: int, n: int) -> tuple[Measured, Measured]:
    before = [1.0] * only_before + [0.0] * only_after + [1.0] * (n - only_before - only_after)
    after = [0.0] * only_before + [1.0] * only_after + [1.0] * (n - only_before - only_after)
    return measured(before), measured(after)


@cache
def word_of(only_before: int, only_after: int, n: int, margin: float) -> Word:
    return judge_equivalent("s", *paired(only_before, only_after, n), Compare(margin=margin)).word


def chance_of(word: Word, n: int, discordant: float, gap: float, margin: float) -> float:
    """The exact probability of a word where `discordant` of the items differ and the rates are `gap` apart."""
    lost, gained = (discordant + gap) / 2, (discordant - gap) / 2
    total = 0.0
    for b, p_b in enumerate(stats.binom.pmf(range(n + 1), n, lost)):
        if p_b < 1e-5:
            continue
        chances = p_b * stats.binom.pmf(range(n - b + 1), n - b, min(1.0, gained / (1 - lost)))
        total += sum(p for c, p in enumerate(chances) if p > 1e-6 and word_of(b, c, n, margin) == word)
    return total


@pytest.mark.parametrize(("n", "margin"), [(50, 0.05), (50, 0.1), (100, 0.05), (100, 0.1)])
def test_a_gap_of_the_margin_is_called_reproduced_at_alpha(n: int, margin: float) -> None:
    """Exact enumeration through the verdict itself: at most alpha + 0.5 points (either side of zero: the next test).

    Tango's interval alone says 5.8 % at 100 items, a margin of 10 points and all discordance on one side.
    """
    for discordant in (margin, margin + 0.05):
        assert chance_of("reproduced", n, discordant, margin, margin) <= 0.055, discordant


def test_equal_runs_are_confirmed_as_often_as_promised() -> None:
    """Ten per cent of 100 items differ at random: the provable margin is confirmed about nine times in ten."""
    assert chance_of("reproduced", 100, 0.1, 0.0, provable_margin(100)) == pytest.approx(0.88, abs=0.03)
    assert chance_of("differs", 100, 0.1, 0.0, 0.05) < 1e-2


@pytest.mark.parametrize(("n", "points"), [(100, 11.5), (200, 7.7), (500, 4.8), (1000, 3.3)])
def test_the_provable_margin_is_about_the_exact_one(n: int, points: float) -> None:
    assert provable_margin(n) * 100 == pytest.approx(points, abs=0.3)


def test_equivalence_has_four_outcomes() -> None:
    assert word_of(0, 0, 100, 0.05) == "reproduced"
    assert word_of(30, 2, 100, 0.05) == "differs"
    crossing = judge_equivalent("s", *paired(3, 2, 100), Compare(margin=0.03))
    assert crossing.word == "inconclusive"
    assert crossing.needs is not None
    assert crossing.needs > 100
    assert word_of(0, 0, 12, 0.2) == "inconclusive", "0.8 ** 12 = 6.9 %, though the interval ends at 18.4 points"
    assert word_of(0, 0, 12, 0.25) == "reproduced"
    undeclared = judge_equivalent("s", *paired(0, 0, 100), Compare())
    assert undeclared.word == "inconclusive"
    assert "compare: {margin" in undeclared.what[1]
    broken = judge_equivalent("s", measured([1.0] * 50), measured([1.0] * 50, errors=0.5), Compare(margin=0.5))
    assert broken.word == "inconclusive"
    other = judge_equivalent("s", measured([1.0]), measured([1.0], suite="sha256:1"), Compare(margin=0.5))
    assert other.word == "differs"


@given(st.integers(0, 20), st.integers(0, 20), st.sampled_from([0.02, 0.05, 0.1, 0.3]))
def test_the_order_of_the_two_runs_decides_nothing(b: int, c: int, margin: float) -> None:
    assert word_of(b, c, 60, margin) == word_of(c, b, 60, margin)


def test_without_items_the_interval_is_wider_and_says_so() -> None:
    interval = (0.80, 0.93)
    loose = judge_unpaired("s", (0.88, interval, 100), (0.88, interval, 100), Compare(margin=0.1))
    assert loose.word == "reproduced"
    assert "unpaired" in loose.what[0]
    assert (
        judge_unpaired("s", (0.88, interval, 100), (0.88, interval, 100), Compare(margin=0.05)).word == "inconclusive"
    )
    assert judge_unpaired("s", (0.88, interval, 100), (0.3, (0.2, 0.4), 100), Compare(margin=0.1)).word == "differs"
    assert judge_unpaired("s", (0.88, None, 100), (0.88, interval, 100), Compare(margin=0.1)).word == "inconclusive"


def standing(label: str, rank: float, right: int, n: int = 100) -> Standing:
    return Standing(label, rank, measured([1.0] * right + [0.0] * (n - right)).values)


def test_a_conclusion_by_loss_is_a_fact_and_its_sign_is_drawn() -> None:
    base = standing("base", 0, 40).values
    old = [standing("a", 0.1, 90), standing("b", 0.2, 88)]
    claim = claim_of("valid_loss", old, "a", base)
    assert (claim.order, claim.sign) == (("a", "b"), 1)
    kept = judge_conclusion(claim, claim, old, base, same=False)
    assert kept.word == "reproduced"
    turned = [standing("a", 0.2, 90), standing("b", 0.1, 88)]
    lost = judge_conclusion(claim, claim_of("valid_loss", turned, "b", base), turned, base, same=False)
    assert (lost.word, lost.exit_code) == ("differs", Exit.NOT_EQUIVALENT)
    assert "winner b by valid_loss, not a" in lost.what[0]
    level = [standing("a", 0.1, 41), standing("b", 0.2, 30)]
    unsure = judge_conclusion(claim, claim_of("valid_loss", level, "a", base), level, base, same=False)
    assert unsure.word == "inconclusive"


def test_a_conclusion_by_score_needs_a_lead_that_items_can_show() -> None:
    """The winner's items are a superset of the runner-up's: drawing items cannot turn them; another order can."""
    near = [standing("a", -0.90, 90), standing("b", -0.88, 88)]
    claim = claim_of("s.accuracy", near, "a", None)
    assert judge_conclusion(claim, claim, near, None, same=False).word == "reproduced"
    crossed = measured([0.0] * 12 + [1.0] * 88).values
    level = [standing("a", -0.90, 90), Standing("b", -0.88, crossed)]
    assert judge_conclusion(claim, claim, level, None, same=False).word == "inconclusive"
    assert judge_conclusion(claim, claim, level, None, same=True).word == "reproduced"
    worse = [standing("a", -0.50, 50), standing("b", -0.90, 90)]
    lost = judge_conclusion(claim, claim_of("s.accuracy", worse, "b", None), worse, None, same=False)
    assert lost.word == "differs"


def test_a_winner_that_is_unknown_now_is_lost() -> None:
    claim = Claim("gone", "s.accuracy", (), None)
    now = [standing("a", -0.9, 90)]
    assert judge_conclusion(claim, claim_of("s.accuracy", now, "a", None), now, None, same=False).word == "differs"


def test_bits() -> None:
    now = Weights("a" * 64, "fp_1", "now")
    same, other = Weights("a" * 64, "fp_1", "attempt 001"), Weights("b" * 64, "fp_1", "attempt 001")
    assert judge_bits([same], now, []).word == "reproduced"
    assert judge_bits([other], now, []).word == "differs"
    assert judge_bits([same], now, ["s: 1 of 5 answers differ"]).word == "differs"
    assert judge_bits([Weights("b" * 64, "fp_2", "attempt 001")], now, []).word == "impossible"
    assert judge_bits([Weights("a" * 64, "fp_2", "attempt 001")], now, []).word == "reproduced"
    assert judge_bits([Weights(None, None, "attempt 001")], now, []).word == "impossible"
    assert judge_bits([], now, []).word == "impossible"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("word", WORDS)
def test_exit_codes(level: str, word: Word) -> None:
    expected = {"reproduced": 0, "inconclusive": 13, "impossible": 14}
    differs = {"config": 10, "inputs": 10, "bits": 11, "scores": 11, "equivalent": 12, "conclusion": 12}
    verdict = Verdict(level, word)  # type: ignore[arg-type]
    assert int(verdict.exit_code) == expected.get(word, differs[level])


def test_verdicts_add_up_to_the_worst() -> None:
    found = [Verdict("equivalent", word, (word,), needs=n) for n, word in enumerate(WORDS)]
    assert worst(found).word == "differs"
    assert worst(found[2:]).word == "impossible"
    assert together("equivalent", [found[0], found[2]]).needs == 2
    assert together("equivalent", []).word == "impossible"
    subjects = tuple(Subject("", "", (verdict,)) for verdict in found)
    assert Reproduction("e", "equivalent", subjects).to_json()["verdict"]["verdict"] == "differs"
    moved = Verdict("equivalent", "reproduced", transfer=True)
    assert moved.shown == "holds after transfer"
    assert moved.to_json()["verdict"] == "transferred"
