"""The `dataset` and `weights` blocks: where rows come from, how they become messages, which messages are learned."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ftspec.spec.aliases import weights_aliases
from ftspec.spec.model import FileRef, Strict, Text
from ftspec.spec.provider import Provider

Role = Literal["system", "developer", "user", "assistant", "tool"]
Weight = Annotated[int, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


Scalar = str | int | float | bool | None
Wanted = Scalar | Annotated[list[Scalar], Field(min_length=1)]


HUB = "hf:"


class Source(Strict):
    """One place rows come from. Paths are relative to the project root; `*` makes a glob, read in sorted order.

    `s3://...`, `https://...` and other URLs of fsspec, and `hf:OWNER/NAME` of Hugging Face, are fetched by `run` alone.
    Of the rows that meet `where`, `fraction` or `count` keeps a part, chosen by a hash; rows are checked by `schema`.
    """

    path: Annotated[str, Field(min_length=1)]
    format: Literal["auto", "jsonl", "json", "csv", "parquet"] = "auto"
    field: Annotated[str, Field(min_length=1)] | None = None
    columns: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)] | None = None
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    where: Annotated[dict[str, Wanted], Field(min_length=1)] | None = None
    fraction: Annotated[float, Field(gt=0, le=1)] | None = None
    count: Count | None = None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    contract: Annotated[FileRef | dict[str, Any] | None, Field(alias="schema", union_mode="left_to_right")] = None
    revision: Annotated[str, Field(min_length=1)] | None = None
    name: Annotated[str, Field(min_length=1)] | None = None
    split: Annotated[str, Field(min_length=1)] | None = None

    @property
    def remote(self) -> bool:
        """Whether its bytes lie elsewhere and are read from a fetched copy."""
        return "://" in self.path or self.path.startswith(HUB)

    @model_validator(mode="after")
    def _address(self) -> "Source":
        hub = self.path.startswith(HUB)
        if not hub and (self.revision or self.name or self.split):
            raise ValueError(f"revision, name and split belong to a data set of Hugging Face: path: {HUB}OWNER/NAME")
        if hub and self.revision is None and not self.path.startswith(f"{HUB}./"):
            raise ValueError("a data set of Hugging Face needs its revision: a commit of 40 hex digits never moves")
        if hub and self.format not in ("auto", "jsonl"):
            raise ValueError("a data set of Hugging Face has no format of its own; leave it out")
        if "://" in self.path and ("::" in self.path or "@" in self.path.split("://")[1].split("/")[0]):
            raise ValueError("a URL holds no key, user or chain (`::`); keys belong to the environment")
        return self


class TemplateMessage(Strict):
    """One message of the template; `{{ field }}` is filled from the raw row in a single pass.

    `tool_calls` is one field alone that holds a list of calls in the chat format; content may then be absent.
    """

    role: Role
    content: Text | None = None
    name: str | None = None
    tool_calls: str | None = None
    tool_call_id: str | None = None
    weight: Weight | None = None

    @model_validator(mode="after")
    def _complete(self) -> "TemplateMessage":
        if self.content is None and self.tool_calls is None:
            raise ValueError("content is missing")
        if self.tool_calls is not None and self.role != "assistant":
            raise ValueError("only assistant messages make tool calls")
        if self.weight is not None and self.role != "assistant":
            raise ValueError(f"weight on a {self.role} message: a weight belongs to assistant messages; remove it")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("tool_call_id belongs to every tool message and to no other")
        return self


class Split(Strict):
    """How rows are divided. Below 1 a share, an integer a count; a stable hash of the key decides, never an order.

    A part that lies in files of its own is a source: `test: {path: data/test.csv}`. `folds` serve sets that are too
    small for a test part: swept over `fold`, every row is held out once, and all scores together judge the recipe.
    """

    validation: Share | Count | Source | None = None
    test: Share | Count | Source | None = None
    folds: Annotated[int, Field(ge=2, le=20)] | None = None
    fold: Annotated[int, Field(ge=0)] = 0
    by: str = "prompt"
    salt: Annotated[str, Field(max_length=48)] = ""

    @property
    def held_out(self) -> tuple[str, ...]:
        """The parts beside the training part that this split makes."""
        asked = (("validation", self.validation), ("test", self.test or self.folds))
        return tuple(name for name, amount in asked if amount is not None)

    @model_validator(mode="after")
    def _folds(self) -> "Split":
        if self.folds is None:
            if self.fold:
                raise ValueError("fold needs folds: how many there are")
        elif self.test is not None:
            raise ValueError("folds make the test part; leave test out")
        elif self.fold >= self.folds:
            raise ValueError(f"folds are counted from 0: the last of {self.folds} is {self.folds - 1}")
        return self


class Teacher(Strict):
    """How a teacher is asked; named as on the chat API."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    max_completion_tokens: Count | None = None
    seed: int | None = None


class Bake(Strict):
    """First answers by a teacher: rows that end with a question are answered once, and the answers kept in a file.

    With `prompt` the teacher reads other instructions than the tuned model will: what they say is baked into the model.
    """

    model: Annotated[str, Field(min_length=1)]
    into: Annotated[str, Field(pattern=r"^[^/~].*\.jsonl$")]
    provider: Provider = Provider()
    prompt: Text | None = None
    params: Teacher = Teacher()

    @model_validator(mode="after")
    def _inside(self) -> "Bake":
        if ".." in self.into.split("/"):
            raise ValueError("into lies outside the project")
        return self


class RowField(Strict):
    """`{field: name}`: the value of a field of the row; null and an empty list are none."""

    field: Annotated[str, Field(min_length=1)]


class Dataset(Strict):
    """Rows, the messages made of them, and their division into train, validation and test."""

    sources: Annotated[list[Source], Field(min_length=1)]
    messages: Annotated[list[TemplateMessage], Field(min_length=1)] | None = None
    replace: dict[str, Annotated[dict[str, str], Field(min_length=1)]] = {}
    extract: dict[str, Annotated[str, Field(min_length=1)]] = {}
    tools: list[dict[str, Any]] | FileRef | RowField | None = None
    bake: Bake | None = None
    metadata: list[str] = []
    split: Split = Split()

    @model_validator(mode="after")
    def _templates(self) -> "Dataset":
        if self.messages is None and (self.replace or self.extract or isinstance(self.tools, RowField)):
            raise ValueError("replace, extract and `tools: {field: ...}` fill the template: add dataset.messages")
        return self


class Match(Strict):
    """Conditions on one message; all that are given must hold."""

    role: Role | list[Role] | None = None
    turn: Literal["first", "last"] | int | None = None
    message: Literal["first", "last"] | None = None
    content_contains: Annotated[str, Field(min_length=1)] | None = None
    content_regex: Annotated[str, Field(min_length=1)] | None = None
    tool_calls: bool | None = None
    tool_name: str | None = None
    name: str | None = None
    row: dict[str, Any] | None = None


class WeightRule(Strict):
    """The first rule that matches a message decides its weight."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    match: Match
    weight: Weight


Preset = Literal[
    "assistant",
    "all_assistant_messages",
    "last_assistant_message",
    "last_assistant_turn",
    "all_messages",
    "from_data",
]


class Weights(Strict):
    """Loss weights per message. Precedence: weight in the data (if respected), first matching rule, preset."""

    train_on: Preset = "assistant"
    rules: list[WeightRule] = []
    existing: Literal["respect", "override", "error"] = "respect"
    field: Literal["weight", "trainable", "loss", "loss_weight", "masked", "train"] = "weight"
    on_empty: Literal["error", "drop", "keep"] = "error"

    @model_validator(mode="before")
    @classmethod
    def _own_names(cls, value: Any) -> Any:
        return weights_aliases(value)[0] if isinstance(value, Mapping) else value
