"""The report of one experiment: what it asked, what it found, how sure that is, and where every number comes from."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from ftspec.evals.compare import Comparison
from ftspec.report.comparison import cut
from ftspec.report.html.charts import interval_mark, loss_chart, shared_scale
from ftspec.report.html.markup import Html, element, joined, page, table, text
from ftspec.report.notes import verdict_notes
from ftspec.report.results import best_title, called
from ftspec.report.style import duration, interval, points, usd
from ftspec.workflows.account import Account, Record
from ftspec.workflows.flips import Flip
from ftspec.workflows.results import RunRow

MOST_CHARTS = 24
MOST_FLIPS = 30
_GOOD = {"better": "good", "worse": "bad", "invalid": "bad"}
_PARTS = {"train": "train", "valid": "validation", "test": "test"}


def experiment_page(account: Account) -> str:
    """Return the whole page. The same runs give the same bytes: it holds no time of its own."""
    sections = [
        _head(account),
        *(_scores(account, suite) for suite in account.results.suites),
        _curves(account),
        _flips(account),
        _confusion(account),
        _data(account),
        _provenance(account),
    ]
    return page(f"{account.plan.name}: report", *(section for section in sections if section))


def _section(title: str, *content: object) -> Html:
    return element("section", element("h2", title), *content)


def _head(account: Account) -> Html:
    plan, results = account.plan, account.results
    experiment = plan.composed.experiment
    trained = sum(run.status == "trained" for run in results.runs)
    spent = [run.usd for run in results.runs if run.status == "trained"]
    cost = usd(sum(value or 0 for value in spent) if None not in spent else None)
    seconds = duration(sum(run.seconds or 0 for run in results.runs)) if trained else "no time"
    facts = f"{experiment.provider.profile}/{experiment.model} · {trained} of {len(results.runs)} runs trained"
    lines: list[object] = [element("h1", plan.name)]
    if experiment.description:
        lines.append(element("p", experiment.description))
    lines.append(element("p", f"{facts} · {cost} · {seconds} of training", class_="dim"))
    lines += [element("p", line) for line in _verdict(account)]
    return element("header", *lines)


def _verdict(account: Account) -> Iterator[Html]:
    """Say in sentences which run won, by which rule, and whether the scores agree."""
    results = account.results
    winner, pick = results.winner, results.pick
    if winner is None:
        yield text("No run is trained yet.")
        return
    chosen = f" was chosen by {pick.by}" if pick else " is the only run"
    yield joined([element("strong", winner.label), chosen, Html("."), _model(winner)])
    for suite, comparison in winner.comparisons.items():
        yield joined([f"On {suite} against {comparison.baseline}: ", _word(comparison), f" ({comparison.reason})."])
        if (best := winner.best.get(suite)) is not None:
            named = f"Against {best.baseline}, the best without training: "
            yield joined([named, _word(best), f" ({best.reason})."])
    if pick and pick.comparison and pick.runner_up:
        said = f"Against the runner-up {pick.runner_up} on score: "
        seeds = " Each run has one training seed: differences between runs include training noise."
        yield joined([said, _word(pick.comparison), f" ({pick.comparison.reason}).", seeds if pick.seeds == 1 else ""])


def _model(winner: RunRow) -> Html:
    return joined([" Its model is ", element("code", winner.model), "."]) if winner.model else Html("")


def _word(comparison: Comparison) -> Html:
    return element("strong", comparison.verdict, class_=_GOOD.get(comparison.verdict, ""))


def _scores(account: Account, suite: str) -> Html:
    results = account.results
    against = results.baseline_arms.get(suite)
    baselines = [row for row in results.baselines if row.suite == suite]
    estimates = {row.arm: row.scores.metrics[row.metric] for row in baselines}
    level = estimates[against].value if against in estimates else None
    rows: list[list[object]] = []
    for arm, found in estimates.items():
        mark = interval_mark(found.value, found.low, found.high, level)
        score = interval(found.value, found.low, found.high)
        rows.append([arm, "-", score, mark, "", "", *(["", ""] if best_title(results, suite) else []), ""])
    best = -1
    for run in results.runs:
        if run is results.winner:
            best = len(rows)
        rows.append(_score_row(run, suite, level, best=bool(best_title(results, suite))))
    title = best_title(results, suite)
    head = ["run", "valid loss", "score [95 %]", "", f"vs {against}" if against else "", "verdict"]
    head += [*([title, ""] if title else []), "training"]
    metric = next((row.metric for row in baselines), None)
    metric = metric or next((run.scores[suite].primary for run in results.runs if suite in run.scores), "")
    items = next((planned.n_items for planned in account.plan.suites if planned.name == suite), 0)
    note = (
        f"{metric} on {items:,} held-out items; the dashed line is {against}"
        if against
        else f"{metric}, {items:,} items"
    )
    return _section(
        f"Scores: {suite}",
        element("p", note, class_="dim"),
        table(head, rows, numbers=frozenset({1, len(head) - 1}), best=best),
        *(element("p", f"{word}: {told}", class_="dim") for word, told in verdict_notes(results, suite)),
    )


def _score_row(run: RunRow, suite: str, level: float | None, *, best: bool) -> list[object]:
    loss = "-" if run.valid_loss is None else f"{run.valid_loss:.3f}"
    seconds = "-" if run.seconds is None else duration(run.seconds)
    difference, word = _compared(run.comparisons.get(suite))
    if run.status != "trained":
        word = run.status
    more = _compared(run.best.get(suite)) if best else ()
    value = run.primary(suite)
    return [called(run), loss, interval(*value), interval_mark(*value, level), difference, word, *more, seconds]


def _compared(found: Comparison | None) -> tuple[object, object]:
    """Return a difference with its interval, and its verdict with the reason at hand."""
    if found is None:
        return "-", "-"
    word = element("span", found.verdict, class_=_GOOD.get(found.verdict, ""), title=found.reason)
    if found.difference is None or found.low is None or found.high is None:
        return "-", word
    return points(found.difference, found.low, found.high), word


def _curves(account: Account) -> Html:
    curves = [curve for curve in account.curves if curve.train or curve.valid]
    if not curves:
        return Html("")
    scale = shared_scale([points_ for curve in curves for points_ in (curve.train, curve.valid)])
    figures = [
        element("figure", loss_chart(curve.label, curve.train, curve.valid, scale), element("figcaption", curve.label))
        for curve in curves[:MOST_CHARTS]
    ]
    note = "Loss by step, one logarithmic scale for all: each step pale, smoothed blue, validation rows orange."
    if len(curves) > MOST_CHARTS:
        note += f" The first {MOST_CHARTS} of {len(curves)} runs."
    return _section("Loss", element("p", note, class_="dim"), element("div", *figures, class_="charts"))


def _flips(account: Account) -> Html:
    found = account.results.flipped
    if found is None:
        return Html("")
    said = f"{found.run} got {len(found.fixed)} items right that {found.baseline} got wrong, and "
    said += f"{len(found.broke)} wrong that {found.baseline} got right."
    parts: list[object] = [element("p", said)]
    for title, some in (("Broke", found.broke), ("Fixed", found.fixed)):
        if some:
            more = f", the first {MOST_FLIPS}" if len(some) > MOST_FLIPS else ""
            head = ["question", "expected", found.baseline, found.run]
            rows = table(head, (_flip_row(flip) for flip in some[:MOST_FLIPS]))
            parts.append(element("details", element("summary", f"{title}: {len(some)}{more}"), rows))
    return _section("Flips", *parts)


def _flip_row(flip: Flip) -> list[str]:
    return [cut(text_, 200) for text_ in (flip.question, flip.reference, flip.before, flip.after)]


def _confusion(account: Account) -> Html:
    """Show what the winner answered instead, for graders with labels."""
    winner = account.results.winner
    parts: list[object] = []
    for suite, scores in winner.scores.items() if winner else ():
        for grader, found in next(iter(scores.arms.values())).confusion.items():
            pairs = ((ref, said, count) for ref, row in found.items() for said, count in row.items() if ref != said)
            wrong = sorted(pairs, key=lambda pair: -pair[2])
            if wrong:
                caption = f"{suite}, {grader}: wrong answers of {winner.label if winner else ''}"
                parts += [element("p", caption, class_="dim")]
                parts.append(table(["expected", "answered", "items"], wrong[:20], numbers=frozenset({2})))
    return _section("Confused", *parts) if parts else Html("")


def _data(account: Account) -> Html:
    plan = account.plan
    rows = [
        [
            name,
            f"{part.rows:,}",
            f"{part.tokens:,}",
            f"{part.learned_tokens:,}" if role == "train" else "-",
            part.sha256,
        ]
        for role, name in _PARTS.items()
        if (part := plan.runs[0].prepared.parts.get(role)) is not None
    ]
    head = ["part", "rows", "tokens", "learned tokens", "sha256"]
    shown: list[object] = [table(head, rows, numbers=frozenset({1, 2, 3}))]
    several = len({id(run.prepared) for run in plan.runs})
    if several > 1:
        shown.append(element("p", f"The sweep has {several} data sets; this is the first run's.", class_="dim"))
    found = [[p.severity, p.site, p.told, element("code", p.code), p.fix] for p in plan.warnings]
    shown.append(element("h3", "Lint"))
    shown.append(
        table(["severity", "where", "what", "code", "what to do"], found) if found else element("p", "Nothing found.")
    )
    return _section("Data", *shown)


def _provenance(account: Account) -> Html:
    plan = account.plan
    config = yaml.safe_dump(plan.composed.config, sort_keys=False, allow_unicode=True, width=110)
    parts: list[object] = [element("details", element("summary", "The resolved experiment"), _pre(config))]
    if account.records:
        head = ["run", "train digest", "commit", "seal", "folder"]
        parts.append(table(head, (_record_row(record) for record in account.records)))
        parts += _files(account.records[0])
        parts += _machine(account)
        label = account.results.winner.label if account.results.winner else account.records[0].label
        commands = f"ftspec verify {plan.name}\nftspec reproduce '{plan.name}[{label}]'"
        parts += [element("p", "Check that no byte changed, and do a run again:"), _pre(commands)]
    return _section("Where it comes from", *parts)


def _pre(content: str) -> Html:
    """Return a block whose lines stay lines."""
    return element("pre", joined((text(line) for line in content.rstrip("\n").split("\n")), "\n"))


def _record_row(record: Record) -> list[object]:
    digests, git = record.facts.get("digests", {}), record.facts.get("git", {})
    commit = str(git.get("commit") or "no repository")[:13]
    dirty = " and uncommitted changes" if git.get("dirty") else ""
    seal = record.seal[:12] if record.seal else "-"
    train = element("code", str(digests.get("train", "")).removeprefix("sha256:")[:12])
    return [record.label, train, f"{commit}{dirty}", element("code", seal), element("code", record.folder)]


def _files(record: Record) -> Iterator[Html]:
    """List what the first run was made of, by content."""
    facts = record.facts
    rows = [
        [kind, str(one.get("path", "")), element("code", str(one.get("sha256", "")))]
        for kind, key in (("data", "sources"), ("configuration", "configs"))
        for one in facts.get(key, ())
    ]
    base: Mapping[str, Any] = facts.get("base", {})
    engine = base.get("engine")
    if isinstance(engine, Mapping):
        rows.append(["base model", str(base.get("model")), element("code", str(engine.get("base", "")))])
    summary = element("summary", f"Files and base model of {record.label}")
    yield element("details", summary, table(["", "path", "sha256"], rows))


def _machine(account: Account) -> Iterator[Html]:
    """Say with what the runs were made, once for each different surrounding."""
    found: dict[str, list[str]] = {}
    for record in account.records:
        env = record.environment
        if env:
            versions = ", ".join(f"{name} {facts['version']}" for name, facts in env.get("packages", {}).items())
            machine = " ".join(str(env.get(key) or "") for key in ("os", "os_release", "machine", "cpu"))
            found.setdefault(f"Python {env.get('python')} on {machine}; {versions}", []).append(record.label)
    for said, labels in found.items():
        which = "" if len(found) == 1 else f" ({', '.join(labels)})"
        yield element("p", f"Made with {said}{which}.", class_="dim")
