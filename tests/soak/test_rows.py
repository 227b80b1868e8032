"""Generated data files, many of them damaged: rows that are trained on as they were written, or errors with a line."""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.data import CharEstimate, Prepared, RowRules, prepare
from ftspec.spec.dataset import Dataset, Weights
from ftspec.spec.errors import FtspecError

Row = dict[str, Any]
Talk = tuple[tuple[str, str], ...]

TEXTS = [
    *(
        "hello",
        "Karte verschluckt?",
        "a, b",
        'say "hi"',
        "line\nbreak",
        "tab\there",
        "{{ text }}",
        "${seed}",
        "\\n",
        "%",
    ),
    *("ünï 🙂", "e\u0301", "\u2028", "\u202eevil", "null", "0", "x" * 2000, " spaces ", "<b>&amp;</b>", "'", "日本語"),
]
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"q": "a"}'}}
TEMPLATE = [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ a }}"}]
WRONG: list[Any] = [None, True, 0, 1.5, "", [], {}, ["x"], {"role": "user"}, "\x00", 10**400, [10**20], "ｗｅｉｇｈｔ"]


def talk(chance: random.Random) -> Row:
    """Return a chat row that is right."""
    messages: list[Row] = []
    if chance.random() < 0.3:
        messages.append({"role": chance.choice(("system", "developer")), "content": text(chance)})
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        messages.append({"role": "user", "content": text(chance)})
        messages.append({"role": "assistant", "content": text(chance)})
        if chance.random() < 0.15:
            messages[-1]["weight"] = chance.choice((0, 1))
    messages[-1].pop("weight", None)
    row: Row = {"messages": messages}
    if chance.random() < 0.15:
        row["tools"] = [TOOL]
        messages[-1:-1] = [
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "content": text(chance), "tool_call_id": "c1"},
        ]
    return row


def text(chance: random.Random) -> str:
    return f"{chance.choice(TEXTS)} {chance.randrange(10**6)}"


def worse(chance: random.Random, rows: list[Row]) -> None:
    """Break one row: a value, a key, or the order of its messages."""
    row = chance.choice(rows)
    places = [(row, key) for key in row]
    for message in row.get("messages", ()):
        places += [(message, key) for key in message]
    container, key = chance.choice(places)
    how = chance.randrange(4)
    if how == 0:
        container[key] = chance.choice(WRONG)
    elif how == 1:
        container[key + "s"] = container.pop(key)
    elif how == 2:
        del container[key]
    else:
        chance.shuffle(row.get("messages", []))


def damaged(chance: random.Random, data: bytes) -> bytes:
    """Damage the bytes of a file."""
    at = chance.randrange(len(data))
    ways: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[:at] + data[at + 1 :],
        lambda: data[:at] + bytes([chance.randrange(256)]) + data[at:],
        lambda: data[:at] + chance.choice((b"\x00", b"\xff", b"\n", b'"', b"\\", b"\\ud800", b"{", b"NaN")) + data[at:],
        lambda: data.decode("utf-8", "replace").encode("utf-16"),
        lambda: data.replace(b":", b"=", 1),
        lambda: data * 2,
        lambda: b"",
        lambda: data.replace(b"\n", b",\n"),
        lambda: data.replace(b"[", b"[" * 2000, 1),
    ]
    return chance.choice(ways)()


def written(chance: random.Random, rows: list[Row], kind: str) -> bytes:
    """Return the bytes of a file of that kind, with the liberties that writers take."""
    if kind == "csv":
        made = io.StringIO()
        writer = csv.DictWriter(made, ["q", "a"], lineterminator=chance.choice(("\n", "\r\n")), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        return made.getvalue().encode()
    ascii_only = chance.random() < 0.5
    if kind == "json":
        return json.dumps(rows, ensure_ascii=ascii_only, indent=chance.choice((None, 1))).encode()
    lines = chance.choice(("\n", "\r\n", "\n\n")).join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    return chance.choice(("", "\ufeff")).encode() + lines.encode() + chance.choice((b"", b"\n"))


def generated(chance: random.Random) -> tuple[str, bytes, Row, list[Row]]:
    """Return a file's name, its bytes, the dataset block, and the rows that stand in it if nothing was broken."""
    raw = chance.random() < 0.4
    kind = chance.choice(("jsonl", "csv", "json")) if raw else chance.choice(("jsonl", "jsonl", "json"))
    count = chance.choice((1, 3, 8))
    rows = [{"q": text(chance), "a": text(chance)} if raw else talk(chance) for _ in range(count)]
    dataset: Row = {"messages": TEMPLATE} if raw else {}
    if count == 8 and chance.random() < 0.5:
        dataset["split"] = {"test": 0.3}
    way = chance.choice(("right", "right", "row", "bytes"))
    if way == "row":
        worse(chance, rows)
    data = written(chance, rows, kind)
    if way == "bytes":
        data = damaged(chance, data)
    name = f"rows.{kind}"
    if chance.random() < 0.2:
        name, data = f"{name}.gz", gzip.compress(data, mtime=0)
        data = data[: chance.randrange(1, len(data))] if way == "bytes" and chance.random() < 0.5 else data
    return name, data, {"sources": [{"path": name}], **dataset}, rows if way == "right" else []


def said(row: Row) -> Talk:
    """Return what is said in a row, for comparison: roles and texts, a tool call by its arguments."""
    if "q" in row:
        return (("user", row["q"]), ("assistant", row["a"]))
    found = []
    for message in row["messages"]:
        calls = "".join(call["function"]["arguments"] for call in message.get("tool_calls") or ())
        found.append((message["role"], (message.get("content") or "") + calls))
    return tuple(found)


def trained(prepared: Prepared) -> set[Talk]:
    """Return what is said in the rows of all parts; a test item's answer stands beside its messages."""
    found = set()
    for role, part in prepared.parts.items():
        for line in part.path.read_bytes().splitlines():
            row = json.loads(line)
            found.add(said(row) if role != "test" else said(row)[:1])
    return found


@pytest.mark.slow
def test_rows(tmp_path: Path, soak: Any) -> None:
    count = soak("rows")
    limits = RowRules(min_rows=1, advised_rows=0)

    def made(dataset: Row) -> Prepared:
        return prepare(
            Dataset.model_validate(dataset),
            Weights(),
            root=tmp_path,
            counter=CharEstimate(),
            cache=None,
            format=limits,
        )

    for _, chance in count.rounds():
        name, data, dataset, rows = generated(chance)
        (tmp_path / name).write_bytes(data)
        shown = f"{name} {dataset}\n{data[:3000]!r}"
        prepared = None
        try:
            with count.case(shown):
                prepared = made(dataset)
        except FtspecError as error:
            if rows and {problem.code for problem in error.problems} != {"split"}:
                count.wrong.append(f"right rows were refused: {error}\n{shown}")
            count.refused(error.problems, tmp_path, shown)
            continue
        if prepared is None:
            continue
        count.valid += 1
        with count.case(shown):
            again = made(dataset)
            assert {role: part.sha256 for role, part in again.parts.items()} == {
                role: part.sha256 for role, part in prepared.parts.items()
            }, "other bytes the second time"
            if rows and set(prepared.parts) == {"train"}:
                assert trained(prepared) == {said(row) for row in rows}, "a row was changed"
    count.finish()
