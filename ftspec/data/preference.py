"""Preference rows (DPO): a conversation that ends with a question, the answer that is wanted and the one that is not.

Named as on the fine-tuning API (platform.openai.com/docs/api-reference/fine-tuning/preference-input).
"""

from typing import Any

from msgspec import UNSET, Raw, Struct, UnsetType

from ftspec.data.chat import Assistant, Message
from ftspec.spec.errors import Problem


class PreferenceInput(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """What is asked."""

    messages: list[Message]
    tools: Raw | UnsetType = UNSET
    parallel_tool_calls: bool | None = None


class PreferenceRow(Struct, forbid_unknown_fields=True):
    """One pair of answers."""

    input: PreferenceInput
    preferred_output: list[Assistant]
    non_preferred_output: list[Assistant]

    @property
    def messages(self) -> list[Any]:
        """All messages: those asked, the wanted answer, the other one."""
        return [*self.input.messages, *self.preferred_output, *self.non_preferred_output]


SIDES = ("preferred_output", "non_preferred_output")
OLD_NAMES = ("preferred_completion", "non_preferred_completion")


def preference_problems(row: PreferenceRow, file: str, line: int) -> list[Problem]:
    """Return what no host trains on: answers with tools or none, equal ones, a conversation that asks nothing."""
    problems = []

    def add(message: str, path: str, fix: str = "") -> None:
        problems.append(Problem("dpo", message, path, file, line, fix=fix))

    for side in SIDES:
        answers: list[Assistant] = getattr(row, side)
        if len(answers) != 1:
            add(f"{len(answers)} messages, it must be one assistant message", side)
        elif not isinstance(answers[0].content, str) or not answers[0].content or answers[0].tool_calls:
            add("an answer is one text, without tool calls", f"{side}[0]")
    if not problems and row.preferred_output[0].content == row.non_preferred_output[0].content:
        add("both answers are the same", "non_preferred_output[0].content", "remove the row")
    asked = row.input.messages
    if not asked or asked[-1].letter not in "ut":
        add("the conversation must end with a user message", "input.messages")
    for n, message in enumerate(row.messages):
        if message.weight is not None:
            fix = "leave it out: the wanted answer is learned against the other"
            add("weights have no meaning in a preference row", f"messages[{n}].weight", fix)
            break
    return problems
