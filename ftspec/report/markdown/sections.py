"""The sections of a comment, each balanced in itself, each bounded by `most` lines of one kind."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from ftspec.report import words
from ftspec.report.markdown.escape import code, fenced, scrubbed
from ftspec.workflows.review.changes import Changes, Data, FieldGroup, Known, Run, Suite

_SIGN = {"new": "➕", "removed": "➖", "retrain": "🔁", "re-score": "📏", "metadata": "🏷️", "renamed": "✏️"}
_QUOTED = re.compile(r'"[^"]*"')  # a warning may quote what stands in prompts and rows
_OPEN = 12  # more scores than that are folded


def brief(changes: Changes, most: int) -> Iterator[str]:
    """Yield what a reviewer asks first: which runs, at what cost, whether scores compare, what is learned."""
    untouched = f"{words.plural(changes.untouched, 'other experiment')} untouched."
    yield ""
    yield f"- **Runs:** {words.runs(changes, code)}. {untouched if changes.untouched else ''}".rstrip()
    yield f"- **Cost of this change:** {words.cost(changes, code)}."
    told = list(words.scores(changes, code))
    for sentence in told[:most]:
        yield f"- **Old scores:** {sentence}."
    for data in changes.data[:most]:
        yield f"- **Data** of {code(data.experiment)}: {words.rows(data, code)}; {words.learned(data, code)}."
    if not changes.data:
        yield f"- **Data:** {words.no_data(changes, code)}."
    if len(told) > most or len(changes.data) > most:
        yield "- and more of the same kind"
    yield f"- **Merge:** {words.merge(changes, code)}."


def alerts(changes: Changes) -> Iterator[str]:
    """Yield what must not be overlooked: failed gates, broken experiments, contamination, baselines to score again."""
    if changes.failed_gates:
        yield "\n> [!CAUTION]"
        for gate in changes.failed_gates[:20]:
            yield f"> **Gate {code(gate.name)} failed:** {code(gate.detail, 300)}"
    if changes.broken:
        yield "\n> [!CAUTION]"
        yield f"> **{words.plural(len(changes.broken), 'problem')} to mend first:**"
        for trouble in changes.broken[:10]:
            yield f"> - {code(trouble.experiment)} {code(trouble.place, 120)} {code(trouble.message, 300)}"
        if len(changes.broken) > 10:
            yield f"> - and {len(changes.broken) - 10:,} more: {code('ftspec validate')} names them"
        for experiment in [one for one in changes.experiments if one.touched][:10]:
            yield f"> - lines of {code(experiment.name)} that this change touches: {words.touched(experiment, code)}"
    for found in [overlap for overlap in changes.overlaps if overlap.introduced][:10]:
        yield "\n> [!CAUTION]"
        rows = words.plural(found.introduced, "training row")
        yield f"> **{rows} of {code(found.experiment)} newly repeat items of eval {code(found.suite)}**,"
        yield "> which then measures memory:"
        yield f"> {words.overlap(found)}; older ones: {found.existing:,}."
        yield f"> First lines of this branch that do: {_places(found.places)}"
    for suite in [suite for suite in changes.suites if suite.kind == "changed" and suite.baselines][:10]:
        yield "\n> [!WARNING]"
        names = ", ".join(code(arm) for arm in suite.baselines[:8])
        cost = words.asked(suite.answers, suite.usd)
        command = code(f"ftspec run {suite.experiment} --only baselines")
        yield f"> To compare with a baseline ({names}), score it by the new {code(suite.suite)} first:"
        yield f"> {cost}, {command}"


def _places(places: Iterable[str]) -> str:
    return ", ".join(code(place) for place in list(places)[:3]) or "unknown"


def scores(changes: Changes, most: int) -> Iterator[str]:
    """Yield the scores on file; rows in which nothing changed are counted only."""
    told = [known for known in changes.known if not known.comparable or known.old != known.new]
    same = len(changes.known) - len(told)
    left = f"{words.plural(same, 'score')} on file stay as they are." if same else ""
    if not told:
        if left:
            yield f"\n{left}"
        return
    shown = told[:most]
    folded = len(shown) > _OPEN
    title = "Scores on file"
    yield f"\n<details><summary><b>{title}</b>: {len(told):,}</summary>\n" if folded else f"\n**{title}**\n"
    yield "| Run | Suite | Metric | Old | New | Items |"
    yield "|---|---|---|--:|--:|--:|"
    kinds = {(run.experiment, run.label): run.kind for run in changes.runs}
    for known in shown:
        yield _score_row(known, kinds.get((known.experiment, known.run)))
    if len(told) > len(shown):
        yield f"\nand {len(told) - len(shown):,} more."
    if left:
        yield f"\n{left}"
    if folded:
        yield "\n</details>"


def _score_row(known: Known, kind: str | None) -> str:
    old, new = _score(known.old, known.old_interval), _score(known.new, known.new_interval)
    missing = words.score_missing(known, kind)
    run, items = code(f"{known.experiment}/{known.run}"), "" if known.n is None else f"{known.n:,}"
    return f"| {run} | {code(known.suite)} | {code(known.metric)} | {old or missing} | {new or missing} | {items} |"


def _score(value: float | None, bounds: tuple[float, float] | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "")


def runs(changes: Changes, most: int, *, unchanged: bool) -> Iterator[str]:
    """Yield the table of runs; those that share experiment, fate and size stand in one row."""
    groups = list(_run_groups(changes))
    same = [experiment for experiment in changes.experiments if unchanged and experiment.unchanged]
    if not groups and not same:
        return
    yield "\n| | Run | Why | Train rows | Learned tokens | Training | Answers to score |"
    yield "|---|---|---|--:|--:|--:|--:|"
    paths = {(g.experiment, run): [field.path for field in g.fields] for g in changes.fields for run in g.runs}
    for group in groups[:most]:
        yield _run_row(group, paths.get((group[0].experiment, group[0].label), []))
    for experiment in same[: max(0, most - len(groups))]:
        yield f"| ✅ | {code(experiment.name)} ×{experiment.unchanged:,} | unchanged | | | $0 | |"
    left = len(groups) + len(same) - most
    if left > 0:
        yield f"\nand {left:,} more lines."


def _run_groups(changes: Changes) -> Iterator[list[Run]]:
    def key(run: Run) -> tuple[object, ...]:
        sizes = (run.rows_old, run.rows_new, run.learned_old, run.learned_new)
        return run.experiment, run.kind, run.reasons, run.same_training is None, run.trained, sizes

    for _, group in groupby(sorted(changes.runs, key=lambda run: run.experiment), key):
        yield list(group)


def _run_row(runs: list[Run], paths: list[str]) -> str:
    one = runs[0]
    names = words.listed([code(run.label, 60) for run in runs], 6)
    before = [code(run.old_name) for run in runs if run.old_name]
    was = f" (was {words.listed(before, 3)})" if before else ""
    prices = [[run.usd_old for run in runs], [0.0 if run.reused else run.usd_new for run in runs]]
    old, new = (None if any(p is None for p in side) else sum(p for p in side if p is not None) for side in prices)
    answers = sum(run.answers for run in runs)
    free = all(run.usd_answers == 0 for run in runs)
    cells = [
        _SIGN[one.kind],
        f"{code(one.experiment)} ×{len(runs):,}: {names}{was}",
        words.why(one, code, paths),
        words.change(one.rows_old, one.rows_new),
        words.change(one.learned_old, one.learned_new),
        words.dollars(old, new, one.kind),
        f"{answers:,} ({'free' if free else 'price unknown'})" if answers else "",
    ]
    return f"| {' | '.join(cells)} |"


def data(changes: Changes, most: int, *, texts: bool) -> Iterator[str]:
    """Yield, for each data set, its totals, its files and where changed rows stand."""
    if not changes.data:
        return
    yield f"\n<details><summary><b>Data</b>: {words.plural(len(changes.data), 'data set')} changed</summary>"
    for one in changes.data[:most]:
        yield from _data_set(one, most, texts)
    yield "\n</details>"


def _data_set(one: Data, most: int, texts: bool) -> Iterator[str]:
    yield f"\n{code(one.experiment)}, {words.plural(len(one.runs), 'run')}: {words.rows(one, code)}\n"
    yield "| | before | after |"
    yield "|---|--:|--:|"
    for title, old, new in _totals(one):
        yield f"| {title} | {old} | {new} |"
    for source in [source for source in one.sources if source.old != source.new][:most]:
        rows = words.change(source.rows_old, source.rows_new)
        yield f"| {code(source.path)} sha256 | {_digest(source.old)} | {_digest(source.new)} ({rows} rows) |"
    if not one.samples:
        return
    if texts and any(sample.old is not None or sample.new is not None for sample in one.samples):
        yield "\nWords of the first changed rows of each kind: those learned, or those read where no other changed:\n"
        lines = []
        for sample in one.samples:
            lines.append(f"@ {sample.kind} {sample.where}")
            lines += [f"- {scrubbed(sample.old)}"] if sample.old is not None else []
            lines += [f"+ {scrubbed(sample.new)}"] if sample.new is not None else []
        yield from fenced(lines, "diff")
    else:
        yield f"\nThe first changed rows of each kind: {words.places(one, code)}."
        yield "`ftspec diff --show-text` shows the words that are learned in them."


def _totals(one: Data) -> Iterator[tuple[str, str, str]]:
    names = (
        ("train rows", "rows"),
        ("validation rows", "validation"),
        ("test rows", "test"),
        ("messages learned", "learned_messages"),
        ("tokens learned", "learned_tokens"),
        ("tokens in all", "tokens"),
    )
    for title, name in names:
        old = f"{getattr(one.old, name):,}" if one.old else ""
        new = f"{getattr(one.new, name):,}" if one.new else ""
        yield title, old, new
    before, after = (words.policy(side, code) if side else "" for side in (one.old, one.new))
    yield "learned", before, after


def _digest(value: str | None) -> str:
    return code(value[:12]) if value else "none"


def fields(changes: Changes, most: int) -> Iterator[str]:
    """Yield the values that changed in the resolved experiments, once for all runs in which they changed alike."""
    if not changes.fields:
        return
    count = sum(len(group.fields) for group in changes.fields)
    runs = sum(len(group.runs) for group in changes.fields)
    title = f"{words.plural(count, 'field')} changed in {words.plural(runs, 'run')}"
    yield f"\n<details><summary><b>Spec</b>: {title}</summary>"
    for group in changes.fields[:most]:
        yield from _fields(group)
    yield "\n</details>"


def _fields(group: FieldGroup) -> Iterator[str]:
    runs = words.listed([code(run, 60) for run in group.runs], 6)
    where = words.plural(len(group.runs), "run")
    yield f"\n{code(group.experiment)}, {where}: {runs}\n"
    lines = []
    for field in group.fields[:50]:
        place = f"    # {field.where}" if field.where else ""
        lines += [f"- {field.path}: {scrubbed(field.old)}"] if field.old is not None else []
        lines += [f"+ {field.path}: {scrubbed(field.new)}{place}"] if field.new is not None else [f"  {place.strip()}"]
    if len(group.fields) > 50:
        lines.append(f"  and {len(group.fields) - 50} more fields")
    yield from fenced(lines, "diff")


def evals(changes: Changes, most: int) -> Iterator[str]:
    """Yield the suites that are new, gone or changed."""
    if not changes.suites:
        return
    kinds = [suite.kind for suite in changes.suites]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    yield f"\n<details><summary><b>Evals</b>: {counted}</summary>\n"
    yield "| Experiment | Suite | Items | Why | Digest | Do old and new scores compare |"
    yield "|---|---|--:|---|---|---|"
    for suite in changes.suites[:most]:
        yield _suite_row(suite)
    yield "\n</details>"


def _suite_row(suite: Suite) -> str:
    items = words.change(suite.items_old, suite.items_new)
    digests = " → ".join(_digest((one or "").removeprefix("sha256:")) for one in (suite.digest_old, suite.digest_new))
    causes = ", ".join(code(cause) for cause in suite.causes[:8]) or suite.kind
    verdict = "**no**" if suite.kind == "changed" else "nothing to compare"
    return f"| {code(suite.experiment)} | {code(suite.suite)} | {items} | {causes} | {digests} | {verdict} |"


def notices(changes: Changes, *, warnings: bool) -> Iterator[str]:
    """Yield what changed beside the experiments, notes about how it was compared, and warnings of the head."""
    lines = [f"- ⚠️ {code(text, 400)}" for text in changes.beside[:20]]
    lines += [f"- ℹ️ {code(notice, 300)}" for notice in changes.notices[:20]]
    if warnings:
        old = [trouble for trouble in changes.troubles if trouble.side == "base" and trouble.severity == "error"]
        for trouble in old[:5]:
            experiment, message = code(trouble.experiment), code(trouble.message, 200)
            lines.append(f"- ℹ️ before this change {experiment} did not compose: {message}")
        found = [trouble for trouble in changes.troubles if trouble.side == "head" and trouble.severity == "warning"]
        for trouble in found[:10]:
            message = trouble.message if changes.show_text else _QUOTED.sub('"…"', trouble.message)
            lines.append(f"- ⚠️ {code(trouble.experiment)}: {code(message, 200)}")
    if lines:
        yield ""
        yield from lines
