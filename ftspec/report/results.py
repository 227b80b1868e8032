"""The table of an experiment's scores for a terminal."""

from collections.abc import Iterator

from ftspec.evals.compare import Comparison
from ftspec.report.comparison import VERDICTS, cut
from ftspec.report.notes import against_interval, p_values, verdict_notes
from ftspec.report.problems import visible
from ftspec.report.style import columns, duration, interval, paint, points
from ftspec.workflows.results import Results, RunRow


def result_lines(results: Results, *, colour: bool) -> Iterator[str]:
    """Yield baselines, one row a run and suite, the pick and one flip."""
    for suite in results.suites:
        yield from _baseline_line(results, suite, colour)
    yield from _table(results, colour)
    yield from _folds(results, colour)
    yield from _pick(results, colour)
    yield from _flip(results, colour)
    yield from (f"{paint('drift', 'yellow', colour)}   {visible(told)}" for told in results.drift)


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
        best = best_title(results, suite)
        head = ["", f"run ({suite})" if several else "run", "valid loss", "score [95 %]"]
        head += [f"vs {against}" if against else "", "verdict", *([best, ""] if best else []), "training"]
        rows = [[paint(cell, "dim", colour) for cell in head]]
        rows += [_row(results, run, suite, colour) for run in results.runs]
        yield from columns(rows, right=frozenset({2, len(head) - 1}), gap="  ")
        yield from (
            f"{paint(word.ljust(7), 'dim', colour)} {visible(told)}" for word, told in verdict_notes(results, suite)
        )


def best_title(results: Results, suite: str) -> str:
    """Return the head of the column for the best arm without training; empty where the baseline is the best."""
    arms = {run.best[suite].baseline for run in results.runs if suite in run.best}
    return f"vs best: {' or '.join(sorted(arms))}" if arms else ""


def _folds(results: Results, colour: bool) -> Iterator[str]:
    for pooled in results.folds:
        score = interval(pooled.value, pooled.low, pooled.high)
        text = f"{visible(pooled.label)}   {pooled.suite}: {pooled.metric} {score} over {pooled.n:,} held-out rows"
        yield f"{paint('folds', 'dim', colour)}   {text}, {pooled.folds} of {pooled.of} folds"
    if results.folds:
        yield (
            "        this judges the recipe, not one model (folds share training rows: the interval is somewhat too "
            "narrow); the model to ship is one more run on all rows"
        )


def _row(results: Results, run: RunRow, suite: str, colour: bool) -> list[str]:
    star = "*" if results.pick and run.label == results.pick.label else ""
    loss = "-" if run.valid_loss is None else f"{run.valid_loss:.3f}"
    difference, verdict = _difference(run.comparisons.get(suite))
    best, beats = _difference(run.best.get(suite))
    if run.status != "trained":
        verdict = run.status
    seconds = "-" if run.seconds is None else duration(run.seconds)
    more = [best, _word(beats, colour)] if best_title(results, suite) else []
    return [
        star,
        visible(called(run)),
        loss,
        interval(*run.primary(suite)),
        difference,
        _word(verdict, colour),
        *more,
        seconds,
    ]


def _word(verdict: str, colour: bool) -> str:
    return paint(verdict, VERDICTS[verdict], colour) if verdict in VERDICTS else verdict


def called(run: RunRow) -> str:
    """Return a run's label, with the name it has where it lies if that is another."""
    return f"{run.label} (reused: {run.lies})" if run.lies else run.label


def _difference(comparison: Comparison | None) -> tuple[str, str]:
    if comparison is None:
        return "-", "-"
    if comparison.difference is None or comparison.low is None or comparison.high is None:
        return "-", comparison.verdict
    return points(comparison.difference, comparison.low, comparison.high), comparison.verdict


def winner_lines(results: Results, winner: RunRow, *, colour: bool) -> Iterator[str]:
    """Yield the winner: its model, where it lies, its scores, and how sure the choice is."""

    def line(name: str, text: str) -> str:
        return f"{paint(name.ljust(7), 'dim', colour)} {text}"

    yield line("run", f"{paint(visible(called(winner)), 'bold', colour)}   of {results.experiment}")
    yield line("model", visible(winner.model or "unknown"))
    yield line("folder", str(winner.folder))
    for suite, scores in winner.scores.items():
        difference, verdict = _difference(winner.comparisons.get(suite))
        against = results.baseline_arms.get(suite)
        compared = f"   vs {against} {difference} {verdict}" if against else ""
        if suite in winner.best:
            difference, verdict = _difference(winner.best[suite])
            compared += f"   vs {winner.best[suite].baseline} (best without training) {difference} {verdict}"
        yield line("score", f"{suite}: {scores.primary} {interval(*winner.primary(suite))}{compared}")
    if winner.valid_loss is not None:
        yield line("loss", f"{winner.valid_loss:.3f} on the validation rows")
    waiting = sum(run.status != "trained" for run in results.runs)
    if waiting:
        yield line("open", f"{waiting} of {len(results.runs)} runs are not trained: they may still win")
    yield from _folds(results, colour)
    yield from _pick(results, colour)


def _pick(results: Results, colour: bool) -> Iterator[str]:
    pick = results.pick
    if pick is None:
        return
    text = f"{paint('pick', 'dim', colour)}    * {visible(pick.label)} by {pick.by}"
    if pick.comparison is not None and pick.runner_up is not None:
        difference, verdict = _difference(pick.comparison)
        why = f", {p_values(pick.comparison)}" if against_interval(pick.comparison) else ""
        text += f"; on score against the runner-up {visible(pick.runner_up)}: {verdict} ({difference}{why})"
    seeds = "; one training seed each: differences include training noise"
    yield text + (seeds if pick.seeds == 1 else "")


def _flip(results: Results, colour: bool) -> Iterator[str]:
    flipped = results.flipped
    if flipped is None or not flipped.fixed:
        return
    flip = flipped.fixed[0]
    said = f'"{cut(flip.question)}"   {flipped.baseline} "{cut(flip.before)}" -> tuned "{cut(flip.after)}"'
    counts = f"fixed {len(flipped.fixed)}, broke {len(flipped.broke)}"
    command = f"ftspec compare {flipped.baseline} {flipped.typed} --flips"
    yield f"{paint('flips', 'dim', colour)}   {said}   {counts}: {command}"
