"""docs/lint.md is written from the lints; every code can be explained."""

from pathlib import Path

import pytest

from ftspec.report.lint import explanation_lines, page
from ftspec.spec.errors import UsageError
from ftspec.spec.lint import LINTS
from ftspec.workflows.explain import codes, explain


def test_the_page_is_current(repository: Path) -> None:
    """Mend with `python -c "from ftspec.report.lint import page; print(page(), end='')" > docs/lint.md`."""
    assert (repository / "docs" / "lint.md").read_text("utf-8") == page()


def test_every_lint_is_explained() -> None:
    assert set(LINTS) <= set(codes())
    assert len(codes()) == len(set(codes()))
    for code in codes():
        found = explain(code)
        assert found.practice
        assert found.source
        assert code in "\n".join(explanation_lines(found, colour=False))


def test_a_typing_error_is_answered() -> None:
    with pytest.raises(UsageError) as caught:
        explain("deferal")
    assert caught.value.problems[0].fix == "did you mean deferral?"
