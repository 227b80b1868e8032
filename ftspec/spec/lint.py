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
# Every code whose severity may be chosen, with what it advises. What else is an error stays one.
_SPEC_LINTS = {
    "alias": "a loss option is written under another tool's name",
    "create_closed": "the provider takes no new jobs from a date on",
    "equal_samples": "several samples at temperature 0 are the same answer",
    "export_off": "the provider stops exporting on a date",
    "few_shots": "the training part has fewer rows than an arm shows",
    "folds_left_out": "some folds are never held out, so some rows are never judged",
    "inference_off": "the provider's model stops answering on a date",
    "keep_until": "nothing is known about how long the provider keeps a model",
    "no_base_arm": "no arm asks the base model",
    "no_baseline": "no arm is the natural baseline of comparisons",
    "read_only": "the provider becomes read-only on a date",
    "sweep_without_auto": "the multiplier is swept without `auto`",
    "text_is_path": "a text is the path of a file that was probably meant",
    "unknown_model": "the provider is not known to train this model",
    "unpinned_source": "the bytes of a remote source may change",
    "unusual_rate": "the rate is outside what is usual for the provider",
}

# How each is found stands in ftspec/data/lint.
DATA_LINTS = {
    "broken_text": "text was damaged: wrongly decoded characters, control characters",
    "conflicting_rows": "the same prompt is answered in different ways",
    "dead_rule": "a weight rule decides nothing",
    "deferral": "an answer puts the work off instead of doing it",
    "dup_key": "a JSON object names a key twice, and only the last one counts",
    "dup_row": "the same row stands in the training part more than once",
    "empty_content": "a message has an empty text",
    "eval_overlap": "training or validation rows repeat items of an eval suite",
    "eval_prompt": "the training rows have other instructions than the evals",
    "few_rows": "few rows to train on",
    "leak": "prompts of the training part also stand in another part",
    "leak_alike": "prompts of the training part nearly stand in another part",
    "leak_row": "rows of the training part also stand in another part, answer included",
    "low_diversity": "the prompts say the same things over and over",
    "masked_tail": "the last answer of a row is not learned",
    "near_dup": "rows differ in a word or two only",
    "new_facts": "an answer names things that its prompt does not",
    "no_system": "rows have no instructions",
    "no_tools": "calls functions that the row does not define",
    "no_user": "a row has no user message",
    "parallel_calls": "several calls at once although the row rules them out",
    "personal_data": "e-mail addresses, phone, card or account numbers in the text",
    "rare_answer": "some answers have very few rows",
    "role_repeated": "the same role speaks twice in a row",
    "secret": "a key, token or password in the text",
    "several_answers": "several assistant turns are learned and no weights say which",
    "several_tasks": "several tasks in one data set",
    "unbalanced": "one answer is most of the data",
}

STRICT = frozenset({"leak_row", "secret"})  # lints whose own level is error: they may be lowered, with a reason
LINTS = dict(sorted({**_SPEC_LINTS, **DATA_LINTS}.items()))


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
    """Return the problems at the levels that an experiment chose; silenced ones are left out.

    Errors that are no lint stay what they are.
    """
    found = []
    for problem in problems:
        chosen = lint.get(problem.code)
        if chosen is None or (problem.severity == "error" and problem.code not in STRICT):
            found.append(problem)
            continue
        level = chosen.level if isinstance(chosen, LintLevel) else chosen
        if level != "ignore":
            found.append(replace(problem, severity=level))
    return found
