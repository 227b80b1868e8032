"""The order of roles and which turns are learned."""

from collections.abc import Iterator
from itertools import pairwise

from ftspec.data.chat import ROLE, Assistant, prompt_end
from ftspec.data.lint.definition import Hit, Lint, RowCheck, Subject, rowwise
from ftspec.data.lint.reading import Row
from ftspec.spec.errors import Problem

_GUIDE = 'OpenAI, guide "Supervised fine-tuning"'


def _roles(row: Row) -> str:
    return "".join([message.letter for message in row.messages])


def _repeated(row: Row) -> Hit | None:
    roles, mask = _roles(row), row.mask
    for at, pair in enumerate(pairwise(roles)):
        # An answer cut in two so that only one piece is learned is no accident.
        cut = pair == ("a", "a") and mask[at : at + 2] in ("01", "10")
        if pair in (("u", "u"), ("a", "a")) and not cut:
            return Hit(f"messages[{at + 1}].role", f"{ROLE[roles[at]]} twice")
    return None


def _no_user(row: Row) -> Hit | None:
    return None if "u" in _roles(row) else Hit("messages", "")


def _no_system(row: Row) -> Hit | None:
    roles = _roles(row)
    return None if "s" in roles or "d" in roles else Hit("messages", "")


def _empty(row: Row) -> Hit | None:
    for n, message in enumerate(row.messages):
        if message.content is not None and not message.content and not message.tool_calls:
            return Hit(f"messages[{n}].content", f"messages[{n}]")
    return None


def _masked_tail(row: Row) -> Hit | None:
    if "1" not in row.mask or "1" in row.mask[prompt_end(_roles(row)) :]:
        return None
    return Hit(f"messages[{len(row.messages) - 1}]", "")


def _calls(row: Row) -> list[tuple[int, Assistant]]:
    return [(n, m) for n, m in enumerate(row.messages) if m.tool_calls]


def _no_tools(row: Row) -> Hit | None:
    if b'"tool_calls"' not in row.data or row.tools is not None:
        return None
    for n, message in _calls(row):
        return Hit(f"messages[{n}].tool_calls", message.tool_calls[0].function.name if message.tool_calls else "")
    return None


def _parallel(row: Row) -> Hit | None:
    if b'"parallel_tool_calls":false' not in row.data or row.chat.parallel_tool_calls is not False:
        return None
    for n, message in _calls(row):
        if len(message.tool_calls or ()) > 1:
            return Hit(f"messages[{n}].tool_calls", f"{len(message.tool_calls or ())} calls")
    return None


class _SeveralAnswers(RowCheck):
    """Speaks only where nobody chose: the default preset, no rules, no weights in the data."""

    def __init__(self, lint: Lint, subject: Subject) -> None:
        super().__init__(lint, self._turns, "learn several turns each, and no weights say which")
        policy = subject.weights
        preset = policy.train_on in ("assistant", "all_assistant_messages")
        in_data = next((line.decided for line in subject.prepared.proof.lines if line.name == "(data)"), 0)
        self._chosen = not preset or bool(policy.rules) or bool(in_data)

    @staticmethod
    def _turns(row: Row) -> Hit | None:
        roles = _roles(row)
        turns = {roles.count("u", 0, n) for n, bit in enumerate(row.mask) if bit == "1" and roles[n] == "a"}
        return Hit("messages", f"{len(turns)} turns") if len(turns) > 1 else None

    def problems(self) -> Iterator[Problem]:
        """Yield the finding unless a policy was chosen."""
        if not self._chosen:
            yield from super().problems()


SEVERAL_ANSWERS = Lint(
    code="several_answers",
    level="hint",
    practice="Hosts learn every assistant message. In a long conversation the early answers are often weaker than the "
    "last one, and each of them is paid for and learned.",
    formula="a row learns assistant messages of two turns or more while the policy is the default: preset assistant, "
    "no rules, no weights in the data",
    source=f"{_GUIDE}, multi-turn chat examples",
    check=_SeveralAnswers,
    fix="say what is meant: weights.train_on: last_assistant_turn, rules, or a weight on each message",
    rates=(0.0, 0.0, 0.0),
    masked=True,
)

MASKED_TAIL = Lint(
    code="masked_tail",
    level="warning",
    practice="What follows the last learned message teaches nothing and is paid for in every epoch.",
    formula="a row learns something, but no message of its last assistant turn",
    source=f"{_GUIDE}; every token of the file is billed",
    check=rowwise(_masked_tail, "end in an answer that is not learned"),
    fix="cut the conversation after its last learned message",
    rates=(0.0, 0.0, 0.0),
    masked=True,
)

ROLE_REPEATED = Lint(
    code="role_repeated",
    level="warning",
    practice="A served model is asked with turns that alternate; other orders in training are usually an export error.",
    formula="user after user, or assistant after assistant (unless one of the two is learned and the other is not)",
    source="OpenAI cookbook, chat fine-tuning data preparation",
    check=rowwise(_repeated, "have one role twice in a row"),
    fix="join the two messages",
    rates=(0.0, 0.0, 0.0),
    masked=True,
)

NO_USER = Lint(
    code="no_user",
    level="warning",
    practice="A model is asked by a user message; a row without one trains a situation that never comes.",
    formula="no message of role user",
    source="OpenAI cookbook, chat fine-tuning data preparation",
    check=rowwise(_no_user, "have no user message"),
    fix="add the question",
    rates=(0.0, 0.0, 0.0),
)

NO_SYSTEM = Lint(
    code="no_system",
    level="ignore",
    practice="The instructions that worked best before fine-tuning belong into every row, unless they are to be baked "
    "in on purpose.",
    formula="no message of role system or developer",
    source=f'{_GUIDE}, "Crafting prompts"',
    check=rowwise(_no_system, "have no instructions"),
    fix="add a system message with the instructions the model is served with",
    rates=(100.0, 100.0, 100.0),
)

EMPTY_CONTENT = Lint(
    code="empty_content",
    level="warning",
    practice="An empty message is nearly always a missing field of the export; an empty answer teaches silence.",
    formula="a content that is the empty string or list, without tool calls",
    source="OpenAI cookbook, chat fine-tuning data preparation",
    check=rowwise(_empty, "hold an empty message"),
    fix="fill it, or leave the row out",
    rates=(0.0, 0.0, 0.0),
)

NO_TOOLS = Lint(
    code="no_tools",
    level="warning",
    practice="A call is learned together with the definitions it is chosen from; without them the model is served with "
    "a prompt it has never seen.",
    formula="an assistant message has tool_calls and the row has no tools",
    source="OpenAI cookbook, fine-tuning for function calling",
    check=rowwise(_no_tools, "call functions that they do not define"),
    fix="add tools to the row, or dataset.tools for all rows",
    rates=(0.0, 0.0, 0.0),
)

PARALLEL_CALLS = Lint(
    code="parallel_calls",
    level="warning",
    practice="parallel_tool_calls: false tells the model to call one function at a time; rows that do otherwise teach "
    "it to disobey.",
    formula="parallel_tool_calls is false and a message holds two calls or more",
    source="OpenAI, API reference, chat input of fine-tuning",
    check=rowwise(_parallel, "make several calls at once"),
    fix="remove parallel_tool_calls, or make the calls one after the other",
    rates=(0.0, 0.0, 0.0),
)
