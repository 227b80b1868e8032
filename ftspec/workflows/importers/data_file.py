"""A data file as the start of an experiment: which fields become messages, which split, which grader fits.

Everything here is a suggestion, made from the rows and told with its reason; nothing is changed in the file.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftspec.data.cache import Cache
from ftspec.data.compression import ReadError
from ftspec.data.readers import DelimiterError, read
from ftspec.data.sources import find_inputs
from ftspec.spec.dataset import Dataset, Source
from ftspec.spec.errors import DataError, Problem, UsageError
from ftspec.workflows.importers.sketch import Sketch

# Names of columns in data sets of the field, likeliest first.
OUTPUTS = (
    "label",
    "queue",
    "category",
    "intent",
    "class",
    "target",
    "answer",
    "output",
    "completion",
    "response",
    "reply",
)
INPUTS = ("text", "input", "prompt", "question", "message", "query", "utterance", "sentence", "content", "instruction")
GROUPS = ("customer", "customer_id", "user", "user_id", "conversation_id", "session_id", "thread_id", "group", "author")
_READY = {"messages", "tools", "parallel_tool_calls"}
_COMPLETION = {"prompt", "completion"}
MAX_LABELS = 200
LOOK_AT = 20_000
MIN_TRAIN = 10


@dataclass
class Columns:
    """What the rows of a file hold: how often each field stands there, and its values as far as looked at."""

    rows: int = 0
    filled: Counter[str] = field(default_factory=Counter)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    lengths: Counter[str] = field(default_factory=Counter)
    answers: list[Any] = field(default_factory=list)

    def add(self, row: Mapping[str, Any]) -> None:
        """Count one row."""
        self.rows += 1
        for name, value in row.items():
            if value is None or value == "":
                continue
            self.filled[name] += 1
            if self.rows <= LOOK_AT and isinstance(value, (str, int, float, bool)):
                self.values.setdefault(name, Counter())[str(value)] += 1
                self.lengths[name] += len(str(value))

    @property
    def names(self) -> list[str]:
        """Fields that hold plain values in most rows, in the order of the file; a row without is an error later."""
        return [name for name, count in self.filled.items() if 2 * count > self.rows and name in self.values]

    def distinct(self, name: str) -> int:
        """Count the distinct values of a field."""
        return len(self.values.get(name, ()))


def sketch_data(
    root: Path, path: str, suite: str, *, input_: str | None = None, output: str | None = None, system: Any = None
) -> Sketch:
    """Suggest an experiment for a data file of the project; `path` is relative to `root`.

    Raises DataError where the file cannot be read, UsageError where the columns cannot be chosen.
    """
    source = {"path": path}
    try:
        columns, kind = _look(root, source)
    except DelimiterError as error:
        source["delimiter"] = error.found
        columns, kind = _look(root, source)
    notes: list[str] = []
    dataset: dict[str, Any] = {"sources": [source]}
    if kind == "raw":
        inputs, answer, how = choose_columns(columns, input_, output)
        dataset["messages"] = _template(inputs, answer, system)
        notes.append(f"{' and '.join(inputs)} -> user, {answer} -> assistant ({how})")
        answers: Sequence[str] = list(columns.values.get(answer, Counter()).elements())
        extra = [name for name in columns.filled if name not in (*inputs, answer)]
    else:
        if input_ or output or system is not None:
            fix = "leave --input, --output and --system out, or edit the rows"
            raise UsageError("no_columns", f"the rows of {path} are ready {kind} rows", fix=fix)
        answers = columns.answers
        extra = [name for name in columns.filled if name not in (_READY if kind == "chat" else _COMPLETION)]
        notes.append(f"ready {kind} rows")
    group = next((name for name in extra if name in GROUPS and 10 <= columns.distinct(name) < columns.rows), None)
    kept = [name for name in extra if kind != "raw" or name == group]
    if kept:
        dataset["metadata"] = kept
    split = suggest_split(columns.rows)
    if group and split:
        split["by"] = group
        notes.append(f"rows of one {group} stay in one part")
    if split:
        dataset["split"] = split
    grader, why = suggest_grader(answers)
    choices: dict[str, Any] = {}
    made = None
    if "test" not in split:
        notes.append(f"too few rows to hold some out for evals: {columns.rows}")
    elif grader is None:
        choices["evals"] = ["exact_match"]
        notes.append(why)
    else:
        made = (suite, {"data": {"part": "test"}, "graders": grader})
        choices["evals"] = [suite]
        notes.append(why)
    return Sketch({"model": "tiny", "dataset": dataset}, choices, made, tuple(notes))


def _look(root: Path, given: Mapping[str, Any]) -> tuple[Columns, str]:
    """Read all rows once; return what they hold and whether they are `chat`, `completion` or `raw` rows.

    Raises DataError; DelimiterError where a CSV file needs a `delimiter`.
    """
    path = given["path"]
    source = find_inputs(Dataset(sources=[Source(**given)]), root, Cache(None))[0]
    columns = Columns()
    kinds: Counter[str] = Counter()
    try:
        for line, raw in read(source):
            if isinstance(raw, Problem):
                raise DataError.many([raw])
            row = raw if isinstance(raw, dict) else _object(raw, path, line)
            columns.add(row)
            kind = "chat" if "messages" in row else "completion" if row.keys() >= _COMPLETION else "raw"
            kinds[kind] += 1
            if columns.rows <= LOOK_AT:
                columns.answers.append(_answer(row, kind))
            if "conversations" in row and kind == "raw":
                fix = "rename conversations to messages, from to role (human: user, gpt: assistant), value to content"
                raise DataError("sharegpt", "ShareGPT rows are not read", file=path, line=line, fix=fix)
    except DelimiterError:
        raise
    except ReadError as error:
        raise DataError.many([error.problem]) from None
    if not columns.rows:
        raise DataError("empty_file", f"{path} holds no row", file=path)
    if len(kinds) > 1:
        said = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        raise DataError("mixed_rows", f"rows of several kinds: {said}", file=path, fix="one kind of row in a file")
    return columns, next(iter(kinds))


def _object(raw: bytes, path: str, line: int) -> dict[str, Any]:
    from ftspec.data.readers import json_problem

    problem = json_problem(raw, path, line)
    if problem is not None:
        raise DataError.many([problem])
    row = json.loads(raw)
    if not isinstance(row, dict):
        raise DataError("json", "a row is an object", file=path, line=line)
    return row


def _answer(row: Mapping[str, Any], kind: str) -> Any:
    """Return what the model would have to answer: a text, or {"tool_calls": ...}."""
    if kind == "completion":
        return row["completion"]
    messages = row.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return None
    return {"tool_calls": True} if last.get("tool_calls") else last.get("content")


def choose_columns(columns: Columns, input_: str | None, output: str | None) -> tuple[list[str], str, str]:
    """Return the fields that are asked, the field that answers, and how they were found.

    Given names win; then known names; then the field with the fewest distinct values answers and the longest is asked.
    Raises UsageError where that leaves a doubt.
    """
    for option, name in (("--input", input_), ("--output", output)):
        if name is not None and name not in columns.filled:
            raise UsageError(
                "no_column", f"{option}: there is no column {name!r}", fix=f"columns: {', '.join(columns.filled)}"
            )
    names = columns.names
    answer = output or next((name for name in OUTPUTS if name in names and name != input_), None)
    asked = [input_] if input_ else _asked(names, answer)
    how = "as told" if input_ and output else "by their names; --input and --output choose others"
    rest = [name for name in names if name != answer and name not in asked]
    if not asked and rest:
        asked = [max(rest, key=lambda name: columns.lengths[name])]
        how = "the longest texts are asked; --input and --output choose others"
    if answer is None:
        rest = [name for name in names if name not in asked and columns.distinct(name) <= max(2, columns.rows // 2)]
        answer = min(rest, key=columns.distinct) if len(rest) == 1 or (not input_ and rest) else None
        how = "the fewest different values answer; --input and --output choose others"
    if answer is None or not asked or answer in asked:
        fix = f"say --input COLUMN --output COLUMN; columns: {', '.join(columns.filled)}"
        raise UsageError("which_columns", "cannot tell which column is asked and which one answers", fix=fix)
    return asked, answer, how


def _asked(names: Sequence[str], answer: str | None) -> list[str]:
    if "instruction" in names and answer != "instruction":  # Alpaca rows: an instruction, and often an input to it
        return ["instruction", *(["input"] if "input" in names and answer != "input" else [])]
    return [name for name in INPUTS if name in names and name != answer][:1]


def _place(name: str) -> str:
    plain = name.replace("_", "a").replace("-", "a")
    return (
        f"{{{{ {name} }}}}"
        if plain.isascii() and plain.isalnum() and not name[0].isdigit()
        else f'{{{{ ["{name}"] }}}}'
    )


def _template(inputs: Sequence[str], answer: str, system: Any) -> list[dict[str, Any]]:
    head = [{"role": "system", "content": system}] if system is not None else []
    asked = "\n\n".join(_place(name) for name in inputs)
    return [*head, {"role": "user", "content": asked}, {"role": "assistant", "content": _place(answer)}]


def suggest_split(rows: int) -> dict[str, Any]:
    """Suggest parts: 100 rows or a fifth to test, a tenth to validate; fewer where training would starve."""
    test = min(100, round(rows * 0.2))
    validation: Any = 0.1 if rows >= 200 else round(rows * 0.1)
    left = rows - test - (validation if isinstance(validation, int) else round(rows * validation))
    if test < 2 or left < MIN_TRAIN:
        return {}
    return {**({"validation": validation} if validation else {}), "test": test}


def suggest_grader(answers: Sequence[Any]) -> tuple[dict[str, Any] | None, str]:
    """Suggest what makes an answer right; None stands for the built-in exact match."""
    told = [answer for answer in answers if answer]
    if any(isinstance(answer, dict) for answer in told):
        return {"calls": {"type": "tool_call"}}, "answers call tools: graded call by call"
    texts = [answer for answer in told if isinstance(answer, str)]
    objects = [found for found in map(_json_object, texts) if found is not None]
    if objects and len(objects) == len(texts):
        fields = sorted(set.intersection(*(set(found) for found in objects)))
        if fields:
            return {"fields": {"type": "json_fields", "fields": dict.fromkeys(fields, "exact")}}, (
                "answers are JSON objects: graded field by field"
            )
    distinct = set(texts)
    if texts and len(distinct) <= min(MAX_LABELS, max(2, len(texts) // 3)) and max(map(len, distinct)) <= 60:
        return {"label": {"type": "label"}}, f"answers are {len(distinct)} labels: graded by label"
    return None, "answers are free texts: exact_match is strict, write a suite of your own when it is too strict"


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
