"""What `new` wrote and chose, as lines and as JSON."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ftspec.report.style import columns, paint
from ftspec.spec.errors import Problem
from ftspec.workflows.new import Created

SCHEMA = 1
MAX_SHOWN = 10


def created_lines(created: Created, *, colour: bool) -> Iterator[str]:
    """Yield the files, the choices, what has no equal, the parts of the data, and what to do next."""

    def row(name: str, text: str) -> str:
        return f"{paint(name, 'dim', colour)}{' ' * (8 - len(name))}{text}"

    for path in created.files:
        yield row("wrote", path)
    for note in created.notes:
        yield row("note", note)
    if created.unequal:
        yield row("unequal", f"{len(created.unequal)} of the source's keys have no equal:")
        yield from columns([[f"        {one.key}", one.value.replace("\n", " "), one.why] for one in created.unequal])
    if created.plan is not None:
        parts = created.plan.runs[0].prepared.parts
        names = {"train": "train", "valid": "validation", "test": "test"}
        shown = ", ".join(f"{parts[role].rows:,} {name}" for role, name in names.items() if role in parts)
        yield row("rows", f"{sum(part.rows for part in parts.values()):,}: {shown}")
    found = Counter(problem.severity for problem in created.problems)
    hints = found["hint"] + found["info"]
    counts = [(found["error"], "error"), (found["warning"], "warning"), (hints, "hint")]
    yield row("lint", ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts))
    verb = "plan" if created.plan is not None else "validate"
    yield row("next", f"ftspec {verb} {created.name}")


def shown_problems(created: Created) -> Iterator[Problem]:
    """Yield the first problems, and one that counts the others; `validate` lists all."""
    yield from created.problems[:MAX_SHOWN]
    more = len(created.problems) - MAX_SHOWN
    if more > 0:
        yield Problem("more", f"and {more} more", fix=f"`ftspec validate {created.name}` lists all of them")


def created_json(created: Created) -> dict[str, Any]:
    """Return the stable shape of `new --json`."""
    parts = created.plan.runs[0].prepared.parts if created.plan is not None else {}
    return {
        "schema": SCHEMA,
        "experiment": created.name,
        "files": list(created.files),
        "notes": list(created.notes),
        "unequal": [asdict(one) for one in created.unequal],
        "rows": {role: part.rows for role, part in parts.items()},
        "valid": created.plan is not None,
        "problems": [problem.to_json() for problem in created.problems],
    }
