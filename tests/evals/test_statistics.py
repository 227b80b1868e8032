"""Every interval and test against scipy, statsmodels, or a numerical optimum."""

import math
import random

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special, stats
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from ftspec.evals.statistics.bootstrap import bootstrap, paired_bootstrap, resamples
from ftspec.evals.statistics.detectable import items_needed, smallest_difference
from ftspec.evals.statistics.distributions import beta_cdf, binomial_cdf, normal_cdf, normal_quantile, t_cdf, t_quantile
from ftspec.evals.statistics.equivalence import exact_p, within_margin
from ftspec.evals.statistics.holm import holm
from ftspec.evals.statistics.mcnemar import mcnemar
from ftspec.evals.statistics.means import mean_interval, paired_t, standard_error
from ftspec.evals.statistics.permutation import sign_flip
from ftspec.evals.statistics.tango import tango, tango_score
from ftspec.evals.statistics.wilson import wilson

EXACT = 1e-9


def test_distributions_equal_scipy() -> None:
    stream = random.Random(5)
    for _ in range(500):
        a, b, x = stream.uniform(0.2, 300), stream.uniform(0.2, 300), stream.random()
        assert beta_cdf(x, a, b) == pytest.approx(special.betainc(a, b, x), abs=1e-11)
    for p in (0.0005, 0.025, 0.3, 0.5, 0.9, 0.975, 0.9999):
        assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), abs=EXACT)
        for df in (1, 2, 4, 9.5, 30, 999, 1e5):
            assert t_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=EXACT, abs=EXACT)
    for t in (-8.0, -1.2, 0.0, 0.4, 5.0):
        assert t_cdf(t, 7) == pytest.approx(stats.t.cdf(t, 7), abs=1e-12)
        assert normal_cdf(t) == pytest.approx(stats.norm.cdf(t), abs=1e-12)
    for n, k in ((1, 0), (10, 3), (1000, 480), (20_000, 9_900)):
        assert binomial_cdf(k, n) == pytest.approx(stats.binom.cdf(k, n, 0.5), rel=1e-8)
    assert binomial_cdf(-1, 5) == 0
    assert binomial_cdf(5, 5) == 1


@given(st.integers(1, 3000), st.floats(0, 1), st.sampled_from([0.01, 0.05, 0.1]))
@settings(max_examples=100, deadline=None)
def test_wilson_equals_statsmodels(n: int, share: float, alpha: float) -> None:
    k = round(share * n)
    low, high = wilson(k, n, alpha)
    expected = proportion_confint(k, n, alpha, method="wilson")
    assert (low, high) == pytest.approx(expected, abs=EXACT)
    assert 0 <= low <= k / n <= high <= 1


def test_an_interval_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        wilson(0, 0)
    with pytest.raises(ValueError, match="at least one"):
        tango(0, 0, 0)


@given(st.integers(0, 300), st.integers(0, 300))
@settings(max_examples=150, deadline=None)
def test_mcnemar_equals_statsmodels(b: int, c: int) -> None:
    if b + c:
        expected = sm_mcnemar([[0, b], [c, 0]], exact=True).pvalue
        assert mcnemar(b, c) == pytest.approx(expected, rel=EXACT)
    assert mcnemar(b, c) == mcnemar(c, b)


def test_five_discordant_items_say_nothing_and_six_speak() -> None:
    assert mcnemar(5, 0) == pytest.approx(0.0625)
    assert mcnemar(6, 0) == pytest.approx(0.03125)
    assert mcnemar(0, 0) == 1.0


def _constrained_score(b: int, c: int, n: int, gap: float) -> float:
    """The score statistic with the cell estimated by numerical maximum likelihood under the gap."""

    def minus_log_likelihood(q: float) -> float:
        cells = ((b, q + gap), (c, q), (n - b - c, 1 - 2 * q - gap))
        return -sum(count * math.log(p) for count, p in cells if count)

    low, high = max(0.0, -gap), (1 - gap) / 2
    found = optimize.minimize_scalar(
        minus_log_likelihood, bounds=(low + 1e-13, high - 1e-13), method="bounded", options={"xatol": 1e-13}
    )
    q = float(found.x)
    return (b - c - n * gap) / math.sqrt(n * (2 * q + gap - gap * gap))


def test_tango_equals_a_numerical_optimum() -> None:
    stream = random.Random(3)
    for _ in range(150):
        n = stream.randint(5, 400)
        b = stream.randint(1, n // 3 + 1)
        c = stream.randint(1, n // 3 + 1)
        if b + c >= n:
            continue
        gap = stream.uniform(-0.5, 0.5)
        assert tango_score(b, c, n, gap) == pytest.approx(_constrained_score(b, c, n, gap), abs=1e-5)


@given(st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=150, deadline=None)
def test_tango_solves_its_own_equation_and_is_never_empty(n: int, share: float, side: float) -> None:
    discordant = round(share * n)
    b = round(side * discordant)
    c = discordant - b
    low, high = tango(b, c, n)
    assert -1 <= low < high <= 1
    assert low <= (b - c) / n <= high
    mirrored = tango(c, b, n)
    assert (-mirrored[1], -mirrored[0]) == pytest.approx((low, high), abs=1e-9)
    z = stats.norm.ppf(0.975)
    for bound, target in ((low, z), (high, -z)):
        if abs(bound) < 1 - 1e-9:
            assert tango_score(b, c, n, bound) == pytest.approx(target, abs=1e-4)


def test_tango_covers_where_nothing_differs() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    assert tango(0, 0, 100)[1] == pytest.approx(z2 / (100 + z2), abs=EXACT)


def test_false_equivalence_at_the_margin_stays_below_alpha() -> None:
    # Exact enumeration: the true gap equals the margin, so "equivalent" is wrong; Wald would say it up to 12 %.
    n, margin = 200, 0.05
    for discordant in (0.05, 0.1, 0.2):
        b_share, c_share = (discordant + margin) / 2, (discordant - margin) / 2
        wrong = 0.0
        for b in range(60):
            p_b = stats.binom.pmf(b, n, b_share)
            if p_b < 1e-7:
                continue
            rest = n - b
            for c in range(50):
                p = p_b * stats.binom.pmf(c, rest, c_share / (1 - b_share))
                if p < 1e-7:
                    continue
                low, high = tango(b, c, n, 0.1)
                wrong += p * (-margin < low and high < margin)
        assert wrong <= 0.055


def test_means_equal_scipy_and_clusters_equal_statsmodels() -> None:
    stream = np.random.default_rng(1)
    for _ in range(20):
        values = stream.normal(0.3, 1, 60)
        clusters = stream.integers(0, 9, 60)
        expected = stats.t.interval(0.95, 59, values.mean(), stats.sem(values))
        assert mean_interval(values.tolist()) == pytest.approx(expected, abs=EXACT)
        assert paired_t(values.tolist()) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-8)
        fit = sm.OLS(values, np.ones(60)).fit(cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True)
        error, df = standard_error(values.tolist(), clusters.tolist())
        assert error == pytest.approx(float(fit.bse[0]), rel=EXACT)
        assert df == len(set(clusters.tolist())) - 1
        low, high = mean_interval(values.tolist(), 0.05, clusters.tolist())
        assert (low, high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-8)


def test_too_little_data_says_so() -> None:
    assert all(map(math.isnan, mean_interval([1.0])))
    assert all(map(math.isnan, mean_interval([1.0, 0.0], 0.05, ["a", "a"])))
    assert paired_t([0.5]) == 1.0


def test_sign_flips_equal_scipy() -> None:
    stream = random.Random(2)
    few = [stream.uniform(-1, 1.5) for _ in range(11)]
    exact = stats.permutation_test((np.array(few),), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert sign_flip(few) == pytest.approx(exact, abs=EXACT)
    many = [stream.uniform(-1, 1.15) for _ in range(200)]
    assert sign_flip(many) == pytest.approx(stats.ttest_1samp(many, 0).pvalue, abs=0.02)
    assert sign_flip(many) == sign_flip(many)
    assert sign_flip([0.0] * 50) == 1.0
    # By cluster the units are the sums: two clusters can never speak.
    assert sign_flip([1.0] * 20, ["a"] * 10 + ["b"] * 10) == 0.5


def test_the_bootstrap_has_its_own_stream_and_agrees_with_theory() -> None:
    random.seed(1)
    state = random.getstate()
    evidence = [1] * 60 + [0] * 140

    def rate(drawn: object) -> float:
        return drawn[1] / 200  # type: ignore[index]

    found = bootstrap(evidence, rate)
    assert random.getstate() == state
    assert found.draws == bootstrap(evidence, rate).draws
    low, high = found.interval()
    assert low == pytest.approx(0.3 - 1.96 * math.sqrt(0.3 * 0.7 / 200), abs=0.012)
    assert high == pytest.approx(0.3 + 1.96 * math.sqrt(0.3 * 0.7 / 200), abs=0.012)
    same = paired_bootstrap(evidence, evidence, rate, draws=200)
    assert set(same.draws) == {0.0}
    assert same.p_value() == 1.0


def test_clusters_are_drawn_whole() -> None:
    for drawn in resamples(6, ["a", "a", "b", "b", "b", "c"], draws=50):
        assert drawn.count(0) == drawn.count(1)
        assert drawn.count(2) == drawn.count(3) == drawn.count(4)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=EXACT)


def test_the_table_of_detectable_differences() -> None:
    table = {0.2: (16.5, 12.1, 8.7, 6.2, 3.9), 0.1: (11.6, 8.5, 6.1, 4.4, 2.8)}
    for discordant, points in table.items():
        for n, expected in zip((50, 100, 200, 400, 1000), points, strict=True):
            # The published formula, and half an item for the exact test.
            assert 100 * (smallest_difference(n, discordant) - 0.5 / n) == pytest.approx(expected, abs=0.06)
    assert 100 * (smallest_difference(100, 0.1, comparisons=12) - 0.005) == pytest.approx(11.0, abs=0.06)
    assert smallest_difference(0) == math.inf
    assert items_needed(0.0) is None


@given(st.floats(0.005, 0.9), st.floats(0.01, 0.6))
@settings(max_examples=50, deadline=None)
def test_the_items_needed_make_the_difference_detectable(difference: float, discordant: float) -> None:
    n = items_needed(difference, discordant)
    assert n is not None
    assert smallest_difference(n, max(discordant, difference)) <= difference
    assert n >= 6 / difference


def _power(n: int, discordant: float, difference: float) -> float:
    """Exact probability that McNemar's test finds a gain of `difference`, at level 0.05."""
    found = 0.0
    share = (discordant + difference) / 2 / discordant
    for m in range(n + 1):
        p_m = stats.binom.pmf(m, n, discordant)
        if p_m < 1e-8:
            continue
        least = next((b for b in range(m // 2 + 1, m + 1) if mcnemar(m - b, b) < 0.05), None)
        if least is not None:
            found += p_m * stats.binom.sf(least - 1, m, share)
    return found


@pytest.mark.parametrize("n", [50, 100, 200, 400])
@pytest.mark.parametrize("discordant", [0.15, 0.2, 0.3])
def test_an_effect_of_the_stated_size_is_found(n: int, discordant: float) -> None:
    difference = smallest_difference(n, discordant)
    if difference < discordant:
        assert _power(n, discordant, difference) >= 0.75


def test_the_exact_p_value_equals_a_whole_enumeration() -> None:
    n, margin, b, c = 30, 0.1, 1, 2
    observed = tango_score(b, c, n, margin)
    largest = 0.0
    for share in (0.0, 0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.44):
        total = 0.0
        for x in range(n + 1):
            for y in range(n + 1 - x):
                if tango_score(x, y, n, margin) <= observed + 1e-9:
                    shares = [share + margin, share, 1 - margin - 2 * share]
                    total += stats.multinomial.pmf([x, y, n - x - y], n, shares)
        largest = max(largest, total)
    assert exact_p(b, c, n, margin) == pytest.approx(largest, rel=0.03)


def test_the_exact_test_refuses_what_tango_lets_through_at_one_sided_discordance() -> None:
    assert tango(5, 0, 100, 0.1)[1] < 0.1
    assert exact_p(5, 0, 100, 0.1) == pytest.approx(stats.binom.cdf(5, 100, 0.1), abs=1e-6)
    assert not within_margin(5, 0, 100, 0.1, 0.05)
    assert not within_margin(0, 5, 100, 0.1, 0.05)
    assert within_margin(4, 0, 100, 0.1, 0.05)
    assert within_margin(0, 0, 5_000, 0.01, 0.05)
