"""Runs on disk for a terminal: the table of `ls`, the page of `show`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ftspec.report.problems import visible
from ftspec.report.style import columns, duration, interval, paint, sparkline, usd
from ftspec.runs.planned import Planned
from ftspec.runs.summary import Summary

if TYPE_CHECKING:
    from ftspec.workflows.look import ShownRun

_STATUS = {"trained": "green", "failed": "red", "interrupted": "yellow", "unreadable": "red", "running": "cyan"}


def list_lines(
    runs: Sequence[Summary], planned: Planned, experiment: str | None = None, *, colour: bool
) -> Iterator[str]:
    """Yield the table: one row a run with the primary metric of each suite; of one experiment, as it calls its runs."""
    called = [_called(run, planned, experiment) for run in runs]
    scores = [{score.suite: interval(score.value, score.low, score.high) for score in run.scores} for run in runs]
    suites = sorted(set().union(*scores))
    head = ["experiment", "run", "status", "valid loss", *suites, "training", "digest"]
    words = {status: paint(status, _STATUS[status], colour) for status in _STATUS}
    names = {name: visible(name) for name in {name for name, _ in called}}
    cells = (
        [names[name] for name, _ in called],
        [visible(label) for _, label in called],
        [words.get(run.status, run.status) for run in runs],
        ["-" if run.valid_loss is None else f"{run.valid_loss:.3f}" for run in runs],
        *([found.get(suite, "-") for found in scores] for suite in suites),
        ["-" if run.seconds is None else duration(run.seconds) for run in runs],
        [run.train[7:19] or "-" for run in runs],
    )
    rows = [[paint(cell, "dim", colour) for cell in head], *zip(*cells, strict=True)]
    yield from columns(rows, right=frozenset({3}), gap="  ")
    for run in runs:
        if run.problem:
            yield paint(f"{visible(run.folder)}: {visible(run.problem)}", "red", colour)


def _called(run: Summary, planned: Planned, experiment: str | None) -> tuple[str, str]:
    """Return experiment and label of a row, with what else the run is called."""
    also = planned.also(run.experiment, run.label, run.train)
    if experiment is not None and run.experiment != experiment:
        label = next(name.label for name in also if name.experiment == experiment)
        return experiment, f"{label} (reused: {run.experiment}/{run.label})"
    if not also:
        return run.experiment, run.label
    shown = [name.label if name.experiment == run.experiment else str(name) for name in also[:2]]
    more = f" and {len(also) - 2} more" if len(also) > 2 else ""
    return run.experiment, f"{run.label} (also {', '.join(shown)}{more})"


def show_lines(shown: "ShownRun", *, colour: bool) -> Iterator[str]:
    """Yield one run: what it was, its data, its attempts, its scores."""
    run, facts = shown.listed, shown.facts

    def line(name: str, text: str) -> str:
        return f"{paint(name.ljust(9), 'dim', colour)} {text}"

    yield line("run", f"{paint(visible(run.experiment), 'bold', colour)} / {visible(run.label)}   {run.status}")
    if shown.also:
        yield line("also", visible(", ".join(shown.also)))
    yield line("folder", visible(str(shown.runs / run.folder)))
    for name in shown.altered:
        told = f"{visible(name)} is not what was sealed: rely on nothing below; ftspec verify {run.train[7:19]}"
        yield line("altered", paint(told, "red", colour))
    base = facts.get("base", {})
    yield line("model", f"{base.get('requested')} ({base.get('model')})")
    for role, part in facts.get("data", {}).items():
        tokens = f"{part['learned_tokens']:,} of {part['tokens']:,} tokens learned" if role == "train" else ""
        yield line(role, f"{part['rows']:,} rows   {tokens}   sha256 {part['sha256'][:12]}")
    digests = facts.get("digests", {})
    yield line("digests", f"train {str(digests.get('train'))[7:19]}   data {str(digests.get('data'))[7:19]}")
    git = facts.get("git", {})
    dirty = ", with uncommitted changes" if git.get("dirty") else ""
    yield line("git", f"{git['commit'][:12]}{dirty}" if git.get("commit") else "no repository when it was planned")
    for attempt in shown.attempts:
        yield line(f"try {attempt['number']:03d}", _attempt(attempt))
    if shown.losses:
        valid = "-" if run.valid_loss is None else f"{run.valid_loss:.3f}"
        first, last = shown.losses[0], shown.losses[-1]
        yield line("loss", f"train {first:.3f} {sparkline(list(shown.losses), 24)} {last:.3f}   valid {valid}")
    for score in run.scores:
        value = interval(score.value, score.low, score.high)
        yield line("score", f"{score.suite}: {score.metric} {value} on {score.n} items   eval {score.eval[7:19]}")
    yield line("config", visible(str(shown.runs / run.folder / "config.yaml")))


def _attempt(attempt: dict[str, object]) -> str:
    if "outcome" not in attempt:
        return "interrupted: the same `ftspec run` goes on with it"
    parts = [str(attempt["outcome"]), f"job {attempt.get('job')}", f"model {attempt.get('model')}"]
    resolved = attempt.get("resolved")
    if isinstance(resolved, dict):
        parts.append(", ".join(f"{key} {value}" for key, value in resolved.items()))
    cost = attempt.get("usd")
    parts.append(usd(cost if isinstance(cost, int | float) else None))
    error = attempt.get("error")
    if isinstance(error, dict):
        parts.append(visible(str(error.get("message"))))
    return "   ".join(parts)
