"""A chat file of any size for the data bench, the same bytes everywhere: built from the texts of Django (BSD licence).

Sentences are halves of two pool sentences, so that no memo gains from repetition; 15 % of messages are not English,
15 % of turns call a tool, 20 % of answers hold code, 10 % carry `weight: 0`, 1 % of rows are copies and 2 % are copies
with one word changed. Only `random()` of the seeded generator is used, which is stable across Python versions.
Without Django the standard library's own texts serve (`pool="stdlib"`): enough for a smoke run, not for figures.
"""

import ast
import json
import random
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHA256 = {
    200_000_000: "602b58fd541dfa770cce27963fefebd0a8c4c863992a7c30525a0750cc27038d",
    20_000_000: "bb29b77c80ac7df9852ef732b01d8871788a3853b7f8138d30d43d7a3c2fb2ca",
}
_MSGSTR = re.compile(r'^msgstr(?:\[\d\])? ((?:".*"\n?)+)', re.M)


class Pools:
    """Foreign and English sentences, and pieces of code."""

    def __init__(self, foreign: list[str], english: list[str], code: list[str]) -> None:
        self.foreign, self.english, self.code = foreign, english, code


def pools(kind: str) -> Pools:
    """Collect texts from the installed Django ("django") or from the standard library ("stdlib")."""
    if kind == "django":
        import django

        root = Path(django.__file__).parent
        foreign = set()
        for path in sorted(root.rglob("*.po")):
            if not path.parts[path.parts.index("locale") + 1].startswith("en"):
                foreign.update(_translations(path.read_text("utf-8")))
        english, code = _python_texts(sorted(root.rglob("*.py")))
        return Pools(sorted(foreign), english, code)
    root = Path(sysconfig.get_paths()["stdlib"])
    english, code = _python_texts(sorted(root.glob("*.py"))[:80])
    foreign = [text.translate({ord(a): ord(a) + 0x3B1 - 0x61 for a in "abcdefghijklmnopqrstuvwxy"}) for text in english]
    return Pools(foreign, english, code)


def _translations(text: str) -> Iterator[str]:
    for found in _MSGSTR.finditer(text):
        try:
            joined = "".join(ast.literal_eval(line) for line in found[1].splitlines())
        except (SyntaxError, ValueError):
            continue
        if len(joined) > 25:
            yield joined


def _python_texts(paths: list[Path]) -> tuple[list[str], list[str]]:
    english, code = set(), set()
    for path in paths:
        try:
            source = path.read_text("utf-8")
            tree, lines = ast.parse(source), source.split("\n")
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                doc = " ".join((ast.get_docstring(node) or "").split())
                english.update(s for s in re.split(r"(?<=[.!?]) ", doc) if 30 < len(s) < 400)
            if isinstance(node, ast.FunctionDef):
                text = "\n".join(lines[node.lineno - 1 : node.end_lineno])
                if 120 < len(text) < 1500:
                    code.add(text)
    return sorted(english), sorted(code)


class Writer:
    """Draws rows from the pools with one seeded generator."""

    def __init__(self, texts: Pools) -> None:
        self.texts = texts
        self.random = random.Random(11).random
        self.systems = [" ".join(self.sentence(texts.english) for _ in range(3)) for _ in range(20)]
        self.calls = 0

    def pick(self, values: Any) -> Any:
        return values[int(self.random() * len(values))]

    def sentence(self, pool: list[str]) -> str:
        first, second = self.pick(pool).split(), self.pick(pool).split()
        return " ".join(first[: len(first) // 2 + 1] + second[len(second) // 2 :])

    def text(self, least: int, most: int) -> str:
        pool = self.texts.foreign if self.random() < 0.15 else self.texts.english
        return " ".join(self.sentence(pool) for _ in range(least + int(self.random() * (most - least + 1))))

    def row(self) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": "system", "content": self.pick(self.systems)}]
        called = False
        for _ in range(self.pick((1, 1, 1, 2, 2, 3, 5))):
            messages.append({"role": "user", "content": self.text(1, 4)})
            if self.random() < 0.15:
                called = True
                messages += self.call()
            answer = self.text(2, 9)
            if self.random() < 0.2:
                answer += f"\n```python\n{self.pick(self.texts.code)}\n```"
            message: dict[str, Any] = {"role": "assistant", "content": answer}
            if self.random() < 0.1:
                message["weight"] = 0
            messages.append(message)
        if all(m.get("weight") == 0 for m in messages if m["role"] == "assistant" and "tool_calls" not in m):
            messages[-1].pop("weight", None)
        return {"messages": messages} | ({"tools": TOOLS} if called else {})

    def call(self) -> list[dict[str, Any]]:
        self.calls += 1
        arguments = {"query": self.sentence(self.texts.english), "limit": int(self.random() * 50), "exact": False}
        function = {"name": "search", "arguments": json.dumps(arguments, ensure_ascii=False)}
        name = f"call_{self.calls}"
        return [
            {"role": "assistant", "tool_calls": [{"id": name, "type": "function", "function": function}]},
            {
                "role": "tool",
                "tool_call_id": name,
                "content": json.dumps({"found": self.text(1, 3)}, ensure_ascii=False),
            },
        ]


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Search the documentation.",
            "parameters": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "minLength": 1},
                    "limit": {"type": "integer", "minimum": 0, "maximum": 100},
                    "exact": {"type": "boolean"},
                },
                "required": ["query"],
                "additionalProperties": False,
            },
        },
    }
]


def write(path: Path, size: int, kind: str = "django") -> None:
    """Write rows until the file has at least `size` bytes."""
    writer = Writer(pools(kind))
    kept: list[bytes] = []
    written = 0
    with path.open("wb") as out:
        while written < size:
            chance = writer.random()
            if kept and chance < 0.01:
                line = writer.pick(kept)
            elif kept and chance < 0.03:
                row = json.loads(writer.pick(kept))
                words = row["messages"][-1]["content"].split(" ")
                words[int(writer.random() * len(words))] = "changed"
                row["messages"][-1]["content"] = " ".join(words)
                line = json.dumps(row, ensure_ascii=False).encode()
            else:
                line = json.dumps(writer.row(), ensure_ascii=False).encode()
                if len(kept) < 2000:
                    kept.append(line)
            out.write(line + b"\n")
            written += len(line) + 1
