"""Training and validation rows beside the items of suites: what stands on both sides, and under which instructions."""

from collections.abc import Sequence
from typing import Any

import msgspec

from ftspec.data import Prepared
from ftspec.data.chat import Message
from ftspec.data.lint.catalogue import CATALOGUE
from ftspec.data.lint.overlap import Keys, Overlap, compare, group, instructions, keys_of, overlaps, part_keys
from ftspec.data.lint.reading import rows
from ftspec.data.template import MissingFieldError
from ftspec.evals.requests import messages_of
from ftspec.evals.suites import ResolvedSuite
from ftspec.spec.errors import Problem
from ftspec.spec.suite import Arm

_MOST_INSTRUCTIONS = 50
_ITEMS_ASKED = 20  # items whose requests are compared with the instructions of training rows


def beside(prepared: Prepared, suite: ResolvedSuite) -> tuple[Problem, ...]:
    """Return the findings of `eval_overlap` and `eval_prompt` for one suite."""
    return (*_overlap(prepared, suite), *_instructions(prepared, suite))


def all_overlaps(prepared: Prepared, suites: Sequence[ResolvedSuite]) -> list[Overlap]:
    """Return train and validation against each other, test and every suite whose items lie in a file of their own."""
    return overlaps(prepared, {suite.name: item_keys(suite) for suite in suites if suite.suite.data.path is not None})


def item_keys(suite: ResolvedSuite) -> list[Keys]:
    """Return the keys of all items of a suite; items that its request cannot ask are left out."""
    plain = Arm(model="@base")
    found = []
    for item in suite.items:
        try:
            messages = msgspec.convert(messages_of(suite.suite.request, plain, item), list[Message], strict=True)
        except (MissingFieldError, ValueError):
            continue
        found.append(keys_of(f"{suite.name}:{item.id}", messages, answered=False))
    return found


def _overlap(prepared: Prepared, suite: ResolvedSuite) -> list[Problem]:
    if suite.suite.data.path is None:
        return []  # items of a held-out part: `leak` and `leak_row` tell
    items = [group(suite.name, item_keys(suite))]
    problems = []
    for part, words in (("train", "training"), ("valid", "validation")):
        if part not in prepared.parts:
            continue
        (found,) = compare(part, part_keys(prepared, part), items)
        if found.total:
            levels = ", ".join(f"{n} same {level}" for level, n in found.counts.items() if n)
            _, first, item = found.pairs[0]
            file, _, line = first.rpartition(":")
            message = f"{found.total:,} {words} rows repeat items of {suite.name} ({levels}), first: {item}"
            problems.append(CATALOGUE["eval_overlap"].problem(message, "", file, int(line)))
    return problems


def _instructions(prepared: Prepared, suite: ResolvedSuite) -> list[Problem]:
    wanted = _asked_instructions(suite)
    trained: set[str] = set()
    for row in rows(prepared, ("train",)) if wanted else ():
        trained.add(instructions(row.messages))
        if trained & wanted or len(trained) > _MOST_INSTRUCTIONS:
            return []
    if not wanted or not trained:
        return []
    message = f"no arm of {suite.name} asks the tuned model under the instructions it is trained with"
    shown = f" (trained: {_shown(min(trained))}; asked: {_shown(min(wanted))})"
    return [CATALOGUE["eval_prompt"].problem(message + shown, f"evals.{suite.name}")]


def _asked_instructions(suite: ResolvedSuite) -> set[str]:
    """Return the instructions under which any arm asks the tuned model."""
    found: set[str] = set()
    for name in suite.trained_arms:
        arm: Any = suite.arms[name]
        for item in suite.items[:_ITEMS_ASKED]:
            try:
                found.add(instructions(messages_of(suite.suite.request, arm, item)))
            except (MissingFieldError, ValueError):
                continue
    return found


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return f'"{line[:40]}{"..." if len(line) > 40 else ""}"' if line else "none"
