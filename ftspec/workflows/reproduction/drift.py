"""Drift: a host that answers under one name with other system fingerprints than before.

A host's seed and fingerprint promise "mostly" deterministic answers only (OpenAI cookbook, reproducible outputs), so
another fingerprint is told, and is no failure.
"""

from collections.abc import Iterable
from pathlib import Path

from ftspec.evals.responses import Response, read_responses
from ftspec.workflows.reproduction.case import Case


def note_drift(case: Case) -> None:
    """Note on a case that was scored again which suites were answered under other fingerprints."""
    for suite, before, after in case.scored():
        if before is not None:
            case.notes += drift(suite.name, before, after)


def drift(name: str, before: Path, after: Path) -> list[str]:
    """Return a sentence where answers in a folder of scores carry other fingerprints than those in another."""
    old = _fingerprints(read_responses(before / "responses.jsonl"))
    new = _fingerprints(read_responses(after / "responses.jsonl"))
    if not old or not new or old == new:
        return []
    return [f"drift in {name}: fingerprints {', '.join(sorted(old))} then, {', '.join(sorted(new))} now"]


def _fingerprints(responses: Iterable[Response]) -> set[str]:
    return {response.fingerprint for response in responses if response.fingerprint}
