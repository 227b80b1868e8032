"""A review as one Markdown comment: shrunk by section until it fits, never cut, quiet when nothing changed.

GitHub takes 65,536 characters a comment and 1 MiB a step summary
(https://docs.github.com/en/rest/issues/comments, https://docs.github.com/en/actions/reference/workflow-commands).
"""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from ftspec.report import words
from ftspec.report.markdown.escape import code, fenced, scrubbed
from ftspec.report.style import usd
from ftspec.workflows.changes import Changes, Data, FieldGroup, Known, Run, Side, Suite

MARKER = "<!-- ftspec:plan v1 key={key}"
MAX_CHARACTERS, MAX_BYTES = 60_000, 200_000
SUMMARY = 900 * 1024
_SIGN = {"new": "➕", "removed": "➖", "retrain": "🔁", "re-score": "📏", "metadata": "🏷️", "renamed": "✏️"}
_LEVELS = 6


def marker_start(changes: Changes) -> str:
    """Return how the first line begins, by which the comment is found again."""
    key = "".join(c for c in changes.key if c.isascii() and (c.isalnum() or c in "._-"))[:60]
    return f"{MARKER.format(key=key)} "


def marker(changes: Changes) -> str:
    """Return the first line: an HTML comment, which is not shown."""
    return f"{marker_start(changes)}head={_commit(changes.head)} base={_commit(changes.base)} -->"


def _commit(side: Side) -> str:
    return side.commit if side.commit and re.fullmatch("[0-9a-f]{40,64}", side.commit) else "worktree"


def comment(
    changes: Changes,
    *,
    characters: int = MAX_CHARACTERS,
    size: int = MAX_BYTES,
    unverified: bool = False,
    link: str = "",
) -> str:
    """Return the comment within both budgets; each level leaves out whole sections, the headline always stays."""
    text = ""
    for level in range(_LEVELS):
        text = "\n".join(_Comment(changes, level, unverified, link).lines()) + "\n"
        if len(text) <= characters and len(text.encode()) <= size:
            break
    return text


def summary(changes: Changes, *, unverified: bool = False) -> str:
    """Return the same for a step summary, which may be larger."""
    return comment(changes, characters=SUMMARY, size=SUMMARY, unverified=unverified)


class _Comment:
    def __init__(self, changes: Changes, level: int, unverified: bool, link: str) -> None:
        self.c, self.level, self.unverified, self.link = changes, level, unverified, link
        self.most = 20 if level >= 4 else 200 if level >= 1 else 2000

    def lines(self) -> Iterator[str]:
        yield marker(self.c)
        yield f"### ftspec: {words.headline(self.c)}"
        if self.unverified:
            yield "\n> [!NOTE]"
            yield "> This plan comes from an unverified job: the author of the pull request controls what it ran."
        if not self.c.quiet and self.level < 5:
            yield from self._in_short()
        yield from self._alerts()
        if self.level < 5:
            yield from self._known()
            yield from self._runs()
            yield from self._data()
            yield from self._spec()
            yield from self._evals()
        yield from self._notices()
        if self.level:
            where = f" Everything stands in [the summary of the job]({self.link})." if self.link else ""
            yield f"\nSome sections were left out so that this comment fits.{where} `ftspec diff` shows all of it."
        yield from self._footer()

    def _in_short(self) -> Iterator[str]:
        c = self.c
        yield ""
        untouched = f" {words.plural(c.untouched, 'other experiment')} untouched." if c.untouched else ""
        yield f"- **Runs:** {words.counts(c)}.{untouched}"
        yield f"- **Cost:** {words.cost(c)}."
        if not c.suites:
            yield "- **Old scores:** every suite of these experiments is unchanged, so old and new scores compare."
        for suite in c.suites[: self.most]:
            name = f"{code(suite.suite)} of {code(suite.experiment)}"
            yield f"- **Old scores:** {name} {_inert(words.comparable(suite))}."
        for data in c.data[: self.most]:
            yield f"- **Data** of {code(data.experiment)}: {words.rows(data)}; {_learned(data)}."
        if not c.data and c.to_train:
            yield "- **Data:** the same rows and weights as before."
        if len(c.suites) > self.most or len(c.data) > self.most:
            yield "- and more of the same kind"

    def _alerts(self) -> Iterator[str]:
        c = self.c
        failed = c.failed_gates
        if failed:
            yield "\n> [!CAUTION]"
            for gate in failed[:20]:
                yield f"> **Gate {code(gate.name)} failed:** {code(gate.detail, 300)}"
        if c.broken:
            yield "\n> [!CAUTION]"
            yield f"> **{words.plural(len(c.broken), 'problem')}: these experiments do not compose.**"
            for trouble in c.broken[:10]:
                yield f"> - {code(trouble.experiment)} {code(trouble.place, 120)} {code(trouble.message, 300)}"
        for found in [overlap for overlap in c.overlaps if overlap.introduced][:10]:
            yield "\n> [!CAUTION]"
            rows = words.plural(found.introduced, "training row")
            yield f"> **{rows} of {code(found.experiment)} newly repeat items of eval {code(found.suite)}**"
            yield f"> ({words.overlap(found)}); {found.existing:,} older. First: {_places(found.places)}"
        for suite in [suite for suite in c.suites if suite.kind == "changed" and suite.baselines][:10]:
            yield "\n> [!WARNING]"
            arms = words.plural(len(suite.baselines), "baseline")
            names = ", ".join(code(arm) for arm in suite.baselines[:8])
            yield f"> Score the {arms} of {code(suite.suite)} again ({names};"
            yield f"> {suite.answers:,} answers, {usd(suite.usd)}): `ftspec run {suite.experiment} --only baselines`"

    def _known(self) -> Iterator[str]:
        known = self.c.known[: self.most]
        if not known:
            return
        yield "\n**Scores on file** (old and new under one eval digest only)\n"
        yield "| Run | Suite | Metric | Old | New | Items |"
        yield "|---|---|---|--:|--:|--:|"
        for one in known:
            run = code(f"{one.experiment}/{one.run}")
            old, new = _score(one, "old"), _score(one, "new")
            yield f"| {run} | {code(one.suite)} | {code(one.metric)} | {old} | {new} | {one.n or ''} |"
        if len(self.c.known) > len(known):
            yield f"\nand {len(self.c.known) - len(known):,} more."

    def _runs(self) -> Iterator[str]:
        rows = list(self._run_rows())
        if not rows:
            return
        yield "\n| | Run | Why | Train rows | Learned tokens | Est. cost |"
        yield "|---|---|---|--:|--:|--:|"
        yield from rows[: self.most]
        if len(rows) > self.most:
            yield f"\nand {len(rows) - self.most:,} more lines."

    def _run_rows(self) -> Iterator[str]:
        def key(run: Run) -> tuple[object, ...]:
            return (run.experiment, run.kind, run.reasons, run.rows_old, run.rows_new, run.learned_old, run.learned_new)

        for _, group in groupby(sorted(self.c.runs, key=lambda r: r.experiment), key):
            yield self._run_row(list(group))
        if self.level < 3:
            for experiment in self.c.experiments:
                if experiment.unchanged:
                    yield f"| ✅ | {code(experiment.name)} ×{experiment.unchanged} | unchanged | | | $0 |"

    def _run_row(self, runs: list[Run]) -> str:
        one = runs[0]
        names = ", ".join(code(run.label, 60) for run in runs[:6]) + (
            f" and {len(runs) - 6} more" if len(runs) > 6 else ""
        )
        old_names = [run.old_name for run in runs if run.old_name]
        was = (
            f" (was {', '.join(code(name) for name in old_names[:3])}{' …' if len(old_names) > 3 else ''})"
            if old_names
            else ""
        )
        prices = [[run.usd_old for run in runs], [run.usd_new for run in runs]]
        old, new = (None if any(p is None for p in side) else sum(p for p in side if p is not None) for side in prices)
        cells = [
            _SIGN[one.kind],
            f"{code(one.experiment)} ×{len(runs)}: {names}{was}",
            words.why(one),
            words.change(one.rows_old, one.rows_new),
            words.change(one.learned_old, one.learned_new),
            words.dollars(old, new, one.kind),
        ]
        return f"| {' | '.join(cells)} |"

    def _data(self) -> Iterator[str]:
        if not self.c.data:
            return
        yield f"\n<details><summary><b>Data</b>: {words.plural(len(self.c.data), 'data set')} changed</summary>\n"
        for data in self.c.data[: self.most]:
            yield from self._data_set(data)
        yield "\n</details>"

    def _data_set(self, data: Data) -> Iterator[str]:
        yield f"\n{code(data.experiment)}, {words.plural(len(data.runs), 'run')}: {words.rows(data)}\n"
        yield "| | before | after |"
        yield "|---|--:|--:|"
        for title, old, new in _totals(data):
            yield f"| {title} | {old} | {new} |"
        for source in [s for s in data.sources if s.old != s.new][: self.most]:
            rows = words.change(source.rows_old, source.rows_new)
            yield f"| {code(source.path)} sha256 | {_digest(source.old)} | {_digest(source.new)} ({rows} rows) |"
        if data.samples and self.level < 1:
            yield "\nlearned words of some changed rows:\n"
            lines = []
            for sample in data.samples:
                lines.append(f"@ {sample.kind} {sample.where}")
                lines += [f"- {scrubbed(sample.old)}"] if sample.old is not None else []
                lines += [f"+ {scrubbed(sample.new)}"] if sample.new is not None else []
            yield from fenced(lines, "diff")

    def _spec(self) -> Iterator[str]:
        if not self.c.fields or self.level >= 2:
            return
        count = sum(len(group.fields) for group in self.c.fields)
        runs = sum(len(group.runs) for group in self.c.fields)
        title = f"{words.plural(count, 'field')} changed in {words.plural(runs, 'run')}"
        yield f"\n<details><summary><b>Spec</b>: {title}</summary>\n"
        for group in self.c.fields[: self.most]:
            yield from _fields(group)
        yield "\n</details>"

    def _evals(self) -> Iterator[str]:
        if not self.c.suites:
            return
        changed = sum(suite.kind == "changed" for suite in self.c.suites)
        yield f"\n<details><summary><b>Evals</b>: {words.plural(changed, 'suite')} no longer comparable</summary>\n"
        yield "| Experiment | Suite | Items | Why | Digest | Comparable |"
        yield "|---|---|--:|---|---|---|"
        for suite in self.c.suites[: self.most]:
            yield _suite_row(suite)
        yield "\n</details>"

    def _notices(self) -> Iterator[str]:
        warnings = [t for t in self.c.troubles if t.side == "head" and t.severity == "warning"]
        old = [t for t in self.c.troubles if t.side == "base" and t.severity == "error"]
        if not (self.c.notices or warnings or old) or (self.level >= 5 and not self.c.notices):
            return
        yield ""
        for notice in self.c.notices[:20]:
            yield f"- ℹ️ {code(notice, 300)}"
        for trouble in old[:5]:
            yield f"- ℹ️ the base revision's {code(trouble.experiment)} does not compose: {code(trouble.message, 200)}"
        for trouble in warnings[:10]:
            yield f"- ⚠️ {code(trouble.experiment)}: {code(trouble.message, 200)}"

    def _footer(self) -> Iterator[str]:
        c = self.c
        passed = sum(gate.passed for gate in c.gates)
        gates = f" Gates: {passed} of {len(c.gates)} passed." if c.gates else ""
        counters = sorted({d.new.counter for d in c.data if d.new})
        tokens = f" Tokens: {', '.join(code(name) for name in counters[:3])}." if counters else ""
        prices = f" Prices as of {code(c.prices_as_of)}." if c.prices_as_of else ""
        limits = f" Composed apart: {code(c.limits, 200)}." if c.limits else ""
        yield (
            f"\n<sub>Static plan of {code(c.head.name)} against {code(c.base.name)}; no code of this change was run."
            f"{tokens}{prices}{gates}{limits}</sub>"
        )


def _inert(text: str) -> str:
    """Return one of our sentences in which names of arms, graders and fields may stand."""
    head, bracket, tail = text.partition(" (")
    return f"{head} ({code(tail.removesuffix(')'), 300)})" if bracket else head


def _learned(data: Data) -> str:
    if data.new is None:
        return "no longer used"
    if data.old is None:
        return f"{data.new.rows:,} train rows, {data.new.learned_tokens:,} of {data.new.tokens:,} tokens learned"
    return (
        f"messages learned {words.change(data.old.learned_messages, data.new.learned_messages)}, "
        f"tokens learned {words.change(data.old.learned_tokens, data.new.learned_tokens)}"
    )


def _totals(data: Data) -> Iterator[tuple[str, str, str]]:
    names = (
        ("train rows", "rows"),
        ("validation rows", "validation"),
        ("test rows", "test"),
        ("messages learned", "learned_messages"),
        ("tokens learned", "learned_tokens"),
        ("tokens in all", "tokens"),
    )
    for title, name in names:
        old = f"{getattr(data.old, name):,}" if data.old else ""
        new = f"{getattr(data.new, name):,}" if data.new else ""
        yield title, old, new
    yield "weight policy", code(data.old.policy) if data.old else "", code(data.new.policy) if data.new else ""


def _digest(value: str | None) -> str:
    return code(value[:12]) if value else "none"


def _places(places: Iterable[str]) -> str:
    shown = list(places)
    return ", ".join(code(place) for place in shown[:3]) or "unknown"


def _score(one: Known, side: str) -> str:
    value, bounds = (one.old, one.old_interval) if side == "old" else (one.new, one.new_interval)
    if value is None:
        return "not yet"
    return f"{value:.3f}" + (f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else "")


def _fields(group: FieldGroup) -> Iterator[str]:
    runs = ", ".join(code(run, 60) for run in group.runs[:6])
    more = f" and {len(group.runs) - 6} more" if len(group.runs) > 6 else ""
    many = words.plural(len(group.runs), "run")
    fields = words.plural(len(group.fields), "field")
    yield f"\n{code(group.experiment)}: {fields} changed the same way in {many}: {runs}{more}\n"
    lines = []
    for field in group.fields[:50]:
        where = f"    # {field.where}" if field.where else ""
        lines += [f"- {field.path}: {scrubbed(field.old)}"] if field.old is not None else []
        lines += [f"+ {field.path}: {scrubbed(field.new)}{where}"] if field.new is not None else [f"  {where.strip()}"]
    if len(group.fields) > 50:
        lines.append(f"  and {len(group.fields) - 50} more fields")
    yield from fenced(lines, "diff")


def _suite_row(suite: Suite) -> str:
    items = words.change(suite.items_old, suite.items_new)
    digests = " → ".join(_digest((one or "").removeprefix("sha256:")) for one in (suite.digest_old, suite.digest_new))
    causes = ", ".join(code(cause) for cause in suite.causes[:8]) or suite.kind
    verdict = "**no**" if suite.kind == "changed" else "nothing to compare"
    return f"| {code(suite.experiment)} | {code(suite.suite)} | {items} | {causes} | {digests} | {verdict} |"
