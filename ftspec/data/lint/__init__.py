"""Lint of prepared data: advice about rows and data sets, each with a code, its practice, its formula and its rates.

The rendered parts are read once for all lints together, and only once for the same content; what is known already
costs no import of them.
"""

from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ftspec.data.cache import Cache, content_id
from ftspec.data.parts import Prepared
from ftspec.data.rules import RowRules
from ftspec.spec.dataset import Weights
from ftspec.spec.errors import Problem

__all__ = ["lint_rows"]

VERSION = 2  # raise it when the same rows give other findings; cached results of older versions are then ignored


def lint_rows(
    prepared: Prepared, weights: Weights, limits: RowRules, *, root: Path, asked: Collection[str], cache: Path | None
) -> tuple[Problem, ...]:
    """Return the findings of all lints that are on, at their own levels.

    `asked` are codes that the experiment gives a level, so that lints that are off by default run too; `root` is what
    source paths are relative to. Lints that do not go by masks are not run again for another weight policy.
    """
    policy = weights.model_dump(mode="json")
    found: list[Problem] = []
    for masked in (False, True):
        parts = [VERSION, prepared.content, sorted(asked), masked, policy if masked or prepared.dropped else None]
        name, kept = content_id("lint", parts), Cache(cache)
        known = recalled(kept, name)
        if known is None:
            from ftspec.data.lint.definition import Subject
            from ftspec.data.lint.running import active, run

            chosen = [one for one in active(asked) if one.masked == masked]
            known = run(Subject(prepared, weights, limits, root), chosen)
            kept.remember("lint", name, [asdict(problem) for problem in known])
        found += known
    return tuple(found)


def recalled(cache: Cache, name: str) -> tuple[Problem, ...] | None:
    """Return findings kept before, or None."""
    known: Any = cache.recall("lint", name)
    try:
        return None if known is None else tuple(Problem(**facts) for facts in known)
    except TypeError:
        return None
