"""What a reader of a table of scores must know: verdicts that the interval beside them does not explain."""

from collections.abc import Iterator, Sequence

from ftspec.evals.compare import Comparison
from ftspec.workflows.results import Results

_MOST = 3


def verdict_notes(results: Results, suite: str) -> Iterator[tuple[str, str]]:
    """Yield (word, sentence) for one suite's table: what `equivalent` rests on, and what decided against an interval.

    Intervals are of one comparison, at the suite's alpha; verdicts are by p, corrected (Holm) over all comparisons with
    one baseline. McNemar's test of 0/1 items is exact and Tango's interval is not, so that both may differ by a hair.
    """
    tables = [(run.label, found) for run in results.runs for found in (run.comparisons, run.best)]
    made = [(label, found[suite]) for label, found in tables if suite in found]
    if any(one.verdict == "equivalent" for _, one in made):
        yield "margin", f"equivalent: by less than {_margin(results, suite)}, the margin that the suite declares"
    odd = [(label, one) for label, one in made if against_interval(one)]
    corrected = [(label, one) for label, one in odd if one.p != one.p_adjusted]
    exact = [(label, one) for label, one in odd if one.p == one.p_adjusted]
    if corrected:
        counts = sorted({one.family for _, one in corrected})
        many = " and ".join(map(str, counts))
        yield "holm", f"verdicts are corrected for {many} comparisons, intervals are not: {_listed(corrected)}"
    if exact:
        yield "exact", f"the test is exact, the interval nearly so: {_listed(exact)}"


def against_interval(comparison: Comparison) -> bool:
    """Tell whether a verdict is another than its interval alone would say."""
    low, high = comparison.low, comparison.high
    if low is None or high is None:
        return False
    if comparison.verdict == "cannot tell":
        return not low <= 0 <= high
    return low <= 0 <= high and comparison.verdict in ("better", "worse")


def p_values(comparison: Comparison) -> str:
    """Return the p value that decided, with what it was before it was corrected: `p = 0.031 -> 0.12`."""
    if comparison.p is None or comparison.p_adjusted is None:
        return ""
    before = "" if comparison.p == comparison.p_adjusted else f"{comparison.p:.2g} -> "
    return f"p = {before}{comparison.p_adjusted:.2g}"


def _listed(found: Sequence[tuple[str, Comparison]]) -> str:
    told = [f"{label} {one.verdict}, {p_values(one)} (vs {one.baseline})" for label, one in found[:_MOST]]
    return "; ".join(told) + (f"; and {len(found) - _MOST} more" if len(found) > _MOST else "")


def _margin(results: Results, suite: str) -> str:
    margin = results.margins.get(suite)
    return "the margin" if margin is None else f"{margin * 100:g} points"
