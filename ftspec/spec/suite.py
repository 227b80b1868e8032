"""One eval suite: items, request, arms, graders, metrics, comparison; named as in OpenAI's grader format."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ftspec.spec.dataset import Role
from ftspec.spec.model import FileRef, Strict, Text

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class SuiteData(Strict):
    """Where items come from: a part of the experiment's own data, or a file. `id` names one, `cluster` groups them."""

    part: Literal["test", "validation"] | None = None
    path: str | None = None
    id: str | None = None
    cluster: str | None = None


class RequestMessage(Strict):
    """One message of the request; `{{ item.x }}` and `{{ arm.prompt }}` are filled in a single pass."""

    role: Role
    content: Text


class Params(Strict):
    """Sampling parameters of the request, named as on the chat completions API."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    tools: list[dict[str, Any]] | FileRef | None = None
    tool_choice: str | dict[str, Any] | None = None


class Request(Strict):
    """What each arm is asked. Default messages: those of the item up to its last assistant turn."""

    messages: list[RequestMessage] | None = None
    params: Params = Params()
    parse: Literal["text", "json"] = "text"


class Shots(Strict):
    """Examples from the training part, one fixed set per arm, put before the last user message."""

    k: Annotated[int, Field(ge=1, le=64)] = 5
    part: Literal["train"] = "train"
    salt: str = "v1"


class Arm(Strict):
    """One contestant: `@base` and `@run` are the models of the run, `@majority` the commonest training label."""

    model: str
    prompt: Text | None = None
    shots: Shots | None = None


class StringCheck(Strict):
    """OpenAI's `string_check`: exact comparison, no trimming; like means that the input contains the reference."""

    type: Literal["string_check"]
    input: str = "{{ sample.output_text }}"
    reference: str = "{{ item.reference }}"
    operation: Literal["eq", "ne", "like", "ilike"] = "eq"


class LabelGrader(Strict):
    """The answer must be the item's label; `labels` default to the distinct references of the training part.

    With `match: pattern` the label is the pattern's group `label`, else its first group, else the whole match.
    """

    type: Literal["label"]
    labels: list[str] | None = None
    input: str = "{{ sample.output_text }}"
    reference: str = "{{ item.reference }}"
    match: Literal["exact", "casefold", "pattern"] = "exact"
    pattern: Annotated[str, Field(min_length=1)] | None = None


class RegexGrader(Strict):
    """The pattern is searched in the answer, within one second."""

    type: Literal["regex"]
    pattern: str
    input: str = "{{ sample.output_text }}"


FieldMatch = Literal["exact", "number", "date", "casefold", "fuzzy", "set"]


class JsonFields(Strict):
    """Fields of a JSON answer against a reference object; a wrong value is a false positive and a false negative."""

    type: Literal["json_fields"]
    fields: Annotated[dict[str, FieldMatch], Field(min_length=1)]
    input: str = "{{ sample.output_text }}"
    reference: str = "{{ item.reference }}"
    extra: Literal["count", "ignore"] = "count"


class ToolArguments(Strict):
    """When arguments are equal: the same fields with equal values. `numbers: close` allows a millionth."""

    match: Literal["fields"] = "fields"
    numbers: Literal["exact", "close"] = "exact"
    ignore: list[str] = []


class ToolCallGrader(Strict):
    """Tool calls of the answer against the expected ones, in any order: F1 over calls, both empty is 1."""

    type: Literal["tool_call"]
    expected: str = "{{ item.expected_calls }}"
    order: Literal["any", "same"] = "any"
    arguments: ToolArguments = ToolArguments()


AnyGrader = StringCheck | LabelGrader | RegexGrader | JsonFields | ToolCallGrader
Grader = Annotated[AnyGrader, Field(discriminator="type")]


class Metrics(Strict):
    """`primary` decides comparisons, `<grader>.<metric>`; default: the first grader's first metric."""

    primary: str | None = None
    also: list[str] = []


class Compare(Strict):
    """How arms are compared; in no digest, so that a change recomputes from stored grades."""

    baseline: str | None = None
    correction: Literal["holm", "none"] = "holm"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None


class Suite(Strict):
    """A suite file `conf/evals/<stem>.yaml` holds one key, its stem, with this mapping below it."""

    kind: Literal["graded"] = "graded"
    data: SuiteData = SuiteData(part="test")
    request: Request = Request()
    arms: dict[Name, Arm] | None = None
    samples: Annotated[int, Field(ge=1, le=64)] = 1
    graders: Annotated[dict[Name, Grader], Field(min_length=1)]
    metrics: Metrics = Metrics()
    compare: Compare = Compare()
    max_error_rate: Annotated[float, Field(ge=0, le=1)] = 0.02
