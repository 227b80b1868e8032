"""All chosen lints over the rows, in one pass."""

from collections.abc import Collection

from ftspec.data.lint.catalogue import CATALOGUE
from ftspec.data.lint.definition import Check, Lint, Subject
from ftspec.data.lint.reading import rows, share
from ftspec.spec.errors import Problem


def active(asked: Collection[str] = ()) -> list[Lint]:
    """Return the lints that look at rows: those that are on by default, and those an experiment asks for."""
    return [one for one in CATALOGUE.values() if one.check and (one.level != "ignore" or one.code in asked)]


def run(subject: Subject, chosen: Collection[Lint]) -> tuple[Problem, ...]:
    """Look at the rows of train and validation once with all chosen lints."""
    checks: list[tuple[Lint, Check]] = [(one, one.check(one, subject)) for one in chosen if one.check]
    every = [check for one, check in checks if one.every]
    others = [check for one, check in checks if not one.every]
    threshold = round(share(subject.prepared) * 2**32)
    for row in rows(subject.prepared):
        for check in every:
            check.see(row)
        if row.in_sample(threshold):
            for check in others:
                check.see(row)
    return tuple(problem for _, check in checks for problem in check.problems())
