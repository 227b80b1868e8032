"""A review in words that need no knowledge of YAML: shared by terminal and Markdown.

`quote` makes a name of unknown origin harmless where it is written: a code span in Markdown, escapes on a terminal.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from ftspec.report.style import usd
from ftspec.workflows.review.changes import (
    Changes,
    Data,
    Experiment,
    Kind,
    Known,
    Overlap,
    Rows,
    Run,
    Suite,
    Totals,
    total,
)

Quote = Callable[[str], str]

# Reasons that are words of ours; any other comes out of the plan and is quoted.
_REASONS = frozenset(
    ("data", "weights", "epochs", "batch size", "learning rate", "model", "seed", "method", "provider", "tags")
)
_ROLES = frozenset(("", "system", "developer", "user", "assistant", "tool", "function"))
_HIDDEN = " (rows are not in git, so none can be shown here)"
_PRESENT = "under the ftspec that made this plan"
_POLICIES = {
    "assistant": "every assistant message",
    "last_assistant_message": "only the last assistant message",
    "last_assistant_turn": "only the assistant messages after the last user message",
    "all_messages": "every message",
    "from_data": "what the rows' own weights say",
}


def plural(count: int, word: str) -> str:
    """Return `1 run`, `2 runs`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(items: Sequence[str], most: int = 3) -> str:
    """Return some of the items and how many more there are."""
    shown = ", ".join(items[:most])
    return shown + (f" and {len(items) - most:,} more" if len(items) > most else "")


def counts(changes: Changes) -> str:
    """Return how many runs are what; what there is none of is left out."""
    names: tuple[tuple[Kind, str], ...] = (
        ("new", "new"),
        ("removed", "removed"),
        ("retrain", "to retrain"),
        ("re-score", "only to score again"),
        ("metadata", _settings(changes)),
        ("renamed", "renamed"),
    )
    found = [(len(changes.of_kind(kind)), words) for kind, words in names]
    parts = [f"{count:,} {words}" for count, words in found if count]
    if changes.unchanged:
        parts.append(f"{changes.unchanged:,} unchanged")
    return ", ".join(parts)


def _settings(changes: Changes) -> str:
    verdicts = any(run.verdicts for run in changes.of_kind("metadata"))
    return f"with other settings only, nothing to {'train or ask; verdicts may change' if verdicts else 'do'}"


def runs(changes: Changes, quote: Quote = str) -> str:
    """Return how many runs are what, first those that nobody can know."""
    found = counts(changes)
    if changes.broken:
        return f"unknown for {_broken(changes, quote)}{f'; {found}' if found else ''}"
    return _by_this_version(changes, found or "none changes")


def merge(changes: Changes, quote: Quote = str) -> str:
    """Return what stands against the merge."""
    parts = []
    if changes.failed_gates:
        names = [quote(gate.name) for gate in changes.failed_gates]
        parts.append(f"blocked by gate{'s' if len(names) > 1 else ''} {listed(names, 8)}")
    if changes.broken:
        names = list(dict.fromkeys(quote(trouble.experiment) for trouble in changes.broken))
        parts.append(f"blocked: {listed(names)} {'does' if len(names) == 1 else 'do'} not compose")
    warnings = len(changes.beside) + sum(t.side == "head" and t.severity == "warning" for t in changes.troubles)
    warnings += sum(found.introduced > 0 for found in changes.overlaps)
    warnings += sum(suite.kind == "changed" and bool(suite.baselines) for suite in changes.suites)
    if warnings:
        parts += [] if parts else ["not blocked"]
        parts.append(f"{plural(warnings, 'warning')} to read")
    return "; ".join(parts) or f"nothing stands against it{'' if changes.gates else '; the base sets no gate'}"


def gates(changes: Changes, quote: Quote = str) -> str:
    """Return how many gates passed; they judge only what composes."""
    passed = f"{sum(gate.passed for gate in changes.gates)} of {len(changes.gates)} passed"
    if not changes.broken:
        return passed
    names = list(dict.fromkeys(quote(trouble.experiment) for trouble in changes.broken))
    return f"{passed} for what composes; {listed(names)} not judged"


def _by_this_version(changes: Changes, text: str) -> str:
    """Qualify what holds by the ftspec that made the plan, where the change brings another one."""
    if not changes.new_version:
        return text
    return f"{text} {_PRESENT}; under what this change installs: unknown"


def headline(changes: Changes, quote: Quote = str) -> str:
    """Return one line: runs to train with their price, whether old scores compare, what failed."""
    training = changes.to_train
    if changes.quiet:
        return "no semantic change: nothing to train or to score, same rows and words, old and new scores compare"
    broken = list(dict.fromkeys(quote(trouble.experiment) for trouble in changes.broken))
    parts = []
    if broken:
        does, its = ("does", "its") if len(broken) == 1 else ("do", "their")
        parts.append(f"{listed(broken)} {does} not compose: {its} runs and what they cost are unknown")
    elsewhere = "elsewhere " if broken else ""
    if training:
        parts.append(f"{elsewhere}{plural(len(training), 'run')} to train ({price(training)})")
    elif not broken or changes.runs:
        parts.append(f"{elsewhere}nothing to train{f' {_PRESENT}' if changes.new_version else ''}")
    if reused := sum(run.reused for run in changes.runs):
        parts[-1] += f", {reused:,} reused"
    if changes.runs:
        parts.append(counts(changes))
    changed = {suite.suite for suite in changes.suites if suite.kind == "changed"}
    if changed:
        parts.append(f"old scores no longer compare on {plural(len(changed), 'eval suite')}")
    replaced = sum(known.old is not None for known in changes.new_scores)
    if replaced:
        parts.append(f"{plural(replaced, 'score')} on file replaced")
    if len(changes.new_scores) > replaced:
        parts.append(f"{plural(len(changes.new_scores) - replaced, 'new score')} on file")
    if changes.failed_gates:
        parts.append(f"{plural(len(changes.failed_gates), 'gate')} failed")
    parts += [f"{quote(text.partition(' changed')[0])} changed" for text in changes.beside[:3]]
    return " · ".join(parts)


def price(runs: Iterable[Run]) -> str:
    """Return what training some runs costs."""
    found = list(runs)
    known = total(run.usd_new for run in found)
    if known is not None:
        return usd(known)
    some = sum(run.usd_new or 0 for run in found)
    return "price unknown" if not some else f"more than {usd(some)}, some prices unknown"


def asked(answers: int, dollars: float | None) -> str:
    """Return answers that a model must give, with their price."""
    return f"{plural(answers, 'answer')} ({bill(dollars)})"


def bill(dollars: float | None) -> str:
    """Return a price of answers as a remark."""
    if dollars is None:
        return "price unknown: no inference price on file"
    return usd(dollars) if dollars else "free"


def cost(changes: Changes, quote: Quote = str) -> str:
    """Return what this change makes necessary; what training everything costs only where that is another sum now."""
    parts = [f"unknown for {_broken(changes, quote)}"] if changes.broken else []
    if changes.runs or not parts:
        parts.append(_by_this_version(changes, _needed(changes)))
    changed = [e for e in changes.experiments if e.kind in ("changed", "removed", "new")]
    old, new = (total(getattr(e, name) for e in changed) for name in ("usd_all_old", "usd_all_new"))
    if usd(old) != usd(new) and any(e.kind != "new" for e in changed):
        parts.append(f"training all runs from scratch: {usd(old)} → {usd(new)}")
    return "; ".join(parts)


def _needed(changes: Changes) -> str:
    training = changes.to_train
    parts = [f"training ({'free' if changes.usd == 0 else price(training)})"] if training else ["no training"]
    for words, kinds in (
        ("new model answers", ("new", "retrain")),
        ("answers to score again", ("re-score", "renamed")),
    ):
        found = [run for run in changes.runs if run.kind in kinds and run.answers]
        if found:
            dollars_ = total(run.usd_answers for run in found)
            parts.append(f"{sum(run.answers for run in found):,} {words} ({bill(dollars_)})")
    again = [suite for suite in changes.suites if suite.answers]
    if again or changes.baselines:
        known = total([*(suite.usd for suite in again), *(moved.usd for moved in changes.baselines)])
        answers = sum(suite.answers for suite in again) + sum(moved.answers for moved in changes.baselines)
        parts.append(f"{answers:,} answers of baselines ({bill(known)})")
    if parts == ["no training"]:
        return "nothing: no run is to train or to score"
    stored = again or any(run.answers for run in changes.of_kind("re-score"))
    kept = "; at most so many: answers kept from before are graded again without a call" if stored else ""
    return ", ".join(parts) + kept


def scores(changes: Changes, quote: Quote = str) -> Iterator[str]:
    """Yield whether old and new scores compare: one sentence for each suite that changed, one for the others."""
    for suite in changes.suites:
        yield f"{quote(suite.suite)} of {quote(suite.experiment)} {comparable(suite, quote)}"
    for found in changes.overlaps:
        if found.introduced:
            where = f"{quote(found.suite)} of {quote(found.experiment)}"
            changed = any((one.experiment, one.suite) == (found.experiment, found.suite) for one in changes.suites)
            rows_ = f"{plural(found.introduced, 'training row')} newly repeat its items"
            memory = "new scores will measure memory"
            if changed:
                yield f"{where}: {rows_}, so {memory}"
            else:
                yield f"{where} did not change, but {rows_}: {memory}, which is no fair comparison with old ones"
    for moved in changes.baselines:
        where, arms = f"{quote(moved.suite)} of {quote(moved.experiment)}", listed([quote(arm) for arm in moved.arms])
        models = f"the baseline is {quote(moved.new)} now, not {quote(moved.old)}"
        yield f"{where}: gains over {arms} from before and after do not compare, {models}"
    unmeasured = [e.name for e in changes.experiments if e.kind in ("changed", "new") and not e.suites]
    if unmeasured:
        has = "has" if len(unmeasured) == 1 else "have"
        yield f"{listed([quote(name) for name in unmeasured])} {has} no eval suite: nothing measures this change"
    yield from _other_scores(changes, quote, only_unmeasured=bool(unmeasured))


def _other_scores(changes: Changes, quote: Quote, *, only_unmeasured: bool) -> Iterator[str]:
    """Yield one sentence for the suites of which nothing was said yet."""
    if changes.broken:
        yield f"unknown for {_broken(changes, quote)}"
    kinds = {run.kind for run in changes.runs}
    if changes.broken and not kinds:
        return
    if only_unmeasured and not any(e.suites and e.kind != "broken" for e in changes.experiments):
        return
    touched = {suite.suite for suite in changes.suites}
    flattered = {(found.experiment, found.suite) for found in changes.overlaps if found.introduced}
    measured = [(e.name, suite) for e in changes.experiments for suite in e.suites if suite not in touched]
    others = dict.fromkeys(suite for name, suite in measured if (name, suite) not in flattered)
    if kinds and kinds <= {"removed"} and not changes.unchanged:
        yield "the removed runs are planned no more; what they scored stays in the history of git"
    elif kinds and kinds <= {"new"} and not any(e.runs_old for e in changes.experiments):
        yield "there are none: every run here is new"
    elif (touched or flattered) and others:
        yield f"{listed([quote(name) for name in others], 6)} did not change: old and new scores compare"
    elif not touched and kinds == {"new", "removed"} and not changes.unchanged:
        yield "no old run continues, so none has a new score to compare; no suite changed"
    elif not touched and not flattered:
        of_runs = " of the runs" if changes.baselines else ""
        elsewhere = "elsewhere " if changes.broken else ""
        yield _by_this_version(changes, f"{elsewhere}old and new scores{of_runs} compare: no suite changed")


def comparable(suite: Suite, quote: Quote = str) -> str:
    """Return whether old and new scores of a suite compare, and why not."""
    if suite.kind == "new":
        return f"is new in {plural(suite.runs, 'run')}: there is nothing to compare with"
    if suite.kind == "removed":
        return f"is gone from {plural(suite.runs, 'run')}: they are no longer measured by it"
    causes = ", ".join(quote(cause) for cause in suite.causes[:8]) or "its cause is not in the lock"
    items = f"items {change(suite.items_old, suite.items_new)}"
    where = plural(suite.runs, "run")
    return f"changed in {where} ({causes}; {items}): scores from before and after do not compare"


def _broken(changes: Changes, quote: Quote) -> str:
    names = list(dict.fromkeys(trouble.experiment for trouble in changes.broken))
    return f"{listed([quote(name) for name in names])} until {'it composes' if len(names) == 1 else 'they compose'}"


def no_data(changes: Changes, quote: Quote = str) -> str:
    """Return what is to be said where no data set changed."""
    if changes.broken:
        others = "; elsewhere no row and no learned word changes" if changes.runs else ""
        return f"unknown for {_broken(changes, quote)}{others}"
    if changes.runs and all(run.kind == "removed" for run in changes.runs) and not changes.unchanged:
        return "what the removed runs learned is learned no more"
    return _by_this_version(changes, "no row and no learned word changes")


def touched(experiment: Experiment, quote: Quote = str) -> str:
    """Return the lines of this branch that a change touches in an experiment."""
    return listed([quote(place) for place in experiment.touched], 8)


def learned(data: Data, quote: Quote = str) -> str:
    """Return which words a data set teaches, old against new."""
    if data.new is None:
        return "no longer used"
    if data.old is None:
        share = f"{data.new.learned_tokens:,} of {data.new.tokens:,} tokens"
        return f"{data.new.rows:,} train rows, {share} are learned: {policy(data.new, quote)}"
    text = f"in training, messages learned {change(data.old.learned_messages, data.new.learned_messages)}, "
    text += f"tokens learned {change(data.old.learned_tokens, data.new.learned_tokens)}"
    if data.old.policy != data.new.policy:
        return f"{text}; learned was {policy(data.old, quote)}, now {policy(data.new, quote)}"
    return f"{text}: {policy(data.new, quote)}, as before"


def policy(totals: Totals, quote: Quote = str) -> str:
    """Return a weight policy as words, with its name."""
    name, plus, rules = totals.policy.partition(" + ")
    words = _POLICIES.get(name, "")
    more = f" with {rules}" if plus else ""
    return f"{words}{more} ({quote(totals.policy)})" if words else quote(totals.policy)


def rows(data: Data, quote: Quote = str) -> str:
    """Return what happened to the rows of a data set."""
    if data.rows is None:
        if data.note:
            return quote(data.note)
        if data.old is not None:
            return "the same rows"
        kept = bool(data.sources) and all(source.old == source.new for source in data.sources)
        return "a new experiment over files that did not change" if kept else "new here, nothing to compare with"
    r = data.rows
    kinds = (
        (r.edited_answer - r.edited_read, "a learned message"),
        (r.edited_read, "a message that is only read"),
        (r.edited_system, "the instructions"),
        (r.edited_tools, "the tools"),
    )
    where = ", ".join(f"{n:,} in {w}" for n, w in kinds if n)
    turned = f"{'; '.join(_turned(r, quote))}; validation included"
    found = (
        (r.added, f"added ({r.from_test:,} out of the test part)" if r.from_test else "added"),
        (r.removed, f"removed ({r.to_test:,} to the test part)" if r.to_test else "removed"),
        (r.edited, f"edited ({where})" if where else "edited"),
        (r.reweighted, f"with other weights only ({turned})"),
        (r.moved, "moved between train and validation"),
        (r.without_target, "with nothing to learn"),
    )
    counted = [(count, word) for count, word in found if count]
    parts = [f"{count:,} {word}" for count, word in counted[1:]]
    if counted:
        parts.insert(0, f"{plural(counted[0][0], 'row')} {counted[0][1]}")
    if r.reordered:
        parts.append("rows in another order")
    hidden = "" if data.samples or not (r.added or r.removed or r.edited or r.reweighted) else _HIDDEN
    return (", ".join(parts) or "the same rows") + hidden


def _turned(rows: Rows, quote: Quote) -> Iterator[str]:
    """Yield which messages of re-weighted rows are learned now, and which no longer."""
    for learned, title in ((True, "newly learned"), (False, "no longer learned")):
        found = sorted((one for one in rows.turned if one.learned == learned), key=lambda one: -one.rows)
        if found:
            roles = [one.role if one.role in _ROLES else quote(one.role) for one in found]
            told = [
                f"{role} message {one.number} in {plural(one.rows, 'row')}".strip()
                for role, one in zip(roles, found, strict=True)
            ]
            yield f"{title}: {listed(told)}"


def places(data: Data, quote: Quote = str) -> str:
    """Return where the first changed rows of each kind stand, by the revision whose lines are meant."""
    sides: dict[str, dict[str, list[str]]] = {"lines of the base": {}, "lines of this branch": {}}
    for sample in data.samples:
        side = "lines of the base" if sample.kind == "removed" else "lines of this branch"
        kind = "re-weighted" if sample.kind == "reweighted" else sample.kind
        sides[side].setdefault(kind, []).append(quote(sample.where))
    told = {
        side: "; ".join(f"{kind} {', '.join(where)}" for kind, where in kinds.items()) for side, kinds in sides.items()
    }
    return "; ".join(f"{side}: {text}" for side, text in told.items() if text)


def change(old: int | None, new: int | None) -> str:
    """Return `1,200 → 1,260`, or one number where both are equal or one is missing."""
    if old is None or new is None or old == new:
        value = new if new is not None else old
        return "" if value is None else f"{value:,}"
    return f"{old:,} → {new:,}"


def dollars(old: float | None, new: float | None, kind: str) -> str:
    """Return the price of training a run, old against new."""
    before, after = usd(old), usd(new)
    if kind == "new":
        return f"+{after}" if new else after
    if kind == "removed":
        return f"-{before}" if old else before
    if kind in ("re-score", "metadata", "renamed"):
        return "$0"
    return after if before == after else f"{before} → {after}"


def why(run: Run, quote: Quote = str, paths: Sequence[str] = ()) -> str:
    """Return what becomes of a run and why; names of suites are not in it. `paths` are the fields that changed."""
    given = paths if run.kind == "metadata" and paths else run.reasons
    told = [reason for reason in given if not reason.startswith("eval ")]
    named = [reason if reason in _REASONS else quote(reason) for reason in told]
    reasons = listed(named, 6)
    evals = sum(reason.startswith("eval ") for reason in run.reasons)
    also = f", and score again ({plural(evals, 'suite')} changed)" if evals else ""
    done = _done(run, quote)
    todo = f"nothing to train, {done}: " if done else "train again: "
    verdicts = "; comparisons are made anew from stored scores, without a call" if run.verdicts else ""
    return {
        "new": f"new: nothing to train, {done}" if done else "new: to be trained",
        "removed": "removed: no longer planned",
        "retrain": f"{todo}{reasons} changed{also}",
        "re-score": f"score again, no training: {plural(evals, 'suite')} changed",
        "metadata": f"nothing to do: {reasons} changed, which changes neither weights nor answers{verdicts}",
        "renamed": f"renamed, same training{also}",
    }[run.kind]


def _done(run: Run, quote: Quote) -> str:
    """Return why a run that needs a training needs no new one; empty where it does."""
    same = f"{quote(run.same_training)} trains the same" if run.same_training else ""
    where = {"runs": "its model lies in runs/", "results": "its results are committed"}.get(run.trained, "")
    return ", ".join(part for part in (same, where) if part)


def score_missing(known: Known, kind: str | None) -> str:
    """Return why a score has no partner in its row."""
    if not known.comparable:
        return "not comparable"
    if known.new is not None:
        return "none"
    return {"removed": "run removed", "retrain": "after training", "new": "after training"}.get(
        kind or "", "after scoring"
    )


def overlap(found: Overlap) -> str:
    """Return how train rows repeat items."""
    levels = (
        (found.same_prompt, "with the same conversation"),
        (found.same_turn, "with the same last user message"),
        (found.alike, "with the same but for upper and lower case and punctuation"),
    )
    return ", ".join(f"{count:,} {words}" for count, words in levels if count)
