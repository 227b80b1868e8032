"""What all verbs share on the command line: the experiment, Hydra overrides, `--json`, and where they are looked up."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ftspec.cli.completing import complete_words
from ftspec.spec.errors import FtspecError, Problem, UsageError, in_order, kind_of, shortened

if TYPE_CHECKING:
    from ftspec.compose import Project

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
_HIDDEN = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_OVERRIDE = re.compile(r"^[~+]|=")


@dataclass(frozen=True)
class Target:
    """One experiment of one project, with the overrides of this command line."""

    project: "Project"
    name: str
    overrides: tuple[str, ...]


def _words(metavar: str) -> Callable[[F], F]:
    return click.argument("words", nargs=-1, metavar=metavar, shell_complete=complete_words, type=click.UNPROCESSED)


def experiment_argument(command: F) -> F:
    """Add `[EXPERIMENT] [OVERRIDES]...`; an override holds `=` or starts with `~` or `+`."""
    return _words("[EXPERIMENT] [OVERRIDES]...")(command)


def experiments_argument(command: F) -> F:
    """Add `[EXPERIMENT]... [OVERRIDES]...` for verbs that take several experiments."""
    return _words("[EXPERIMENT]... [OVERRIDES]...")(command)


def json_option(command: F) -> F:
    """Add `--json`: the same content in a stable, documented shape."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON in a stable shape.")(command)


def current_project() -> "Project":
    """Return the project of the current folder. Raises UsageError where there is none."""
    from ftspec.compose.project import Project

    return Project.find(Path.cwd())


def parse_targets(words: Sequence[str], *, unnamed_all: bool = False) -> tuple[Target, ...]:
    """Read `[EXPERIMENT]... [OVERRIDES]`: names apart or joined by commas, each with all the overrides.

    Without a name the project's only experiment is meant; with `unnamed_all` every one.
    """
    project = current_project()
    names = [name for word in words if not _OVERRIDE.search(word) for name in word.split(",") if name]
    overrides = tuple(word for word in words if _OVERRIDE.search(word))
    known = project.experiment_names()
    if not names and not known:
        raise UsageError(
            "no_experiment", f"{project.experiments} holds no experiment", fix="start one with `ftspec init`"
        )
    if not names and len(known) > 1 and not unnamed_all:
        raise UsageError("which_experiment", "say which experiment", fix="one of: " + ", ".join(known))
    found: dict[str, None] = {}
    unknown: dict[Problem, None] = {}
    for name in names or known:
        try:
            found[project.name_of(name)] = None
        except UsageError as error:
            unknown |= dict.fromkeys(error.problems)
    if unknown:
        raise UsageError.many(unknown)
    return tuple(Target(project, name, overrides) for name in found)


def parse_target(words: Sequence[str]) -> Target:
    """Read `[EXPERIMENT] [OVERRIDES]` for verbs that look at one experiment."""
    targets = parse_targets(words)
    if len(targets) > 1:
        raise UsageError(
            "two_experiments",
            f"one experiment at a time, not {' and '.join(target.name for target in targets)}",
            fix="overrides are written key=value",
        )
    return targets[0]


def of_each(targets: Sequence[Target], do: Callable[[Target], T]) -> list[T]:
    """Do something for each experiment and return what it gave; problems of all of them are raised together."""
    done, error = gathered(targets, do)
    if error is not None:
        raise error
    return done


def gathered(targets: Sequence[Target], do: Callable[[Target], T]) -> tuple[list[T], FtspecError | None]:
    """Do something for each experiment: return what it gave where it went well, and one error for all the others.

    A problem of the command line that only some of the experiments have says which.
    """
    done: list[T] = []
    failed: list[tuple[str, FtspecError]] = []
    for target in targets:
        try:
            done.append(do(target))
        except FtspecError as error:
            failed.append((target.name, error))
    if len(failed) == len(targets) == 1:
        return [], failed[0][1]
    if not failed:
        return done, None
    having: dict[Problem, list[str]] = {}
    for name, found in failed:
        for problem in found.problems:
            having.setdefault(problem, []).append(name)
    told = [_in_some(problem, names, len(targets)) for problem, names in having.items()]
    return done, kind_of([type(found) for _, found in failed]).many(shortened(in_order(told)))


def _in_some(problem: Problem, names: Sequence[str], targets: int) -> Problem:
    if len(names) == targets or problem.file.startswith("experiments/"):
        return problem
    return replace(problem, message=f"{problem.message} (in {', '.join(names)})")


def echo_json(value: Any) -> None:
    """Write a value as indented JSON; what could drive a terminal or turn a line around is escaped, as JSON may."""
    import json

    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(_HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text))
