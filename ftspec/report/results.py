"""The table of an experiment's scores for a terminal."""

from collections.abc import Iterator

from ftspec.evals.compare import Comparison
from ftspec.report.problems import visible
from ftspec.report.style import columns, duration, interval, paint, points
from ftspec.workflows.results import Results, RunRow

_WORDS = {"better": "green", "worse": "red", "invalid": "red", "not comparable": "yellow"}


def result_lines(results: Results, *, colour: bool) -> Iterator[str]:
    """Yield baselines, one row a run and suite, the pick and one flip."""
    for suite in results.suites:
        yield from _baseline_line(results, suite, colour)
    yield from _table(results, colour)
    yield from _pick(results, colour)
    yield from _flip(results, colour)


def _baseline_line(results: Results, suite: str, colour: bool) -> Iterator[str]:
    rows = [row for row in results.baselines if row.suite == suite]
    if not rows:
        return
    shown = []
    for row in rows:
        estimate = row.scores.metrics[row.metric]
        shown.append(f"{visible(row.arm)} {interval(estimate.value, estimate.low, estimate.high)}")
    yield f"{paint('baseline', 'dim', colour)}  {suite} ({rows[0].metric}): " + "   ".join(shown)


def _table(results: Results, colour: bool) -> Iterator[str]:
    suites = results.suites or ("",)
    several = len(suites) > 1
    for suite in suites:
        against = results.baseline_arms.get(suite)
        head = ["", f"run ({suite})" if several else "run", "valid loss", "score [95 %]"]
        head += [f"vs {against}" if against else "", "verdict", "time"]
        rows = [[paint(cell, "dim", colour) for cell in head]]
        rows += [_row(results, run, suite, colour) for run in results.runs]
        yield from columns(rows, right=frozenset({2, 6}), gap="  ")


def _row(results: Results, run: RunRow, suite: str, colour: bool) -> list[str]:
    star = "*" if results.pick and run.label == results.pick.label else ""
    loss = "-" if run.valid_loss is None else f"{run.valid_loss:.3f}"
    difference, verdict = _difference(run.comparisons.get(suite))
    if run.status != "trained":
        verdict = run.status
    seconds = "-" if run.seconds is None else duration(run.seconds)
    word = paint(verdict, _WORDS[verdict], colour) if verdict in _WORDS else verdict
    return [star, visible(run.label), loss, interval(*run.primary(suite)), difference, word, seconds]


def _difference(comparison: Comparison | None) -> tuple[str, str]:
    if comparison is None:
        return "-", "-"
    if comparison.difference is None or comparison.low is None or comparison.high is None:
        return "-", comparison.verdict
    return points(comparison.difference, comparison.low, comparison.high), comparison.verdict


def _pick(results: Results, colour: bool) -> Iterator[str]:
    pick = results.pick
    if pick is None:
        return
    text = f"{paint('pick', 'dim', colour)}    * {visible(pick.label)} by {pick.by}"
    if pick.comparison is not None and pick.runner_up is not None:
        difference, verdict = _difference(pick.comparison)
        text += f"; on score against the runner-up {visible(pick.runner_up)}: {verdict} ({difference})"
    yield text + "; one training seed each: differences include training noise"


def _flip(results: Results, colour: bool) -> Iterator[str]:
    flip = results.flip
    if flip is None:
        return
    said = f'"{_cut(flip.text)}"   base "{_cut(flip.baseline)}" -> tuned "{_cut(flip.tuned)}"'
    yield f"{paint('flip', 'dim', colour)}    {said}"


def _cut(text: str, width: int = 48) -> str:
    shown = visible(text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"
