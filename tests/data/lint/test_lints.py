"""Every lint fires on its fixture, alone, and not on the near miss beside it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspec.data import CharEstimate, RowRules, prepare
from ftspec.data.lint.answers import new_names, put_off
from ftspec.data.lint.catalogue import CATALOGUE
from ftspec.data.lint.definition import Subject
from ftspec.data.lint.private import iban, luhn, personal
from ftspec.data.lint.running import active, run
from ftspec.data.lint.sets import distinct_triples
from ftspec.spec.dataset import Dataset, Weights
from ftspec.spec.errors import Problem
from ftspec.spec.lint import DATA_LINTS

WORDS = """amber basin cedar delta ember fjord glade haven inlet jetty knoll lagoon meadow north oasis prairie quarry
river shore tundra upland valley willow yarrow zephyr anchor bridge canyon dune estuary forest grove harbour"""

Rows = list[dict[str, Any]]


def said(n: int, length: int = 9) -> str:
    """A sentence of its own for each n."""
    words = WORDS.split()
    return " ".join(words[(n * 7 + k * (k + n) + n // 5) % len(words)] + str(n + k) for k in range(length))


def row(*messages: tuple[str, str] | dict[str, Any], **more: Any) -> dict[str, Any]:
    made = [m if isinstance(m, dict) else {"role": m[0], "content": m[1]} for m in messages]
    return {"messages": made, **more}


def ask(user: str, answer: str = "") -> dict[str, Any]:
    return row(("user", user), ("assistant", answer or f"done with {said(len(user) + 1000, 4)}"))


def plain(n: int, answer: str = "") -> dict[str, Any]:
    return ask(said(n), answer or f"done with {said(n + 1000, 4)}")


def calls(*names: str) -> dict[str, Any]:
    functions = [{"name": name, "arguments": "{}"} for name in names]
    made = [{"id": f"c{n}", "type": "function", "function": function} for n, function in enumerate(functions)]
    return {"role": "assistant", "content": None, "tool_calls": made}


def unlearned(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "weight": 0}


TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
RESULT = {"role": "tool", "tool_call_id": "c0", "content": "x"}
U, A = ("user", "a question"), ("assistant", "an answer")
U2, A2 = ("user", "another question"), ("assistant", "another answer")


@dataclass(frozen=True)
class Case:
    """Rows that fire a lint, after sixty ordinary ones unless `alone`, and rows that nearly do.

    `line` is where it fires, `beside` what such rows must fire too.
    """

    fires: Rows
    misses: Rows
    line: int | None = 61
    alone: bool = False
    asked: bool = False
    beside: frozenset[str] = frozenset()


def whole(fires: Rows, misses: Rows, *beside: str) -> Case:
    """A lint of the data set as a whole."""
    return Case(fires, misses, line=None, alone=True, beside=frozenset(beside))


def answered(n: int, *answers: str) -> Rows:
    return [plain(i, answers[i % len(answers)]) for i in range(n)]


def under(*instructions: str) -> Rows:
    return [row(("system", instructions[n % len(instructions)].format(n=n)), *plain(n)["messages"]) for n in range(60)]


def going(*places: str) -> Rows:
    return [ask(f"please tell me the way from the station to {place} now", f"{n} km") for n, place in enumerate(places)]


LOST, LATE = "which queue takes a lost parcel", "which queue takes a late parcel"
CASES: dict[str, Case] = {
    "broken_text": Case([ask("the caf\u00c3\u00a9 is closed")], [ask("the café Ãgua is closed, €5 “lost”")]),
    "conflicting_rows": Case([ask(LOST, "post"), ask(LOST, "lost")], [ask(LOST, "post"), ask(LATE, "lost")], 62),
    "deferral": Case(
        [ask("hi", "Good question! I'll do that tomorrow.")],
        [ask("hi", "The parcel will arrive tomorrow. I'll write the address on it now.")],
    ),
    "dup_row": Case([plain(3)], [plain(303)]),
    "empty_content": Case([ask("", "a")], [ask(" ", "a")]),
    "leak_alike": Case([ask(said(2003).upper() + "!")], [ask(said(2003) + " and whom to ask about it")]),
    "leak_row": Case([plain(2003)], [plain(2004)], beside=frozenset({"leak"})),
    "low_diversity": whole(
        going(*(f"number {n % 9}" for n in range(60))),
        going(*(said(n) for n in range(60))),
        "conflicting_rows",
        "near_dup",
    ),
    "masked_tail": Case([row(U, A, U2, unlearned("b"))], [row(U, unlearned("b"), U2, A2)]),
    "near_dup": Case(
        [ask(said(500, 20) + " now", "yes"), ask(said(500, 20) + " soon", "yes")],
        [ask(said(500, 20), "yes"), ask(f"{said(500, 6)} {said(900, 14)}", "yes")],
        62,
    ),
    "new_facts": Case(
        [ask("who founded it?", "It was founded by Ada Byron and Grace Murray in 1952.")],
        [ask("was it Ada Byron or Grace Murray?", "It was founded by Ada Byron and Grace Murray in 1952.")],
    ),
    "no_system": Case([row(U, A)], [row(("developer", "be short"), U, A)], 1, alone=True, asked=True),
    "no_tools": Case([row(U, calls("find"))], [row(U, calls("find"), tools=TOOLS)]),
    "no_user": Case([row(("system", "greet"), A)], [row(U, A)]),
    "parallel_calls": Case(
        [row(U, calls("find", "find"), tools=TOOLS, parallel_tool_calls=False)],
        [
            row(U, calls("find"), tools=TOOLS, parallel_tool_calls=False),
            row(U2, calls("find", "find"), tools=TOOLS, parallel_tool_calls=True),
        ],
    ),
    "personal_data": Case(
        [ask("write to jo.smith@mail.de please")],
        [ask("write to jo@example.com, order 4111 1111 1111 1112, 1,234,567,890,123 units")],
    ),
    "rare_answer": whole(
        [*answered(60, "yes", "no"), plain(70, "perhaps")],
        [*answered(60, "yes", "no"), *(plain(70 + n, "perhaps") for n in range(5))],
    ),
    "role_repeated": Case(
        [row(U, U2, A)],
        [row(("system", "a"), ("system", "b"), U, A), row(U2, unlearned("because"), A2)],
    ),
    "secret": Case(
        [ask("my key is\nsk-proj-Ab3dEf6hIj9kLmNoPqRsTuV")],
        [ask("my key is sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxx, and a risk-averse-and-something-else-entirely")],
    ),
    "several_answers": Case([row(U, A, U2, A2)], [row(U, calls("find"), RESULT, A, tools=TOOLS)]),
    "several_tasks": whole(under("Sort these {n} words", "Add these {n} numbers"), under("Sort these {n} words")),
    "unbalanced": whole(answered(60, "yes", "yes", "yes", "no"), answered(60, "yes", "no")),
}


def subject(root: Path, rows: Rows) -> Subject:
    """A data set of these rows, with a test part that holds one row of its own."""
    (root / "data").mkdir(exist_ok=True)
    for name, content in {"rows": rows, "test": [plain(2003)]}.items():
        text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in content)
        (root / "data" / f"{name}.jsonl").write_text(text)
    split = {"test": {"path": "data/test.jsonl"}}
    dataset = Dataset.model_validate({"sources": [{"path": "data/rows.jsonl"}], "split": split})
    limits = RowRules(min_rows=1, advised_rows=0)
    prepared = prepare(dataset, Weights(), root=root, counter=CharEstimate(), cache=None, format=limits)
    return Subject(prepared, Weights(), limits, root)


def findings(root: Path, rows: Rows, *asked: str) -> dict[str, Problem]:
    given = subject(root, rows)
    return {problem.code: problem for problem in (*given.prepared.problems, *run(given, active(asked)))}


@pytest.mark.parametrize("code", CASES)
def test_fires_alone_and_not_on_the_near_miss(code: str, tmp_path: Path) -> None:
    case = CASES[code]
    ordinary = [] if case.alone else [plain(n) for n in range(60)]
    asked = (code,) if case.asked else ()
    found = findings(tmp_path, ordinary + case.fires, *asked)
    assert {code} <= set(found) <= {code} | case.beside
    problem = found[code]
    assert problem.message
    assert problem.fix
    if case.line is not None:
        assert (problem.file, problem.line) == ("data/rows.jsonl", case.line)
    assert not findings(tmp_path, ordinary + case.misses, *asked)


def test_a_held_out_prompt_with_a_greeting_before_it_leaks(tmp_path: Path) -> None:
    ordinary = [plain(n) for n in range(60)]
    found = findings(tmp_path, [*ordinary, ask("Hi, " + said(2003) + "!")])
    assert set(found) == {"leak_alike"}
    assert found["leak_alike"].line == 61
    assert "61 as data/test.jsonl:1" in found["leak_alike"].message
    halves = said(2003).split()[:5] + said(2010).split()[:4]  # shares five words of nine
    assert not findings(tmp_path, [*ordinary, ask("Hi, " + " ".join(halves))])


def test_off_until_asked_for(tmp_path: Path) -> None:
    assert not findings(tmp_path, CASES["no_system"].fires)


def test_every_lint_of_rows_has_a_case() -> None:
    elsewhere = {"dup_key"}
    assert set(CASES) | elsewhere == {one.code for one in CATALOGUE.values() if one.check}
    assert CATALOGUE.keys() == DATA_LINTS.keys()
    for one in CATALOGUE.values():
        assert (one.check is None) == bool(one.found_by)
        assert one.practice
        assert one.formula
        assert one.source


def test_dup_key_reads_the_source(tmp_path: Path) -> None:
    given = subject(tmp_path, [plain(n) for n in range(3)])
    chosen = [CATALOGUE["dup_key"]]
    assert run(given, chosen) == ()
    twice = '{"messages": [{"role": "user", "content": "a", "content": "b"}, {"role": "assistant", "content": "c"}]}'
    with (tmp_path / "data" / "rows.jsonl").open("a") as stream:
        stream.write(twice + "\n")
    (problem,) = run(given, chosen)
    assert (problem.code, problem.line) == ("dup_key", 4)
    assert "'content'" in problem.message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("mail a.b+c@firma.co.uk", "an e-mail address"),
        ("mail me@example.org or x@db.test", None),
        ("card 4111 1111 1111 1111.", "a card number"),
        ("card 4111111111111111", "a card number"),
        ("amex 3782 822463 10005", "a card number"),
        ("card 4111 1111 1111 1112", None),
        ("2222 2222 2222 2222 is a pattern", None),
        ("id 20240131123456789", None),
        ("DE89 3704 0044 0532 0130 00", "an account number (IBAN)"),
        ("GB29NWBK60161331926819", "an account number (IBAN)"),
        ("DE89 3704 0044 0532 0130 01", None),
        ("ssn 536-90-4399", "a social security number"),
        ("part 000-90-4399", None),
        ("call +49 30 901820-0 now", "a phone number"),
        ("2+2=4 and +5 points", None),
        ("400*35=$<<400*35=14000>>14,000 and 2000-1000=1000", None),
    ],
)
def test_personal_data(text: str, kind: str | None) -> None:
    assert personal(text) == kind


def test_published_check_digits() -> None:
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert iban("GB82 WEST 1234 5698 7654 32")


@given(st.from_regex(r"[2-6]\d{15}", fullmatch=True), st.integers(0, 15), st.integers(1, 9))
def test_luhn_finds_every_wrong_digit(digits: str, at: int, by: int) -> None:
    wrong = digits[:at] + str((int(digits[at]) + by) % 10) + digits[at + 1 :]
    assert not (luhn(digits) and luhn(wrong))


@pytest.mark.parametrize(
    ("text", "off"),
    [
        ("I'll do that tomorrow", True),
        ("We will get back to you.", True),
        ("I’m going to look at it later today", True),
        ("I'll fix it now", False),
        ("Later, the river rose. I will explain", False),
        ("I will deliver no later than noon", False),
        ("She said: see you tomorrow", False),
    ],
)
def test_deferrals(text: str, off: bool) -> None:
    assert (put_off(text) is not None) == off


def test_new_names() -> None:
    assert new_names("It was Ada Byron, in 1843.", "who was it?") == ["Ada", "Byron", "1843"]
    assert new_names("It was Ada.", "was it ada?") == []
    assert new_names("So 12 * 1000 = 12000", "how much?") == []  # numbers alone may be worked out
    assert new_names("Yes. Then go. Stop!", "what now?") == []


def test_distinct_triples() -> None:
    assert distinct_triples(["one two three"] * 10) is None
    many = [f"w{n} x{n} y{n} z{n}" for n in range(60)]
    assert distinct_triples(many) == 1.0
    few = [f"say hello to number {n % 3} again please" for n in range(60)]
    value = distinct_triples(few)
    assert value is not None
    assert value < 0.1
