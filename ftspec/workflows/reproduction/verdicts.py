"""Verdicts of a reproduction: a level, one of four words, what was seen; the exit code follows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ftspec.runs.surroundings import Difference
from ftspec.spec.errors import Exit

Level = Literal["config", "inputs", "bits", "scores", "equivalent", "conclusion"]
LEVELS: tuple[Level, ...] = ("config", "inputs", "bits", "scores", "equivalent", "conclusion")
Word = Literal["reproduced", "differs", "inconclusive", "impossible"]
_DIFFERS = {
    "config": Exit.INPUTS_DIFFER,
    "inputs": Exit.INPUTS_DIFFER,
    "bits": Exit.BITS_DIFFER,
    "scores": Exit.BITS_DIFFER,
    "equivalent": Exit.NOT_EQUIVALENT,
    "conclusion": Exit.NOT_EQUIVALENT,
}
_ORDER: tuple[Word, ...] = ("differs", "impossible", "inconclusive", "reproduced")


@dataclass(frozen=True)
class Verdict:
    """One level of one run (or of the sweep, for `conclusion`). `what` are sentences, the first one the reason.

    `needs` is how many items would tell, `since` the day from which on it is impossible, where known. A `transfer` is a
    training on another provider: it is never called reproduced. `parked`: nothing was concluded because a provider
    could not be reached or refused for now; the same command tries again.
    """

    level: Level
    word: Word
    what: tuple[str, ...] = ()
    needs: int | None = None
    since: str = ""
    transfer: bool = False
    parked: bool = False

    @property
    def exit_code(self) -> Exit:
        """0, or the code of docs/exit-codes.md."""
        if self.word == "reproduced":
            return Exit.OK
        if self.parked:
            return Exit.PARKED
        if self.word == "differs":
            return _DIFFERS[self.level]
        return Exit.INCONCLUSIVE if self.word == "inconclusive" else Exit.IMPOSSIBLE

    @property
    def shown(self) -> str:
        """The verdict in words."""
        word = {"reproduced": "holds after transfer"}.get(self.word, self.word) if self.transfer else self.word
        if self.word == "inconclusive" and self.needs is not None:
            return f"{word} (needs about {self.needs:,} items)"
        if self.word == "impossible" and self.since:
            return f"{word} (since {self.since})"
        return word

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "level": self.level,
            "verdict": "transferred" if self.transfer and self.word == "reproduced" else self.word,
            "transfer": self.transfer,
            "what": list(self.what),
            "needs": self.needs,
            "since": self.since or None,
            "parked": self.parked,
        }


@dataclass(frozen=True)
class Subject:
    """What was reproduced: a run by its label (empty: the whole experiment), its verdicts, and where things lie."""

    label: str
    train: str
    verdicts: tuple[Verdict, ...]
    attempt: str = ""
    notes: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The last level that was reached, or the one that ended it."""
        return self.verdicts[-1]


@dataclass(frozen=True)
class Reproduction:
    """All subjects of one call. `notes` say what was started from, and what a missing directory would have added."""

    experiment: str
    level: Level
    subjects: tuple[Subject, ...]
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst verdict: differs, impossible, inconclusive, reproduced."""
        return worst(subject.verdict for subject in self.subjects)

    def to_json(self) -> dict[str, Any]:
        """Return the stable shape of docs/json.md."""
        return {
            "schema": 1,
            "experiment": self.experiment,
            "level": self.level,
            "verdict": self.verdict.to_json(),
            "notes": list(self.notes),
            "subjects": [
                {
                    "run": subject.label,
                    "train": subject.train,
                    "attempt": subject.attempt or None,
                    "verdicts": [verdict.to_json() for verdict in subject.verdicts],
                    "notes": list(subject.notes),
                    "environment": [difference.to_json() for difference in subject.differences],
                }
                for subject in self.subjects
            ],
        }


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the first verdict of the worst word."""
    found = list(verdicts)
    return min(found, key=lambda verdict: _ORDER.index(verdict.word))


def together(level: Level, verdicts: Sequence[Verdict]) -> Verdict:
    """Return one verdict over suites: all must hold, and the worst word is the whole's.

    `reproduced` asks every suite to hold, so that its error needs no correction for how many suites there are
    (intersection-union test: Berger 1982, Technometrics 24:295).
    """
    if not verdicts:
        return Verdict(level, "impossible", ("no suite was scored: nothing can be compared",))
    last = worst(verdicts)
    needs = max((v.needs for v in verdicts if v.needs is not None), default=None)
    return Verdict(level, last.word, tuple(text for verdict in verdicts for text in verdict.what), needs=needs)
