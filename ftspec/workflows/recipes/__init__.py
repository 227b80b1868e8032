"""Recipes for CI: the files that `ftspec init --ci` writes, kept as they are, to be read and tested so.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax,
https://docs.github.com/en/actions/reference/security/secure-use, https://docs.gitlab.com/ci/yaml/.
"""

from pathlib import Path
from typing import Literal

Kind = Literal["github", "forks", "gitlab"]
KINDS: tuple[Kind, ...] = ("github", "forks", "gitlab")

_WORKFLOWS = ".github/workflows"
_FILES: dict[Kind, dict[str, str]] = {
    "github": {
        f"{_WORKFLOWS}/ftspec-plan.yml": "github/ftspec-plan.yml",
        f"{_WORKFLOWS}/ftspec-run.yml": "github/ftspec-run.yml",
    },
    "forks": {
        f"{_WORKFLOWS}/ftspec-plan.yml": "forks/ftspec-plan.yml",
        f"{_WORKFLOWS}/ftspec-comment.yml": "forks/ftspec-comment.yml",
        f"{_WORKFLOWS}/ftspec-run.yml": "github/ftspec-run.yml",
    },
    "gitlab": {".gitlab-ci.yml": "gitlab/gitlab-ci.yml"},
}


def recipe(kind: Kind) -> dict[str, bytes]:
    """Return the files of one recipe, by their place in the project."""
    folder = Path(__file__).parent
    return {place: (folder / name).read_bytes() for place, name in _FILES[kind].items()}
