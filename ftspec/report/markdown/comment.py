"""A review as one Markdown comment: shrunk by section until it fits, never cut, quiet when nothing changed.

GitHub takes 65,536 characters a comment and 1 MiB a step summary
(https://docs.github.com/en/rest/issues/comments, https://docs.github.com/en/actions/reference/workflow-commands).
"""

import re
from collections.abc import Iterator

from ftspec.report import words
from ftspec.report.markdown import sections
from ftspec.report.markdown.escape import code
from ftspec.workflows.review.changes import Changes, Side

MARKER = "<!-- ftspec:plan v1 key={key}"
MAX_CHARACTERS, MAX_BYTES = 60_000, 200_000
SUMMARY = 900 * 1024

# What each level leaves out: texts of rows, the field diff, unchanged runs, long lists, everything but the headline.
TEXTS, FIELDS, UNCHANGED, LISTS, ALL = 1, 2, 3, 4, 5


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
    """Return the comment within both budgets; each level leaves out whole sections, the headline always stays.

    `unverified` says that the plan is another job's, which the author of the pull request controls; `link` is the page
    with the whole summary.
    """
    text = ""
    for level in range(ALL + 1):
        text = "\n".join(_lines(changes, level, unverified, link)) + "\n"
        if len(text) <= characters and len(text.encode()) <= size:
            break
    return text


def summary(changes: Changes, *, unverified: bool = False) -> str:
    """Return the same for a step summary, which may be larger."""
    return comment(changes, characters=SUMMARY, size=SUMMARY, unverified=unverified)


def _lines(changes: Changes, level: int, unverified: bool, link: str) -> Iterator[str]:
    most = 20 if level >= LISTS else 200 if level >= TEXTS else 2000
    yield marker(changes)
    yield f"### ftspec: {words.headline(changes, code)}"
    if unverified:
        yield "\n> [!NOTE]"
        yield "> This plan comes from an unverified job: the author of the pull request controls what it ran."
    if changes.quiet:
        yield from _footer(changes)
        return
    if level < ALL:
        yield from sections.brief(changes, most)
    yield from sections.alerts(changes)
    if level < ALL:
        yield from sections.scores(changes, most)
        yield from sections.runs(changes, most, unchanged=level < UNCHANGED)
        yield from sections.data(changes, most, texts=level < TEXTS)
        if level < FIELDS:
            yield from sections.fields(changes, most)
        yield from sections.evals(changes, most)
    yield from sections.notices(changes, warnings=level < ALL)
    if level:
        where = f" Everything stands in [the summary of the job]({link})." if link else ""
        yield f"\nSome sections were left out so that this comment fits.{where} `ftspec diff` shows all of it."
    yield from _footer(changes)


def _footer(changes: Changes) -> Iterator[str]:
    gates = f" Gates: {words.gates(changes, code)}." if changes.gates else ""
    counters = sorted({data.new.counter for data in changes.data if data.new})
    tokens = f" Tokens: {', '.join(code(name) for name in counters[:3])}." if counters else ""
    prices = f" Prices as of {code(changes.prices_as_of)}." if changes.prices_as_of and changes.runs else ""
    limits = f" Composed apart: {code(changes.limits, 200)}." if changes.limits else ""
    what = (
        f"Static plan of {code(changes.head.name)} against {code(changes.base.name)}; no code of this change was run."
    )
    yield f"\n<sub>{what}{tokens}{prices}{gates}{limits}</sub>"
