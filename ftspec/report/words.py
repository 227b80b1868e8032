"""A review in words that need no knowledge of YAML: shared by terminal and Markdown."""

from collections.abc import Iterable, Sequence

from ftspec.report.style import usd
from ftspec.workflows.changes import Changes, Data, Overlap, Run, Suite, total


def plural(count: int, word: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(items: Sequence[str], most: int = 3) -> str:
    """Return some of the items and how many more there are."""
    shown = ", ".join(items[:most])
    return shown + (f" and {len(items) - most:,} more" if len(items) > most else "")


def counts(changes: Changes) -> str:
    """Return how many runs are what; what there is none of is left out."""
    names = (
        ("new", "new"),
        ("removed", "removed"),
        ("retrain", "to retrain"),
        ("re-score", "only to score again"),
        ("metadata", "with changed settings only"),
        ("renamed", "renamed"),
    )
    found = [(len(changes.of_kind(kind)), words) for kind, words in names]  # type: ignore[arg-type]
    parts = [f"{count:,} {words}" for count, words in found if count]
    if changes.unchanged:
        parts.append(f"{changes.unchanged:,} unchanged")
    return ", ".join(parts) or "none changed"


def headline(changes: Changes) -> str:
    """Return one line: runs to train with their price, and whether old scores compare."""
    training = changes.to_train
    if changes.quiet:
        return "no semantic change: every run, its data and its evals stay the same"
    parts = [f"{plural(len(training), 'run')} to train ({price(training)})" if training else "nothing to train"]
    parts.append(counts(changes))
    changed = [suite for suite in changes.suites if suite.kind == "changed"]
    if changed:
        parts.append(f"old scores no longer compare on {plural(len({s.suite for s in changed}), 'eval suite')}")
    return " · ".join(parts)


def price(runs: Iterable[Run]) -> str:
    """Return what training some runs costs."""
    found = list(runs)
    known = total(run.usd_new for run in found)
    if known is not None:
        return usd(known)
    some = sum(run.usd_new or 0 for run in found)
    return "price unknown" if not some else f"more than {usd(some)}, some prices unknown"


def cost(changes: Changes) -> str:
    """Return old against new: training all runs of the changed experiments, and what this change makes necessary."""
    old = total(experiment.usd_all_old for experiment in changes.experiments)
    new = total(experiment.usd_all_new for experiment in changes.experiments)
    text = f"training what is new or changed: {usd(changes.usd) if changes.to_train else '$0'}"
    text += f"; training every run of the changed experiments from nothing: {usd(old)} before, {usd(new)} after"
    answers = [suite for suite in changes.suites if suite.answers]
    if answers:
        text += f"; scoring baselines again: {plural(sum(s.answers for s in answers), 'answer')}, "
        text += usd(total(suite.usd for suite in answers))
    return text


def scores(changes: Changes) -> list[str]:
    """Return what is to be said about old scores: one sentence a suite that changed."""
    return [comparable(suite) for suite in changes.suites]


def comparable(suite: Suite) -> str:
    """Return whether old and new scores of a suite compare, and why not."""
    if suite.kind == "new":
        return f"is new in {plural(suite.runs, 'run')}: there is nothing to compare with"
    if suite.kind == "removed":
        return f"is gone from {plural(suite.runs, 'run')}: they are no longer measured by it"
    items = f"; items {suite.items_old:,} before, {suite.items_new:,} after"
    because = "; ".join(suite.causes) + items
    return f"changed in {plural(suite.runs, 'run')}: old and new scores are not comparable ({because})"


def rows(data: Data) -> str:
    """Return what happened to the rows of a data set."""
    if data.rows is None:
        return data.note or ("no rows to compare with" if data.old is None else "the rows are the same")
    r = data.rows
    parts = [f"{n:,} {word}" for n, word in ((r.added, "added"), (r.removed, "removed")) if n]
    if r.edited:
        kinds = [
            f"{n:,} {w}"
            for n, w in (
                (r.edited_answer, "in the conversation"),
                (r.edited_system, "in the instructions"),
                (r.edited_tools, "in the tools"),
            )
            if n
        ]
        parts.append(f"{r.edited:,} edited" + (f" ({', '.join(kinds)})" if kinds else ""))
    if r.reweighted:
        parts.append(
            f"{r.reweighted:,} re-weighted only "
            f"(messages newly learned: {r.learned_more:,}, no longer: {r.learned_less:,})"
        )
    if r.moved:
        parts.append(f"{r.moved:,} moved between train and validation")
    if r.reordered:
        parts.append("rows reordered")
    if r.without_target:
        parts.append(f"{r.without_target:,} rows with nothing to learn")
    return ", ".join(parts) or "the same rows"


def change(old: int | None, new: int | None) -> str:
    """Return `1,200 → 1,260`, or one number where both are equal or one is missing."""
    if old is None or new is None or old == new:
        value = new if new is not None else old
        return "" if value is None else f"{value:,}"
    return f"{old:,} → {new:,}"


def dollars(old: float | None, new: float | None, kind: str) -> str:
    """Return the price of a run, old against new."""
    if kind == "new":
        return f"+{usd(new)}" if new else usd(new)
    if kind == "removed":
        return f"-{usd(old)}" if old else usd(old)
    if kind in ("re-score", "metadata", "renamed"):
        return "$0"
    return usd(new) if old == new else f"{usd(old)} → {usd(new)}"


def why(run: Run) -> str:
    """Return what becomes of a run and why; names of suites are not in it."""
    reasons = listed([reason for reason in run.reasons if not reason.startswith("eval ")], 6)
    evals = [reason.removeprefix("eval ") for reason in run.reasons if reason.startswith("eval ")]
    also = f", and score again ({plural(len(evals), 'suite')} changed)" if evals else ""
    return {
        "new": "new: to be trained",
        "removed": "removed: no longer planned",
        "retrain": f"retrain: {reasons} changed{also}",
        "re-score": f"score again, no training: {plural(len(evals), 'suite')} changed",
        "metadata": f"no training, no scoring: {reasons} changed"
        + ("; verdicts recomputed, 0 calls" if run.verdicts else ""),
        "renamed": f"renamed, same training{also}",
    }[run.kind]


def overlap(found: Overlap) -> str:
    """Return how train rows repeat items."""
    levels = (
        (found.same_prompt, "the same conversation"),
        (found.same_turn, "the same last user message"),
        (found.alike, "the same but for case and signs"),
    )
    return ", ".join(f"{count:,} {words}" for count, words in levels if count)
