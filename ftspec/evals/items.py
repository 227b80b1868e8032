"""The items of a suite: held-out rows of the experiment's own data, or a JSON-lines file."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ftspec.data.issues import SHOWN
from ftspec.spec.errors import DataError, Problem

_sorted = msgspec.json.Encoder(order="sorted").encode
_NEUTRAL = ("weight",)


class Part(Protocol):
    """A part of prepared data: `train`, `valid` or `test`, rendered as JSON lines."""

    @property
    def role(self) -> str: ...
    @property
    def path(self) -> Path: ...


class Item(msgspec.Struct, frozen=True):
    """One item. `fields` is what `{{ item.x }}` sees; items of one `cluster` are not independent."""

    id: str
    fields: dict[str, Any]
    cluster: str | None = None


class ItemsFile(msgspec.Struct, frozen=True):
    """A JSON-lines file that items came from: its path in the project, and the hex sha256 of its bytes."""

    path: str
    sha256: str


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file. Raises DataError with the lines that hold anything else."""
    wrong: list[Problem] = []
    yield from (row for _, row in _numbered(path, str(path), wrong))
    if wrong:
        raise DataError.many(wrong[:SHOWN])


def _numbered(path: Path, name: str, wrong: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and object of each line that is not blank; add to `wrong` what is no object.

    `name` is the file's in errors.
    """
    try:
        stream = path.open("rb")
    except OSError as error:
        raise DataError("no_file", f"cannot read: {error.strerror}", file=name) from error
    with stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                row = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, RecursionError) as error:
                wrong.append(Problem("item_json", f"not a JSON object: {error}", file=name, line=number))
                continue
            yield number, row


def message_text(content: Any) -> str:
    """Return the text of a message's content: a string, or the text parts of a list; images count as nothing."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, Mapping))


def split_turn(row: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Return the messages before the last assistant turn, and the first answer of that turn (None where there is none).

    A turn is everything after a user message up to the next one. Loss weights are left out: they are no part of what a
    model is asked. A prompt/completion row becomes one user message and one answer.
    """
    if "messages" not in row and "prompt" in row:
        answer = {"role": "assistant", "content": row["completion"]} if "completion" in row else None
        return [{"role": "user", "content": row["prompt"]}], answer
    messages = [{key: entry for key, entry in m.items() if key not in _NEUTRAL} for m in row.get("messages") or ()]
    last = next((i for i in reversed(range(len(messages))) if messages[i].get("role") == "assistant"), None)
    if last is None:
        return messages, None
    before = [i for i in range(last) if messages[i].get("role") == "user"]
    start = before[-1] + 1 if before else next(i for i, m in enumerate(messages) if m.get("role") == "assistant")
    return messages[:start], next(m for m in messages[start:] if m.get("role") == "assistant")


def prompt_key(messages: Sequence[Mapping[str, Any]]) -> bytes:
    """Return 16 bytes that name a prompt: its messages without instructions and weights."""
    asked = [
        {key: entry for key, entry in message.items() if key not in _NEUTRAL}
        for message in messages
        if message.get("role") not in ("system", "developer")
    ]
    return hashlib.blake2b(_sorted(asked), digest_size=16).digest()


def item_of(row: Mapping[str, Any], *, cluster: str | None = None) -> Item:
    """Return a held-out row as an item: `messages`, `reference` (its answer's text), `expected_calls`, `tools`.

    Metadata fields of the row are fields of the item. The id is 16 hex of its prompt, instructions included.
    """
    prompt, answer = split_turn(row)
    reserved = ("messages", "prompt", "completion")
    fields: dict[str, Any] = {key: entry for key, entry in row.items() if key not in reserved}
    fields["messages"] = prompt
    if answer is not None:
        if reference := message_text(answer.get("content")):
            fields["reference"] = reference
        fields["expected_calls"] = [call["function"] for call in answer.get("tool_calls") or ()]
    identity = hashlib.sha256(_sorted(prompt)).hexdigest()[:16]
    return Item(identity, fields, None if cluster is None else _plain(row.get(cluster)))


def items_of_part(part: Part, *, cluster: str | None = None) -> tuple[Item, ...]:
    """Return the items of a held-out part in file order.

    A test part holds items already (id, messages, reference, metadata); of a validation part each row is made one. An
    id that occurs again gets `.2`, `.3` behind it.
    """
    seen: dict[str, int] = {}
    items = []
    for row in read_rows(part.path):
        item = _ready(row, cluster) if part.role == "test" else item_of(row, cluster=cluster)
        seen[item.id] = count = seen.get(item.id, 0) + 1
        items.append(item if count == 1 else msgspec.structs.replace(item, id=f"{item.id}.{count}"))
    return tuple(items)


def _ready(row: dict[str, Any], cluster: str | None) -> Item:
    metadata = row.get("metadata") or {}
    fields = {"expected_calls": []} | {key: entry for key, entry in row.items() if key != "id"}
    return Item(row["id"], fields, None if cluster is None else _plain(row.get(cluster, metadata.get(cluster))))


def items_of_file(
    path: Path, *, id: str | None = None, cluster: str | None = None, shown: str = ""
) -> tuple[Item, ...]:
    """Return the items of a JSON-lines file, called `shown` in errors; without `id` an item is named by its own bytes.

    Raises DataError with every line that is no object, and every item whose id is missing or occurs twice.
    """
    items: dict[str, Item] = {}
    file = shown or str(path)
    wrong: list[Problem] = []
    lines = _numbered(path, file, wrong)
    for count, (number, row) in enumerate(lines, 1):
        name = hashlib.sha256(_sorted(row)).hexdigest()[:16] if id is None else _plain(row.get(id))
        if name is None:
            wrong.append(Problem("item_id", f"item {count} has no field {id!r}", file=file, line=number))
        elif name in items:
            what = "the same bytes as an earlier one" if id is None else f"the id {name!r} of an earlier one"
            wrong.append(Problem("item_id", f"item {count} has {what}", file=file, line=number))
        else:
            items[name] = Item(name, row, None if cluster is None else _plain(row.get(cluster)))
    if wrong:
        rest = [Problem("item_json", f"and {len(wrong) - SHOWN} more lines like these")] if len(wrong) > SHOWN else []
        raise DataError.many([*wrong[:SHOWN], *rest])
    return tuple(items.values())


def _plain(value: Any) -> str | None:
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else _sorted(value).decode()


def items_digest(items: Iterable[Item]) -> str:
    """Return the hex sha256 over all items: ids, clusters and fields, in order. Loss weights are not in it."""
    found = hashlib.sha256(b"ftspec/items/1\n")
    for item in items:
        found.update(_sorted([item.id, item.cluster, item.fields]) + b"\n")
    return found.hexdigest()
