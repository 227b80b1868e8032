"""The proof table: what each weight rule matched, decided and changed, from the masks really written."""

from collections.abc import Iterator

from ftspec.data.proof import Proof
from ftspec.report.style import columns, paint

HEAD = ("rule", "matched", "decided", "0->1", "1->0", "tokens", "rows", "")


def proof_rows(proof: Proof) -> Iterator[list[str]]:
    """Yield the cells of every line; a dead rule says so in the last one."""
    for line in proof.lines:
        numbers = (line.matched, line.decided, line.raised, line.lowered, line.tokens, line.rows)
        yield [line.name, *(f"{number:,}" for number in numbers), f"DEAD: {line.dead}" if line.dead else ""]


def proof_sum(proof: Proof) -> str:
    """Return the last line."""
    return (
        f"learned {proof.learned_messages:,} of {proof.messages:,} messages, {proof.learned_tokens:,} of "
        f"{proof.tokens:,} tokens; {proof.without_target:,} rows without a target"
    )


def proof_lines(proof: Proof, *, colour: bool) -> Iterator[str]:
    """Yield the table for a terminal. 0->1 and 1->0 are against what hosts learn by themselves."""
    rows = [[paint(cell, "dim", colour) for cell in HEAD]]
    for cells in proof_rows(proof):
        rows.append([*cells[:-1], paint(cells[-1], "yellow", colour)])
    yield from columns(rows, right=frozenset(range(1, 7)))
    yield proof_sum(proof)


def chosen(proof: Proof) -> bool:
    """Whether anything but the preset speaks: then the table says something."""
    return len(proof.lines) > 2 or any(line.decided for line in proof.lines[:1])
