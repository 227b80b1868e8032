"""Parts to files: every row's mask, its line with weights where they differ from the default, and one record a row."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from ftspec.data.chat import ROLE, ChatRow, prompt_end, text_of
from ftspec.data.index import DROPPED, PART_NAME, TEST, RowIndex
from ftspec.data.issues import Issues
from ftspec.data.proof import ProofBuilder
from ftspec.data.rows import Canonical, encode
from ftspec.data.rules import RowRules
from ftspec.data.weights import (
    FROM_DATA,
    PRESET,
    Decision,
    Rule,
    decide,
    decide_simply,
    default_mask,
    illegal,
    trainable_letters,
)
from ftspec.spec.dataset import Weights
from ftspec.spec.errors import Problem, StorageError

_BUFFER = 1 << 20
_decode_chat = msgspec.json.Decoder(ChatRow).decode
_BITS = bytes.maketrans(b"01", b"\x00\x01")


@dataclass
class PartWriter:
    """One rendered file, written line by line."""

    role: str
    path: Path
    sha256: Any = field(default_factory=hashlib.sha256)
    size: int = 0
    rows: int = 0
    tokens: int = 0
    learned_tokens: int = 0
    messages: int = 0
    learned_messages: int = 0

    def __post_init__(self) -> None:
        self.stream = self.path.open("wb", _BUFFER)

    def write(self, line: bytes) -> None:
        """Append one line without its newline."""
        self.stream.write(line)
        self.stream.write(b"\n")
        self.sha256.update(line)
        self.sha256.update(b"\n")
        self.size += len(line) + 1
        self.rows += 1


@dataclass
class Rendering:
    """Everything one pass over the canonical rows needs and finds."""

    canonical: Canonical
    parts: bytes
    paths: list[str]
    weights: Weights
    rules: tuple[Rule, ...]
    limits: RowRules
    counts: Any
    extra: Any
    issues: Issues = field(default_factory=Issues)
    dropped: int = 0
    proof: ProofBuilder = field(init=False)

    def __post_init__(self) -> None:
        self._legal = trainable_letters(self.limits)
        self._ids: dict[str, int] = {}
        self.proof = ProofBuilder([rule.name for rule in self.rules], self.weights.train_on)

    def run(self, writers: Mapping[int, PartWriter], records: Path) -> None:
        """Write all parts and `rows.jsonl`. Raises StorageError; problems of rows are collected in `issues`."""
        index = self.canonical.index
        firsts = index.firsts()
        try:
            with records.open("wb", _BUFFER) as out:
                for row, (line, metadata) in enumerate(self._lines()):
                    part = self.parts[row]
                    if part == DROPPED:
                        continue
                    record = self._row(row, firsts[row], firsts[row + 1], line, metadata, writers[part])
                    if record is not None:
                        out.write(encode(record))
                        out.write(b"\n")
            for writer in writers.values():
                writer.stream.close()
        except OSError as error:
            raise StorageError.of(error, records) from error
        finally:
            for writer in writers.values():
                writer.stream.close()

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        canonical = self.canonical
        with canonical.lines.open("rb", _BUFFER) as lines:
            if canonical.metadata is None:
                for line in lines:
                    yield line[:-1], {}
                return
            with canonical.metadata.open("rb", _BUFFER) as extra:
                for line, more in zip(lines, extra, strict=True):
                    yield line[:-1], msgspec.json.decode(more)

    def _row(
        self, row: int, first: int, end: int, line: bytes, metadata: dict[str, Any], writer: PartWriter
    ) -> dict[str, Any] | None:
        index = self.canonical.index
        letters = index.letters[first:end].decode()
        given = index.given[first:end].decode()
        decoded = _decode_chat(line) if self.rules and self.canonical.row_format == "chat" else None
        decision = self._decide(row, letters, given, decoded, metadata)
        if decision is None:
            return None
        mask, usual = decision.mask, default_mask(letters)
        if "1" not in mask and writer.role != "test" and not self._empty(row):
            return None
        counts = self.counts[first:end]
        tokens = sum(counts) + self.extra[row]
        learned = sum(compress(counts, mask.encode().translate(_BITS)))
        number = writer.rows
        if self.parts[row] != TEST:
            self.proof.add(decision, usual, counts)
        if self.parts[row] == TEST:
            writer.write(self._item(row, line, letters, metadata))
        elif mask == usual:
            writer.write(line)
        else:
            writer.write(self._weighted(line, decoded, usual, mask))
        writer.tokens += tokens
        writer.learned_tokens += learned
        writer.messages += len(mask)
        writer.learned_messages += mask.count("1")
        self._too_long(row, tokens)
        return {
            "i": number,
            "part": writer.role,
            "source": self.paths[index.source[row]],
            "line": index.line[row],
            "row": index.key(row).hex()[:16],
            "prompt": index.prompt(row).hex()[:16],
            "n_messages": len(mask),
            "weights": mask,
            "tokens": tokens,
            "learned": learned,
        }

    def _decide(self, row: int, letters: str, given: str, decoded: Any, metadata: dict[str, Any]) -> Decision | None:
        """Return the mask of a row, or None after adding a problem."""
        weights = self.weights
        if weights.existing == "error" and given.strip("."):
            n = next(n for n, g in enumerate(given) if g != ".")
            fix = "remove it, or choose existing: respect or override"
            self._problem(row, "weight", "the data holds a weight", f"messages[{n}].weight", fix)
            return None
        if weights.existing == "respect" and not self._placed(row, letters, given):
            return None
        if decoded is not None:
            decision = decide(weights, self.rules, decoded.messages, letters, given, metadata)
        else:
            decision = decide_simply(weights, letters, given)
        wrong = illegal(decision.mask, letters, self._legal)
        if wrong is not None:
            self._illegal(row, wrong, letters, decision)
            return None
        if self.canonical.row_format == "completion" and decision.mask != "01":
            fix = "use chat rows for any other mask"
            self._problem(row, "weight", "a completion row learns its completion and nothing else", "", fix)
            return None
        return decision

    def _illegal(self, row: int, n: int, letters: str, decision: Decision) -> None:
        by = decision.by[n] if decision.by is not None else PRESET
        who = f"rule {self.rules[by].name!r}" if by >= 0 else f"train_on: {self.weights.train_on}"
        who = "the data" if by == FROM_DATA else who
        message = f"{who} gives weight 1 to a {ROLE[letters[n]]} message, which {self.limits.name} cannot learn from"
        self._problem(row, "weight", message, f"messages[{n}]", "learned roles: " + ", ".join(self.limits.roles))

    def _placed(self, row: int, letters: str, given: str) -> bool:
        """Whether weights in the data stand only where the provider takes them."""
        if self.weights.field != "weight":
            return True
        for n, flag in enumerate(given):
            if flag != "." and letters[n] not in self._legal:
                fix = "remove it: a weight belongs to " + ", ".join(self.limits.roles) + " messages"
                message = f"weight on a {ROLE[letters[n]]} message"
                self._problem(row, "weight", message, f"messages[{n}].weight", fix)
                return False
        return True

    def _empty(self, row: int) -> bool:
        """Whether a row without any learned message is kept."""
        if self.weights.on_empty == "error":
            fix = "weights.on_empty: drop leaves such rows out"
            self._problem(row, "weight_all_zero", "no message of this row is learned", "messages", fix)
        elif self.weights.on_empty == "drop":
            self.dropped += 1
        return self.weights.on_empty == "keep"

    def _too_long(self, row: int, tokens: int) -> None:
        limit = self.limits.max_row_tokens
        if limit is not None and tokens > limit:
            message = f"the row has {tokens:,} tokens, {self.limits.name} cuts rows at {limit:,}"
            self._problem(row, "tokens", message, "messages", "shorten or split the conversation")

    def _weighted(self, line: bytes, decoded: Any, usual: str, mask: str) -> bytes:
        """Return the line with a weight on every message that differs from its role's default."""
        chat = decoded if decoded is not None else _decode_chat(line)
        for message, bit, before in zip(chat.messages, mask, usual, strict=True):
            message.weight = None if bit == before else int(bit)
        return encode(chat)

    def _item(self, row: int, line: bytes, letters: str, metadata: dict[str, Any]) -> bytes:
        """Return one test item: what the model is asked, the reference answer, declared metadata."""
        key = self.canonical.index.key(row).hex()[:16]
        seen = self._ids[key] = self._ids.get(key, 0) + 1
        item: dict[str, Any] = {"id": key if seen == 1 else f"{key}.{seen}", "metadata": metadata}
        if self.canonical.row_format == "completion":
            pair = msgspec.json.decode(line)
            item |= {"messages": [{"content": pair["prompt"], "role": "user"}], "reference": pair["completion"]}
            return encode(item)
        chat = _decode_chat(line)
        end = prompt_end(letters)
        item["messages"] = chat.messages[:end]
        item["reference"] = text_of(chat.messages[letters.rfind("a")].content)
        answer: Any = chat.messages[letters.index("a", end)]
        if answer.tool_calls:
            item["expected_calls"] = answer.tool_calls
        if chat.tools is not UNSET:
            item["tools"] = chat.tools
        return encode(item)

    def _problem(self, row: int, code: str, message: str, path: str, fix: str) -> None:
        index = self.canonical.index
        file, line = self.paths[index.source[row]], index.line[row]
        self.issues.add(Problem(code, message, path, file, line, fix=fix))


def part_writers(parts: bytes, paths: Mapping[str, Path]) -> dict[int, PartWriter]:
    """Return a writer for every part that has rows, train always."""
    return {code: PartWriter(name, paths[name]) for code, name in PART_NAME.items() if code in parts or name == "train"}


def references(canonical: Canonical, parts: bytes, part: int, most: int = 1000) -> list[tuple[str, int]]:
    """Return the distinct last assistant texts of a part with counts, commonest first; empty beyond `most` of them."""
    index: RowIndex = canonical.index
    counts: dict[bytes, int] = {}
    sample: dict[bytes, int] = {}
    for row in range(len(index)):
        if parts[row] != part:
            continue
        key = index.answer(row)
        if not any(key):
            continue
        counts[key] = counts.get(key, 0) + 1
        if key not in sample:
            if len(counts) > most:
                return []
            sample[key] = row
    found: list[tuple[str, int]] = []
    with canonical.lines.open("rb") as lines:
        for key, row in sample.items():
            lines.seek(index.start[row])
            found.append((_answer(lines.readline(), canonical.row_format), counts[key]))
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _answer(line: bytes, row_format: str) -> str:
    if row_format == "completion":
        return str(msgspec.json.decode(line)["completion"])
    messages: list[Any] = _decode_chat(line).messages
    return next(text_of(m.content) for m in reversed(messages) if type(m).__name__ == "Assistant")
