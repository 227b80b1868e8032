"""What a row must be before any host is asked: errors, not advice. Their sources are the format's own pages."""

from dataclasses import dataclass

_GUIDE = 'OpenAI, guide "Supervised fine-tuning"'
_FORMAT = "OpenAI, API reference, chat input of fine-tuning"
_CALLS = 'OpenAI, guide "Function calling"'
_OURS = "ftspec: what cannot be read cannot be trained on"


@dataclass(frozen=True)
class RowRule:
    """One error code: what is wrong, the rule, where the rule comes from."""

    code: str
    says: str
    rule: str
    source: str


def _rules(*rows: tuple[str, str, str, str]) -> dict[str, RowRule]:
    return {code: RowRule(code, says, rule, source) for code, says, rule, source in sorted(rows)}


ROW_RULES = _rules(
    ("json", "a line is no JSON object", "one JSON object a line, no NaN, no text after it", "RFC 8259; " + _FORMAT),
    ("not_utf8", "bytes that are not UTF-8", "files are UTF-8; a BOM at the start is skipped", "RFC 8259, section 8.1"),
    ("nul", "the text holds NUL characters", "NUL bytes show a damaged file or UTF-16", _OURS),
    ("surrogate", "half of a surrogate pair", "a text is a sequence of Unicode scalar values", "Unicode 16, D76"),
    ("huge_line", "a line is longer than 64 MB", "a row is one example, far below any host's file limit", _OURS),
    ("row", "a row does not decode", "the shapes of the chat and the completion format", _FORMAT),
    ("messages", "no list of messages", "a chat row holds `messages`, a list with at least one message", _FORMAT),
    ("sharegpt", "rows in the ShareGPT form", "`conversations` with from and value are not read", _FORMAT),
    ("method", "a preference row", "only supervised rows are trained", _FORMAT),
    ("keys", "an unknown key", "rows, messages and calls hold the keys of the format and nothing else", _FORMAT),
    ("role", "an unknown role", "system, developer, user, assistant or tool", _FORMAT),
    ("content", "a content of the wrong type", "a string or a list of parts; absent only beside calls", _FORMAT),
    (
        "dpo",
        "a preference row that cannot be trained on",
        "one assistant text on each side, the two differ, and the input ends with a user message",
        'OpenAI, guide "Direct preference optimization"',
    ),
    ("vision", "images where none may be", "images stand in user messages, at providers that take them", _GUIDE),
    ("format", "rows of two formats", "all rows of a data set have one format, one that the provider takes", _GUIDE),
    ("assistant", "no assistant message", "there must be something to learn", _GUIDE),
    ("last_message", "the conversation does not end with the assistant", "the last message is the answer", _GUIDE),
    (
        "weight",
        "a weight that is not 0 or 1, or stands where it may not",
        "an integer 0 or 1 on messages the provider learns from; absent is 1 on assistant messages, 0 on others",
        _GUIDE,
    ),
    (
        "weight_all_zero",
        "nothing of the row is learned",
        "a row without a learned message is paid for and teaches nothing (weights.on_empty)",
        _GUIDE,
    ),
    (
        "tool_args",
        "arguments that are not one object, or that the function does not take",
        "`arguments` is the JSON text of an object (decoded once) that meets the declared parameters",
        _CALLS,
    ),
    ("tool_names", "a function that is not defined", "a called name stands in `tools`", _CALLS),
    (
        "tool_ids",
        "a call without an answer, an answer without a call, an id used twice",
        "every call has its own id and is answered before the next message, unless it is the last",
        _CALLS,
    ),
    (
        "tools",
        "tool definitions that cannot be used",
        "a list of 1 to 128 functions with JSON Schema parameters",
        _CALLS,
    ),
    ("completions", "an empty completion", "prompt and completion are strings, the completion is not empty", _FORMAT),
    (
        "special_token",
        "a special token of the target model inside a text",
        "the vocabulary's control strings end or split a message; hosts fail the job",
        "johny-b/llmcomp issue 59: a job failed at row 6174",
    ),
    ("tokens", "a row longer than the model's limit", "longer rows are cut at the end, where the answer is", _GUIDE),
    ("n_rows", "fewer rows than the provider takes", "at least 10 rows at OpenAI; the profile says", _GUIDE),
    ("file_size", "a file larger than the provider takes", "512 MB at OpenAI; the profile says", _GUIDE),
)
