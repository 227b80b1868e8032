"""What all verbs share on the command line: the experiment, Hydra overrides, `--json`, and where they are looked up."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ftspec.spec.errors import UsageError

if TYPE_CHECKING:
    from ftspec.compose import Project

F = TypeVar("F", bound=Callable[..., Any])
_OVERRIDE = re.compile(r"^[~+]|=")


@dataclass(frozen=True)
class Target:
    """One experiment of one project, with the overrides of this command line."""

    project: "Project"
    name: str
    overrides: tuple[str, ...]


def complete_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete experiment names; never raises, since it runs while someone types."""
    try:
        from ftspec.compose.project import Project

        names = Project.find(Path.cwd()).experiment_names()
    except Exception:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def experiment_argument(command: F) -> F:
    """Add `[EXPERIMENT] [OVERRIDES]...`; an override holds `=` or starts with `~` or `+`."""
    return click.argument(
        "words", nargs=-1, metavar="[EXPERIMENT] [OVERRIDES]...", shell_complete=complete_words, type=click.UNPROCESSED
    )(command)


def json_option(command: F) -> F:
    """Add `--json`: the same content in a stable, documented shape."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON in a stable shape.")(command)


def current_project() -> "Project":
    """Return the project of the current folder. Raises UsageError where there is none."""
    from ftspec.compose.project import Project

    return Project.find(Path.cwd())


def parse_target(words: Sequence[str]) -> Target:
    """Read `[EXPERIMENT] [OVERRIDES]`. Without a name the project's only experiment is meant."""
    project = current_project()
    names = [word for word in words if not _OVERRIDE.search(word)]
    overrides = tuple(word for word in words if _OVERRIDE.search(word))
    if len(names) > 1:
        raise UsageError(
            "two_experiments",
            f"one experiment at a time, not {' and '.join(names)}",
            fix="overrides are written key=value",
        )
    if names:
        return Target(project, project.name_of(names[0]), overrides)
    known = project.experiment_names()
    if len(known) == 1:
        return Target(project, known[0], overrides)
    if not known:
        raise UsageError(
            "no_experiment", f"{project.experiments} holds no experiment", fix="start one with `ftspec init`"
        )
    raise UsageError("which_experiment", "say which experiment", fix="one of: " + ", ".join(known))


def echo_json(value: Any) -> None:
    """Write a value as indented JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
