"""Stored answers to grades: pure, repeatable, no call to any model."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ftspec.evals.graders import grade as grade_one
from ftspec.evals.responses import Response, in_order, sample_of
from ftspec.evals.suites import ResolvedSuite
from ftspec.spec.errors import DataError


class GradeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One grader's judgement of one answer: a row of `grades.jsonl`, ordered by arm, item, sample and grader.

    `key` is the response's, `grader_digest` 12 hex of the grader's own definition. `score` is None beside an `error`.
    """

    id: str
    arm: str
    sample: int
    key: str
    grader: str
    grader_digest: str
    score: float | None
    passed: bool | None
    label: str | None
    parts: dict[str, Any]
    error: str | None


_rows = msgspec.json.Decoder(GradeRow)


def grader_digest(spec: Any) -> str:
    """Return 12 hex that name a grader's definition."""
    dumped = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return hashlib.sha256(msgspec.json.encode(dumped, order="sorted")).hexdigest()[:12]


def grade_responses(resolved: ResolvedSuite, responses: Iterable[Response]) -> list[GradeRow]:
    """Grade every answer with every grader; an answer that is an error gives rows with its error.

    Answers to items or of arms that the suite does not have are left out.
    """
    items = {item.id: item for item in resolved.items}
    tools = resolved.suite.request.params.tools
    graders = [(name, spec, grader_digest(spec)) for name, spec in resolved.suite.graders.items()]
    rows = []
    for response in in_order(responses, resolved.items, resolved.arms):
        item = items[response.id]
        scope = {
            "item": item.fields,
            "sample": sample_of(response, parse=resolved.suite.request.parse),
            "tools": tools if tools is not None else item.fields.get("tools"),
        }
        for name, spec, digest in graders:
            rows.append(_row(response, name, digest, spec, scope))
    return rows


def _row(response: Response, name: str, digest: str, spec: Any, scope: dict[str, Any]) -> GradeRow:
    place = {"id": response.id, "arm": response.arm, "sample": response.sample, "key": response.key}
    if response.error is not None:
        return GradeRow(
            **place,  # type: ignore[arg-type]
            grader=name,
            grader_digest=digest,
            score=None,
            passed=None,
            label=None,
            parts={},
            error=response.error,
        )
    found = grade_one(spec, scope)
    return GradeRow(
        **place,  # type: ignore[arg-type]
        grader=name,
        grader_digest=digest,
        score=found.score,
        passed=found.passed,
        label=found.label,
        parts=found.parts,
        error=found.error,
    )


def read_grades(path: Path) -> list[GradeRow]:
    """Read a `grades.jsonl`. Raises DataError for a line that is no row, FileNotFoundError where it is missing."""
    rows: list[GradeRow] = []
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                rows.append(_rows.decode(line))
            except msgspec.DecodeError as error:
                raise DataError("broken_file", f"not a grade: {error}", file=str(path), line=number) from error
    return rows


def rows_of(rows: Sequence[GradeRow], arm: str, grader: str) -> list[GradeRow]:
    """Return one arm's rows of one grader."""
    return [row for row in rows if row.arm == arm and row.grader == grader]
