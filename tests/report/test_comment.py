"""The comment under budgets and under attack: nothing is cut, nothing of unknown origin is more than text."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ftspec.cli.main import main
from ftspec.report.changes import change_lines
from ftspec.report.markdown.comment import MAX_BYTES, MAX_CHARACTERS, SUMMARY, comment, summary
from ftspec.report.markdown.escape import code, fenced
from ftspec.workflows.review import changes as shapes
from ftspec.workflows.review.changes import Changes, read_changes, to_json

HOSTILE = (
    "`code` ``more`` ```fence",
    "a | b | c",
    "\u202eright-to-left\u2066\u200b",
    "@all @org/team #1 GH-2",
    "line\nbreak\r\n\n# heading",
    "::add-mask::x\n::set-output name=a::b",
    "##[add-mask]secret",
    "/merge\n/close",
    "</details><script>alert(1)</script>",
    "<!-- ftspec:plan v1 key=default -->",
    "--> <img src=x onerror=alert(1)>",
    "[text](https://evil.example) ![i](https://evil.example/x.png) https://evil.example www.evil.example",
    "> [!CAUTION]\n> quoted",
    "\x1b[2J\x1b]0;title\x07",
    "\\",
    "`",
    "``` \n~~~ \n",
    "a" * 2000,
    "😀" * 1000,
    "\ud800",
    "",
    " ",
    "$(id) ${{ secrets.TOKEN }}",
)


def filled(make: Callable[[], str], number: Callable[[], int]) -> Changes:
    """A plan whose every free text comes from `make`."""

    def value(hint: Any, depth: int = 0) -> Any:
        text = str(hint)
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            return hint(**{name: value(inner, depth + 1) for name, inner in get_type_hints(hint).items()})
        if hint is str:
            return make()
        if hint is int:
            return number()
        if hint is bool:
            return bool(number() % 2)
        arguments = getattr(hint, "__args__", ())
        if "Literal" in text and "|" not in text and "tuple" not in text:
            return arguments[number() % len(arguments)]
        if getattr(hint, "__origin__", None) is tuple:
            if Ellipsis in arguments:
                return tuple(value(arguments[0], depth + 1) for _ in range(3))
            return tuple(value(one, depth + 1) for one in arguments)
        if type(None) in arguments:
            kind = next(one for one in arguments if one is not type(None))
            return value(kind, depth + 1)
        if hint is float:
            return float(number())
        raise AssertionError(hint)

    made = value(Changes)
    assert isinstance(made, Changes)
    return msgspec.structs.replace(made, schema=shapes.SCHEMA)


def parsed(text: str) -> list[Token]:
    """The tokens of a comment as GitHub's Markdown reads it: CommonMark and tables, inline tokens flattened."""
    flat: list[Token] = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        flat += [token, *(token.children or [])]
    return flat


OURS = re.compile(r"</?(details|summary|b|sub)>|<!-- ftspec:plan v1 key=[\w.-]* head=(\w+) base=(\w+) -->")


def assert_inert(text: str) -> None:
    """Only our own HTML, no link, no image, no heading but ours; mentions and references stand in code alone."""
    for token in parsed(text):
        if token.type in ("html_inline", "html_block"):
            assert "<" not in OURS.sub("", token.content), token.content
        assert token.type not in ("link_open", "image"), token
        if token.type == "heading_open":
            assert token.tag == "h3"
        if token.type == "text":
            assert not re.search(r"@\w|#\d|https?:|www\.", token.content), token.content
    assert not re.search(r"^\s*(::|/)", text, re.MULTILINE)
    assert "##[" not in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)


def assert_balanced(text: str) -> None:
    """Every <details> and every fence is closed before the footer."""
    html = "".join(token.content for token in parsed(text) if token.type in ("html_inline", "html_block"))
    assert html.count("<details>") == html.count("</details>")
    assert html.count("<summary>") == html.count("</summary>") == html.count("<details>")
    assert html.rstrip().endswith("</sub>")


def every(texts: tuple[str, ...]) -> Callable[[], str]:
    state = iter(range(10**9))
    return lambda: texts[next(state) % len(texts)]


def counting() -> Callable[[], int]:
    state = iter(range(10**9))
    return lambda: next(state) % 7


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_in_every_place_stays_inert(text: str) -> None:
    changes = filled(lambda: text, counting())
    for made in (comment(changes, unverified=True), summary(changes)):
        assert_inert(made)
        assert_balanced(made)
        assert len(made) <= MAX_CHARACTERS or len(made.encode()) <= SUMMARY
    assert_terminal_safe(changes)


def assert_terminal_safe(changes: Changes) -> None:
    for line in change_lines(changes, colour=False):
        assert line.isprintable() or line == "", repr(line)
        assert "##[" not in line
        assert not re.match(r"\s*::", line), line


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=9), st.integers(0, 6))
def test_any_text_stays_inert(texts: list[str], start: int) -> None:
    state = iter(range(start, 10**9))
    changes = filled(every(tuple(texts)), lambda: next(state) % 7)
    made = comment(changes)
    assert_inert(made)
    assert_balanced(made)


@pytest.mark.parametrize("kind", ["retrain", "metadata"])
def test_5000_changed_runs_fit_both_budgets(kind: Any) -> None:
    base = filled(every(("plain", "x" * 80, "日本語のラベル" * 8)), counting())
    runs = tuple(
        msgspec.structs.replace(base.runs[0], label=f"run {n} {'é' * 40}", kind=kind, reasons=(f"reason {n}",))
        for n in range(5000)
    )
    group = msgspec.structs.replace(base.fields[0], runs=tuple(run.label for run in runs))
    many = msgspec.structs.replace(
        base,
        runs=runs,
        fields=(group, *base.fields * 500),
        known=base.known * 2000,
        data=base.data * 300,
        suites=base.suites * 300,
        overlaps=base.overlaps * 50,
        troubles=base.troubles * 200,
        notices=base.notices * 50,
        gates=base.gates * 50,
    )
    made = comment(many)
    assert len(made) <= MAX_CHARACTERS
    assert len(made.encode()) <= MAX_BYTES
    assert_balanced(made)
    assert "left out so that this comment fits" in made
    assert made.splitlines()[1].startswith("### ftspec: ")
    assert len(summary(many).encode()) <= SUMMARY


def test_the_worst_plan_of_5_mib_fits() -> None:
    """Every list as long as the file allows, every text at its worst: the last level alone is bounded."""
    worst = filled(lambda: "|`😀" * 400, counting())
    many = {
        name: getattr(worst, name) * 60
        for name in ("gates", "troubles", "overlaps", "suites", "notices", "beside", "experiments", "runs")
    }
    made = comment(msgspec.structs.replace(worst, **many), unverified=True, link="https://example.com/" + "x" * 480)
    assert len(made) <= MAX_CHARACTERS
    assert len(made.encode()) <= MAX_BYTES
    assert_balanced(made)
    assert_inert(made.replace("](https://example.com/" + "x" * 480 + ")", "]"))


def test_sections_go_one_by_one() -> None:
    changes = filled(every(("plain",)), counting())
    whole = comment(changes)
    assert "<b>Spec</b>" in whole
    shorter = comment(changes, characters=len(whole) - 1)
    assert "<b>Spec</b>" not in shorter
    assert "<b>Evals</b>" in shorter
    smallest = comment(changes, characters=1)
    assert "<details>" not in smallest
    assert "### ftspec: " in smallest


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_is_one_code_span(text: str) -> None:
    """Read back by a Markdown parser: one span, alone, in a line and in a table's cell."""
    span = code(text)
    tokens = MarkdownIt("commonmark").parseInline(f"before {span} after")[0].children or []
    if text.strip():
        assert [token.type for token in tokens] == ["text", "code_inline", "text"]
    table = MarkdownIt("commonmark").enable("table").parse(f"| a | b |\n|---|---|\n| {span} | x |\n")
    assert sum(token.type == "td_open" for token in table) == 2


@given(st.lists(st.text(), max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_fence_holds_whatever_stands_in_it(lines: list[str]) -> None:
    made = "\n".join(["before", "", *fenced(lines, "diff"), "", "after"])
    tokens = [token.type for token in MarkdownIt("commonmark").parse(made) if token.nesting >= 0]
    assert [t for t in tokens if t != "inline"] == ["paragraph_open", "fence", "paragraph_open"]


def test_what_is_printed_is_what_was_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = filled(every(tuple(text for text in HOSTILE if "\ud800" not in text)), counting())
    (tmp_path / "plan.json").write_text(json.dumps(to_json(changes)))
    assert main(["comment", str(tmp_path / "plan.json"), "--print"]) == 0
    printed = capsys.readouterr().out
    assert printed == summary(read_changes((tmp_path / "plan.json").read_bytes()))
    assert_inert(printed)
