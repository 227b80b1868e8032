"""The proof table: what each weight rule matched, what it decided and what it changed, from the masks really written.

Counts are over the train and validation parts. `0->1` and `1->0` are against what hosts learn by themselves (every
assistant message); tokens and rows are those of messages that a line changed that way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from ftspec.data.weights import FROM_DATA, PRESET, Decision
from ftspec.spec.errors import Problem

MATCHES_NOTHING = "matches nothing"
ALWAYS_EARLIER = "always decided earlier"


@dataclass(frozen=True)
class ProofLine:
    """One decider: `(data)`, a rule or the preset. `dead` says why a rule never decides, empty while it does."""

    name: str
    matched: int
    decided: int
    raised: int
    lowered: int
    tokens: int
    rows: int
    dead: str = ""


@dataclass(frozen=True)
class Proof:
    """The table and its sums; `without_target` counts kept rows in which nothing is learned."""

    lines: tuple[ProofLine, ...]
    messages: int
    learned_messages: int
    tokens: int
    learned_tokens: int
    without_target: int


@dataclass(frozen=True)
class Change:
    """Messages of one row that one decider turned: `bits` holds 1 for each of them."""

    by: int
    bits: bytes
    raised: int
    lowered: int


def changes(decision: Decision, usual: str) -> tuple[Change, ...]:
    """Return what differs between the mask of a row and the default one, by decider."""
    mask = decision.mask
    if mask == usual:
        return ()
    deciders = decision.by if decision.by is not None else [PRESET] * len(mask)
    turned = [n for n, (bit, before) in enumerate(zip(mask, usual, strict=True)) if bit != before]
    found = []
    for by in dict.fromkeys(deciders[n] for n in turned):
        mine = {n for n in turned if deciders[n] == by}
        raised = sum(mask[n] == "1" for n in mine)
        found.append(Change(by, bytes(n in mine for n in range(len(mask))), raised, len(mine) - raised))
    return tuple(found)


@dataclass
class _Tally:
    matched: int = 0
    decided: int = 0
    raised: int = 0
    lowered: int = 0
    tokens: int = 0
    rows: int = 0


@dataclass
class ProofBuilder:
    """Adds up rows while they are rendered."""

    names: Sequence[str]
    preset: str
    tallies: dict[int, _Tally] = field(default_factory=dict)
    without_target: int = 0
    emptying: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.tallies = {by: _Tally() for by in (FROM_DATA, *range(len(self.names)), PRESET)}

    def add(self, decision: Decision, changed: tuple[Change, ...], rows: int = 1) -> None:
        """Add equal rows. Tokens of changed messages are added row by row, with `add_tokens`."""
        tallies, mask = self.tallies, decision.mask
        self.without_target += rows * ("1" not in mask)
        tallies[PRESET].matched += rows * len(mask)
        if decision.by is None:
            tallies[PRESET].decided += rows * len(mask)
        for by in decision.by or ():
            tallies[by].decided += rows
            tallies[FROM_DATA].matched += rows * (by == FROM_DATA)
        for hits in decision.matched:
            for rule in hits:
                tallies[rule].matched += rows
        for change in changed:
            tallies[change.by].raised += rows * change.raised
            tallies[change.by].lowered += rows * change.lowered
            tallies[change.by].rows += rows

    def drop(self, decision: Decision) -> None:
        """Take down which rules decided in a row that is left out since nothing of it is learned: they are not dead."""
        self.emptying.update(decision.by or ())

    def add_tokens(self, changed: tuple[Change, ...], counts: Sequence[int]) -> None:
        """Add the tokens of one row's changed messages; `counts` are tokens per message."""
        for change in changed:
            self.tallies[change.by].tokens += sum(compress(counts, change.bits))

    def lines(self) -> tuple[ProofLine, ...]:
        """Return the table: weights in the data, rules in order, the preset."""
        named = [("(data)", FROM_DATA), *((name, n) for n, name in enumerate(self.names))]
        named.append((f"preset {self.preset}", PRESET))
        return tuple(ProofLine(name, **vars(self.tallies[by]), dead=self._dead(by)) for name, by in named)

    def _dead(self, by: int) -> str:
        tally = self.tallies[by]
        if by < 0 or tally.decided or by in self.emptying:
            return ""
        return ALWAYS_EARLIER if tally.matched else MATCHES_NOTHING


def proof_from_json(value: Any) -> Proof:
    """Return the proof kept in a manifest. Raises KeyError or TypeError where it is another shape."""
    return Proof(**{**value, "lines": tuple(ProofLine(**line) for line in value["lines"])})


def dead_rules(proof: Proof) -> list[Problem]:
    """Return one warning for each rule that never decides."""
    problems = []
    for n, line in enumerate(proof.lines[1:-1]):
        if line.dead:
            fix = "remove it, or correct its match"
            if line.dead == ALWAYS_EARLIER:
                fix = "move it up: the first rule that matches decides, and weights in the data come before all rules"
            message = f"rule {line.name!r} changes nothing: {line.dead}"
            problems.append(Problem("dead_rule", message, f"weights.rules[{n}]", fix=fix, severity="warning"))
    return problems
