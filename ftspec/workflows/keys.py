"""Keys written into configuration: refused before anything is kept, since a run keeps what it was composed from."""

from collections.abc import Iterator

from ftspec.compose import Composed, Project, Remains
from ftspec.spec.errors import COMMAND_LINE, Problem
from ftspec.spec.secrets import secrets

BUILT_IN = "conf:"


def written_keys(project: Project, composed: Composed | Remains) -> Iterator[Problem]:
    """Yield a problem for everything in the project's own files, and on the command line, that looks like a key."""
    for override in composed.overrides:
        if any(True for _ in secrets(override)):
            yield _problem(override.partition("=")[0]).at(COMMAND_LINE)
    for file in composed.files:
        if file.path.startswith(BUILT_IN):
            continue
        text = (project.root / file.path).read_text("utf-8", "replace")
        for found in secrets(text):
            before = text[: text.index(found)]
            yield _problem("").at(file.path, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _problem(path: str) -> Problem:
    fix = "change that key: it may have been seen; a provider's key stands in the environment, {env: NAME} names it"
    return Problem("key_in_config", "this looks like a key, and every run would keep it", path, fix=fix)
