"""What a data set declares beside its files, read and checked: template, tools, schemas, fields kept beside a row."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftspec.data.baking import BakedRows, read_answers
from ftspec.data.fields import Fields
from ftspec.data.lacking import Unmet
from ftspec.data.messages import Mapper, ReadyRows
from ftspec.data.origins import Origin, origins
from ftspec.data.screen import Screen, screens
from ftspec.data.templated import TemplateRows
from ftspec.data.tools import canonical_tools
from ftspec.spec.dataset import Bake, Dataset, RowField, TemplateMessage, Weights
from ftspec.spec.errors import Problems, SpecError
from ftspec.spec.model import FileRef

_BY_MESSAGES = ("prompt", "row", "first_user")


@dataclass(frozen=True)
class Declared:
    """`messages` with their texts read, or None for ready rows; `tools` as canonical JSON; one schema an origin.

    `by` is the field that the split goes by, None where it goes by the messages; `row_tools` is the field of each row's
    own tools.

    `fields` are kept beside a row: declared metadata, what the split goes by, what rules look at, and of ready rows
    what `where` looks at, since such rows may hold no other key.
    """

    origins: list[Origin]
    contracts: list[Any]
    messages: list[TemplateMessage] | None
    tools: bytes | None
    row_tools: str | None
    by: str | None
    made: Fields
    making: Mapping[str, Any]
    metadata: tuple[str, ...]
    fields: tuple[str, ...]
    flag: str
    bake: Bake | None
    prompt: str | None
    answers: Mapping[str, str]

    def mapper(self) -> Mapper:
        """Return what makes messages of raw rows."""
        unmet = Unmet({name: f"dataset.metadata[{n}]" for n, name in enumerate(self.metadata)}, "missing_field")
        mapper: Mapper = ReadyRows(self.fields, self.flag, unmet)
        if self.messages is not None:
            mapper = TemplateRows(self.messages, self.fields, self.row_tools, self.by, self.made, unmet)
        return mapper if self.bake is None else BakedRows(mapper, self.bake, self.prompt, self.answers)

    def screens(self) -> list[Screen]:
        """Return what each source's rows go through first. Raises SpecError for a schema that is none."""
        return screens(self.origins, self.contracts)

    def to_json(self) -> dict[str, Any]:
        """Return everything that decides the rows, as plain JSON, for cache ids."""
        return {
            "where": [origin.source.where for origin in self.origins],
            "schemas": self.contracts,
            "messages": [m.model_dump(mode="json") for m in self.messages] if self.messages else None,
            "tools": self.tools.decode() if self.tools else None,
            # As a template, as it stood in ids before: rows that are cached stay so.
            "row_tools": "{{ " + self.row_tools + " }}" if self.row_tools is not None else None,
            **self.making,
            "fields": list(self.fields),
            "flag": self.flag,
            "bake": [self.bake.model_dump(mode="json"), self.prompt, dict(self.answers)] if self.bake else None,
        }


def declared(dataset: Dataset, weights: Weights, root: Path) -> Declared:
    """Read what `dataset` names. Raises SpecError or DataError with every file that is missing or broken."""
    found = origins(dataset)
    problems = Problems()
    messages = problems.try_to(lambda: _template(dataset, root))
    contracts = [problems.try_to(lambda origin=origin: _contract(origin, root)) for origin in found]  # type: ignore[misc]
    tools = problems.try_to(lambda: _tools(dataset, root))
    made = problems.try_to(lambda: Fields(dataset.extract, dataset.replace))
    prompt = problems.try_to(lambda: _prompt(dataset.bake, root))
    answers = problems.try_to(lambda: _answers(dataset.bake, root))
    if (error := problems.error()) is not None:
        raise error
    assert made is not None
    return Declared(
        origins=found,
        contracts=contracts,
        messages=messages,
        tools=tools,
        row_tools=dataset.tools.field if isinstance(dataset.tools, RowField) else None,
        by=dataset.split.by if dataset.split.by not in _BY_MESSAGES else None,
        made=made,
        making={"extract": list(dataset.extract.items()), "replace": dataset.replace},
        metadata=tuple(dict.fromkeys(dataset.metadata)),
        fields=_fields(dataset, weights, found if messages is None else []),
        flag=weights.field,
        bake=dataset.bake,
        prompt=prompt,
        answers=answers or {},
    )


def _answers(bake: Bake | None, root: Path) -> dict[str, str]:
    return read_answers(root / bake.into, bake.into) if bake is not None else {}


def _prompt(bake: Bake | None, root: Path) -> str | None:
    if bake is None or not isinstance(bake.prompt, FileRef):
        return bake.prompt if bake is not None and isinstance(bake.prompt, str) else None
    return _read_text(root, bake.prompt, "dataset.bake.prompt")


def _contract(origin: Origin, root: Path) -> Any:
    schema = origin.source.contract
    return _read_json(root, schema, f"{origin.where}.schema") if isinstance(schema, FileRef) else schema


def _tools(dataset: Dataset, root: Path) -> bytes | None:
    given: Any = dataset.tools
    if given is None or isinstance(given, RowField):
        return None
    if isinstance(given, FileRef):
        given = _read_json(root, given, "dataset.tools")
    try:
        return canonical_tools(given)
    except ValueError as error:
        raise SpecError("tools", str(error), path="dataset.tools") from None


def _template(dataset: Dataset, root: Path) -> list[TemplateMessage] | None:
    if dataset.messages is None:
        return None
    made = []
    for n, message in enumerate(dataset.messages):
        if isinstance(message.content, FileRef):
            text = _read_text(root, message.content, f"dataset.messages[{n}].content")
            message = message.model_copy(update={"content": text})
        made.append(message)
    return made


def _fields(dataset: Dataset, weights: Weights, ready: list[Origin]) -> tuple[str, ...]:
    used = [] if dataset.split.by in _BY_MESSAGES else [dataset.split.by]
    used += [name for rule in weights.rules for name in rule.match.row or ()]
    used += [name for origin in ready for name in origin.source.where or () if name not in ("prompt", "completion")]
    return tuple(dict.fromkeys([*dataset.metadata, *used]))


def _read_text(root: Path, reference: FileRef, where: str) -> str:
    try:
        return (root / reference.file).read_text("utf-8").removesuffix("\n")
    except FileNotFoundError:
        raise SpecError("missing_file", f"{reference.file} does not exist", path=f"{where}.file") from None
    except UnicodeDecodeError:
        raise SpecError("not_utf8", f"{reference.file} is not UTF-8", path=f"{where}.file") from None


def _read_json(root: Path, reference: FileRef, where: str) -> Any:
    try:
        return json.loads(_read_text(root, reference, where))
    except ValueError as error:
        raise SpecError("json", f"{reference.file}: {error}", path=where, file=reference.file) from None
