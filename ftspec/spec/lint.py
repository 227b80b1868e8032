"""Lint: advice with a code. An experiment may raise, lower or silence each, with a reason where it says less."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import Field

from ftspec.spec.errors import Problem
from ftspec.spec.model import Strict

Level = Literal["error", "warning", "hint", "ignore"]

# `ignore`, not `off`: YAML reads `off` as false.
# Every code whose severity may be chosen, with what it advises. Errors are no advice and stand in no table.
LINTS = {
    "create_closed": "the provider takes no new jobs from a date on",
    "dead_rule": "a weight rule decides nothing",
    "equal_samples": "several samples at temperature 0 are the same answer",
    "export_off": "the provider stops exporting on a date",
    "few_rows": "few rows to train on",
    "few_shots": "the training part has fewer rows than an arm shows",
    "inference_off": "the provider's model stops answering on a date",
    "keep_until": "nothing is known about how long the provider keeps a model",
    "leak": "prompts of the training part also stand in another part",
    "no_base_arm": "no arm asks the base model",
    "no_baseline": "no arm is the natural baseline of comparisons",
    "read_only": "the provider becomes read-only on a date",
    "sweep_without_auto": "the multiplier is swept without `auto`",
    "unknown_model": "the provider is not known to train this model",
    "unpinned_source": "the bytes of a remote source may change",
    "unusual_rate": "the rate is outside what is usual for the provider",
}


class LintLevel(Strict):
    """The level of one lint, and why it is the right one here."""

    level: Level
    reason: Annotated[str, Field(min_length=1)]


# Raising needs no reason: `dead_rule: error`.
Lint = dict[str, LintLevel | Literal["error", "warning"]]


def unknown_lints(lint: Iterable[str]) -> list[Problem]:
    """Return a problem for each code that is no lint."""
    found = []
    for code in lint:
        if code not in LINTS:
            near = get_close_matches(code, LINTS, n=1)
            fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(LINTS)}"
            found.append(Problem("unknown_lint", f"there is no lint {code!r}", f"lint.{code}", fix=fix))
    return found


def relevel(problems: Iterable[Problem], lint: Mapping[str, LintLevel | str]) -> list[Problem]:
    """Return the problems at the levels that an experiment chose; silenced ones are left out, errors untouched."""
    found = []
    for problem in problems:
        chosen = lint.get(problem.code)
        if chosen is None or problem.severity == "error":
            found.append(problem)
            continue
        level = chosen.level if isinstance(chosen, LintLevel) else chosen
        if level != "ignore":
            found.append(replace(problem, severity=level))
    return found
