"""Parts to files: every row's mask, its line with weights where they differ from the default, and one record a row.

Rows with the same roles and the same weights in the data share one plan unless rules look at their texts, so a new
weight policy costs little more than copying bytes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, compress, repeat
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from ftspec.data.chat import ROLE, ChatRow, prompt_end, text_of
from ftspec.data.forms import CHAT_HEAD, encode
from ftspec.data.index import DROPPED, KEY, PART_NAME, TEST
from ftspec.data.issues import Issues
from ftspec.data.proof import Change, ProofBuilder, changes
from ftspec.data.rows import Canonical
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
from ftspec.data.writing import PartWriter
from ftspec.spec.dataset import Weights
from ftspec.spec.errors import Problem, StorageError

_BUFFER = 1 << 20
_decode_chat = msgspec.json.Decoder(ChatRow).decode
_BITS = bytes.maketrans(b"01", b"\x00\x01")
_WEIGHT = {"0": b',"weight":0}', "1": b',"weight":1}'}


@dataclass
class Plan:
    """What is done with rows of one kind: their mask, what it changes, how often; or what is wrong with them."""

    decision: Decision
    changed: tuple[Change, ...]
    learned: int
    bits: bytes
    patch: tuple[tuple[int, bytes], ...]
    wrong: tuple[str, str, str, str] | None = None
    uses: int = 0

    @cached_property
    def by(self) -> str:
        """Who decided each message, as the start of a record: a rule's number, -1 the data, -2 the preset."""
        return "" if self.decision.by is None else f'"by":{self.decision.by},'.replace(" ", "")


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
        self._plans: dict[tuple[bytes, bytes], Plan] = {}
        self._letters, self._given = bytes(self.canonical.index.letters), bytes(self.canonical.index.given)
        self.proof = ProofBuilder([rule.name for rule in self.rules], self.weights.train_on)

    def run(self, writers: Mapping[int, PartWriter], records: Path) -> None:
        """Write all parts and `rows.jsonl`. Raises StorageError; problems of rows are collected in `issues`."""
        try:
            with records.open("wb", _BUFFER) as out:
                waiting: list[str] = []
                for row, record in self._rows(writers):
                    waiting.append(record)
                    if not row % 4096:
                        out.write("".join(waiting).encode())
                        waiting.clear()
                out.write("".join(waiting).encode())
            for writer in writers.values():
                writer.close()
        except OSError as error:
            raise StorageError.of(error, records) from error
        finally:
            for writer in writers.values():
                writer.abandon()
        for plan in self._plans.values():
            self.proof.add(plan.decision, plan.changed, plan.uses)

    def check(self) -> list[Problem]:
        """Return what is wrong with the weights of each row, whatever part it will stand in; nothing is written."""
        end = 0
        for row, ((line, metadata), size) in enumerate(zip(self._lines(), self.canonical.index.size, strict=True)):
            first, end = end, end + size
            plan = self._plan(first, end, line, metadata)
            if plan.wrong is not None:
                self._problem(row, *plan.wrong)
        return self.issues.shown

    def _rows(self, writers: Mapping[int, PartWriter]) -> Iterator[tuple[int, str]]:
        """Write every row to its part; yield its number and its line of `rows.jsonl`."""
        index, counts = self.canonical.index, self.counts
        keys, prompts = index.row_key.hex(), index.prompt_key.hex()
        sources = [encode(path).decode() for path in self.paths]
        limit = self.limits.max_row_tokens
        keeps_empty = self.weights.on_empty == "keep"
        marked = frozenset(index.marked)
        end = 0
        columns = zip(self._lines(), self.parts, index.size, index.line, index.source, self.extra, strict=True)
        for row, ((line, metadata), part, size, number, source, extra) in enumerate(columns):
            first, end = end, end + size
            if part == DROPPED:
                continue
            writer = writers[part]
            plan = self._plan(first, end, line, metadata)
            if plan.wrong is not None:
                self._problem(row, *plan.wrong)
                continue
            if not plan.learned and part != TEST and not keeps_empty:
                self._empty(row, plan.decision)
                continue
            if row in marked and part != TEST and (token := self._special(line)):
                self._problem(row, "special_token", *token)
                continue
            mine = counts[first:end]
            tokens, learned = sum(mine) + extra, sum(compress(mine, plan.bits))
            if part == TEST:
                writer.write(self._item(row, line, self._letters[first:end].decode(), metadata) + b"\n")
            else:
                plan.uses += 1
                if plan.changed:
                    self.proof.add_tokens(plan.changed, mine)
                writer.write(_patched(line, index.width[first:end], plan.patch) if plan.patch else line)
            writer.tokens += tokens
            writer.learned_tokens += learned
            writer.messages += size
            writer.learned_messages += plan.learned
            if limit is not None and tokens > limit:
                self._too_long(row, tokens, limit)
            key = 2 * KEY * row
            yield (
                row,
                f'{{{plan.by}"i":{writer.rows - 1},"learned":{learned},"line":{number},'
                f'"n_messages":{size},"part":"{writer.role}",'
                f'"prompt":"{prompts[key : key + 16]}","row":"{keys[key : key + 16]}",'
                f'"source":{sources[source]},"tokens":{tokens},"weights":"{plan.decision.mask}"}}\n',
            )

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        canonical = self.canonical
        with canonical.lines.open("rb", _BUFFER) as lines:
            if canonical.metadata is None:
                yield from zip(lines, repeat({}))
                return
            with canonical.metadata.open("rb", _BUFFER) as extra:
                for line, more in zip(lines, extra, strict=True):
                    yield line, msgspec.json.decode(more)

    def _plan(self, first: int, end: int, line: bytes, metadata: dict[str, Any]) -> Plan:
        key = self._letters[first:end], self._given[first:end]
        if self.rules and self.canonical.row_format == "chat":
            messages = _decode_chat(line).messages
            plan = self._make_plan(*key, messages, metadata)
            if plan.wrong is None:
                known = self._plans.setdefault((key[0], repr(plan.decision).encode()), plan)
                plan = known
            return plan
        known_plan = self._plans.get(key)
        if known_plan is None:
            known_plan = self._plans[key] = self._make_plan(*key, None, metadata)
        return known_plan

    def _make_plan(self, role_letters: bytes, weights_given: bytes, messages: Any, metadata: dict[str, Any]) -> Plan:
        letters, given, weights = role_letters.decode(), weights_given.decode(), self.weights
        if self.canonical.row_format == "preference":
            decision = Decision("0" * (len(letters) - 2) + "11")  # both answers carry loss, nothing else does
        elif messages is not None:
            decision = decide(weights, self.rules, messages, letters, given, metadata)
        else:
            decision = decide_simply(weights, letters, given)
        mask = decision.mask
        usual = mask if self.canonical.row_format == "preference" else default_mask(letters)
        different = [n for n, (bit, before) in enumerate(zip(mask, usual, strict=True)) if bit != before]
        return Plan(
            decision,
            changes(decision, usual),
            mask.count("1"),
            mask.encode().translate(_BITS),
            tuple((n, _WEIGHT[mask[n]]) for n in different),
            self._wrong(letters, given, decision),
        )

    def _wrong(self, letters: str, given: str, decision: Decision) -> tuple[str, str, str, str] | None:
        """Return code, message, path and fix for weights that cannot be trained on, or None."""
        weights, roles = self.weights, ", ".join(self.limits.roles)
        flagged = [n for n, flag in enumerate(given) if flag != "."]
        if weights.existing == "error" and flagged:
            fix = "remove it, or choose existing: respect or override"
            return "weight", "the data holds a weight", f"messages[{flagged[0]}].weight", fix
        if weights.existing == "respect" and weights.field == "weight":
            for n in flagged:
                if letters[n] not in self._legal:
                    fix = f"remove it: a weight belongs to {roles} messages"
                    return "weight", f"weight on a {ROLE[letters[n]]} message", f"messages[{n}].weight", fix
        wrong = illegal(decision.mask, letters, self._legal)
        if wrong is not None:
            by = decision.by[wrong] if decision.by is not None else PRESET
            who = f"rule {self.rules[by].name!r}" if by >= 0 else f"train_on: {weights.train_on}"
            who = "the data" if by == FROM_DATA else who
            message = (
                f"{who} gives weight 1 to a {ROLE[letters[wrong]]} message, which {self.limits.name} cannot learn from"
            )
            return "weight", message, f"messages[{wrong}]", f"learned roles: {roles}"
        if self.canonical.row_format == "completion" and decision.mask != "01":
            return (
                "weight",
                "a completion row learns its completion and nothing else",
                "",
                "use chat rows for other masks",
            )
        return None

    def _special(self, line: bytes) -> tuple[str, str, str] | None:
        """Return message, path and fix for a text that holds a special token of the target, or None."""
        for token in self.limits.special_tokens:
            if token.encode() in line:
                message = f"the text holds {token}, which {self.limits.name} reads as the end of a message"
                return message, "messages", "remove it, or write it with a space inside"
        return None

    def _empty(self, row: int, decision: Decision) -> None:
        """Count or report a row without any learned message."""
        if self.weights.on_empty == "drop":
            self.dropped += 1
            self.proof.drop(decision)
        else:
            fix = "weights.on_empty: drop leaves such rows out"
            self._problem(row, "weight_all_zero", "no message of this row is learned", "messages", fix)

    def _too_long(self, row: int, tokens: int, limit: int) -> None:
        message = f"the row has {tokens:,} tokens, {self.limits.name} cuts rows at {limit:,}"
        self._problem(row, "tokens", message, "messages", "shorten or split the conversation")

    def _item(self, row: int, line: bytes, letters: str, metadata: dict[str, Any]) -> bytes:
        """Return one test item: what the model is asked, the reference answer, declared metadata."""
        key = self.canonical.index.key(row).hex()[:16]
        seen = self._ids[key] = self._ids.get(key, 0) + 1
        item: dict[str, Any] = {"id": key if seen == 1 else f"{key}.{seen}", "metadata": metadata}
        if self.canonical.row_format == "completion":
            pair = msgspec.json.decode(line)
            item |= {"messages": [{"content": pair["prompt"], "role": "user"}], "reference": pair["completion"]}
            return encode(item)
        if self.canonical.row_format == "preference":
            pair = msgspec.json.decode(line)
            asked = {key: value for key, value in pair["input"].items() if key != "parallel_tool_calls"}
            return encode(item | asked | {"reference": pair["preferred_output"][0]["content"]})
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


def _patched(line: bytes, widths: Any, patch: tuple[tuple[int, bytes], ...]) -> bytes:
    """Return a canonical line with weights put in: `weight` is a message's last key, so it goes before its brace."""
    pieces: list[bytes] = []
    done = 0
    ends = list(accumulate(widths))
    for n, weight in patch:
        end = CHAT_HEAD + n + ends[n]
        pieces += (line[done : end - 1], weight)
        done = end
    pieces.append(line[done:])
    return b"".join(pieces)


def part_writers(parts: bytes, paths: Mapping[str, Path]) -> dict[int, PartWriter]:
    """Return a writer for every part that has rows, train always."""
    return {code: PartWriter(name, paths[name]) for code, name in PART_NAME.items() if code in parts or name == "train"}
