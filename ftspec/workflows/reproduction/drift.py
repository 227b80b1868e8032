"""Drift: a host that answers under one name with other system fingerprints than before.

A host's seed and fingerprint promise "mostly" deterministic answers only (OpenAI cookbook, reproducible outputs), so
another fingerprint is told, and is no failure.
"""

from collections.abc import Collection, Iterable
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
    return drifted(name, fingerprints(before), fingerprints(after))


def drifted(name: str, old: Collection[str], new: Collection[str]) -> list[str]:
    """Return a sentence where two sets of fingerprints are not the same; none where a host gives no fingerprints."""
    if not old or not new or set(old) == set(new):
        return []
    return [f"drift in {name}: fingerprints {', '.join(sorted(old))} then, {', '.join(sorted(new))} now"]


def fingerprints(folder: Path, arms: Iterable[str] = ()) -> set[str]:
    """Return the fingerprints of the answers in a folder of scores, of some arms only where they are named."""
    chosen = set(arms)
    found: Iterable[Response] = read_responses(folder / "responses.jsonl")
    return {r.fingerprint for r in found if r.fingerprint and (not chosen or r.arm in chosen)}
