"""Which messages are learned: presets, ordered rules and weights in the data, compiled to one mask per row.

Precedence per message: weight in the data (if respected) > first matching rule > preset. A turn is everything after a
user message up to the next one. A flag speaks for its own message only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ftspec.data.chat import ROLE, Assistant, text_of
from ftspec.data.rules import RowRules
from ftspec.data.selection import same
from ftspec.spec.dataset import Match, Preset, WeightRule, Weights
from ftspec.spec.errors import DataError, Problem, SpecError

REGEX_SECONDS = 1.0
FROM_DATA, PRESET = -1, -2  # who decided a message, beside the number of a rule


@lru_cache(maxsize=20_000)
def preset_mask(preset: Preset, letters: str) -> str:
    """Return `01..` per message for a preset; `letters` is one role letter a message."""
    if preset in ("assistant", "all_assistant_messages"):
        return "".join("1" if letter == "a" else "0" for letter in letters)
    if preset == "all_messages":
        return "1" * len(letters)
    if preset == "from_data":
        return "0" * len(letters)
    if preset == "last_assistant_message":
        last = letters.rfind("a")
        return "".join("1" if n == last else "0" for n in range(len(letters)))
    start = letters.rfind("u") + 1
    return "".join("1" if n >= start and letter == "a" else "0" for n, letter in enumerate(letters))


def default_mask(letters: str) -> str:
    """Return what hosts train on by themselves: every assistant message."""
    return preset_mask("assistant", letters)


Test = Callable[[int, Any, str, Mapping[str, Any]], bool]


@dataclass(frozen=True)
class Rule:
    """A compiled rule: all tests must hold for message number n of a row."""

    name: str
    weight: int
    tests: tuple[Test, ...]

    def matches(self, n: int, message: Any, letters: str, metadata: Mapping[str, Any]) -> bool:
        """Whether the rule speaks for this message."""
        return all(test(n, message, letters, metadata) for test in self.tests)


def compile_rules(weights: Weights) -> tuple[Rule, ...]:
    """Compile the rules. Raises SpecError for an empty match, a repeated name or a pattern that does not compile."""
    seen: set[str] = set()
    rules: list[Rule] = []
    problems: list[Problem] = []
    for n, rule in enumerate(weights.rules):
        path = f"weights.rules[{n}]"
        if rule.name in seen:
            problems.append(Problem("weights", f"two rules are called {rule.name!r}", f"{path}.name"))
        seen.add(rule.name)
        if not rule.match.model_fields_set or all(v is None for v in dict(rule.match).values()):
            fix = "name a condition, or choose the preset with train_on"
            problems.append(Problem("weights", f"rule {rule.name!r} has an empty match", f"{path}.match", fix=fix))
            continue
        try:
            rules.append(Rule(rule.name, rule.weight, tuple(_tests(rule))))
        except ValueError as error:
            problems.append(Problem("weights", str(error), f"{path}.match.content_regex"))
    if problems:
        raise SpecError.many(problems)
    return tuple(rules)


def _tests(rule: WeightRule) -> list[Test]:
    match = rule.match
    tests: list[Test] = []
    if match.role is not None:
        roles = {match.role} if isinstance(match.role, str) else set(match.role)
        tests.append(lambda n, message, letters, row: ROLE[letters[n]] in roles)
    if match.turn is not None:
        tests.append(_turn_test(match.turn))
    if match.message is not None:
        first = match.message == "first"
        tests.append(lambda n, message, letters, row: n == (0 if first else len(letters) - 1))
    if match.name is not None:
        tests.append(lambda n, message, letters, row: message.name == match.name)
    if match.tool_calls is not None:
        tests.append(lambda n, message, letters, row: bool(_calls(message)) == match.tool_calls)
    if match.tool_name is not None:
        tests.append(lambda n, message, letters, row: any(c.function.name == match.tool_name for c in _calls(message)))
    if match.row is not None:
        wanted = dict(match.row)
        tests.append(lambda n, message, letters, row: all(k in row and same(row[k], v) for k, v in wanted.items()))
    if match.content_contains is not None:
        needle = match.content_contains
        tests.append(lambda n, message, letters, row: needle in text_of(message.content))
    if match.content_regex is not None:
        tests.append(_regex_test(rule.name, match))
    return tests


def _calls(message: Any) -> Any:
    return (message.tool_calls or ()) if type(message) is Assistant else ()


def _turn_test(turn: int | str) -> Test:
    def test(n: int, message: Any, letters: str, row: Mapping[str, Any]) -> bool:
        turns = letters.count("u")
        mine = letters.count("u", 0, n + 1)  # turns count from 1; what stands before the first user message has none
        if turn == "first":
            return mine == 1
        if turn == "last":
            return mine == turns and turns > 0
        assert isinstance(turn, int)
        return mine == (turn if turn > 0 else turns + 1 + turn) and mine > 0

    return test


def _regex_test(name: str, match: Match) -> Test:
    import regex

    try:
        pattern = regex.compile(match.content_regex)
    except regex.error as error:
        raise ValueError(f"rule {name!r}: {error}") from error

    def test(n: int, message: Any, letters: str, row: Mapping[str, Any]) -> bool:
        try:
            return pattern.search(text_of(message.content), timeout=REGEX_SECONDS) is not None
        except TimeoutError:
            fix = "make the pattern simpler (nested repeats are slow), or use content_contains"
            text = f"rule {name!r} needs more than {REGEX_SECONDS:g} s for one message"
            raise DataError("regex_timeout", text, path="weights.rules", fix=fix) from None

    return test


@dataclass
class Decision:
    """The mask of one row, who decided each message (a rule's number, FROM_DATA, PRESET) and which rules matched it.

    `by` None: the preset decided every message.
    """

    mask: str
    by: list[int] | None = None
    matched: list[list[int]] = field(default_factory=list)


def decide(
    weights: Weights, rules: tuple[Rule, ...], messages: Any, letters: str, given: str, metadata: Mapping[str, Any]
) -> Decision:
    """Return the weights of one row, with everything needed for the proof table."""
    mask = list(preset_mask(weights.train_on, letters))
    by = [PRESET] * len(mask)
    matched: list[list[int]] = []
    respected = weights.existing == "respect"
    for n in range(len(mask)):
        hits = [k for k, rule in enumerate(rules) if rule.matches(n, messages[n], letters, metadata)]
        matched.append(hits)
        if hits:
            mask[n], by[n] = str(rules[hits[0]].weight), hits[0]
        if respected and given[n] != ".":
            mask[n], by[n] = given[n], FROM_DATA
    return Decision("".join(mask), by, matched)


def decide_simply(weights: Weights, letters: str, given: str) -> Decision:
    """Return the weights of one row where there are no rules: the preset, overruled by weights in the data."""
    mask = preset_mask(weights.train_on, letters)
    if weights.existing != "respect" or given.count(".") == len(given):
        return Decision(mask)
    joined = "".join(m if g == "." else g for m, g in zip(mask, given, strict=True))
    return Decision(joined, [PRESET if g == "." else FROM_DATA for g in given])


def illegal(mask: str, letters: str, roles: frozenset[str]) -> int | None:
    """Return the number of the first learned message whose role the provider cannot learn from, or None."""
    for n, bit in enumerate(mask):
        if bit == "1" and letters[n] not in roles:
            return n
    return None


def trainable_letters(rules: RowRules) -> frozenset[str]:
    """Return the letters of the roles that a provider learns from."""
    return frozenset(letter for letter, role in ROLE.items() if role in rules.roles)
