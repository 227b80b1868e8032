"""What a shell may complete: experiments, runs, keys of overrides and their values. Never raises: someone is typing."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from ftspec.compose.project import Project
    from ftspec.compose.shape import Shape

_PREFIX = re.compile(r"^(\+\+|\+|~)")
_CHOICE = re.compile(r"`([^`]+)`")


def complete_experiments(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of experiments."""
    try:
        return _starting(_project().experiment_names(), incomplete)
    except Exception:
        return []


def complete_words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete `[EXPERIMENT] [OVERRIDES]`: names first, then `key=`, then the values of that key."""
    try:
        given = [str(word) for word in ctx.params.get(param.name or "") or ()]
        return list(_words(_project(), given, incomplete))
    except Exception:
        return []


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of runs, `experiment/label`, and of experiments."""
    return _runs(incomplete, lambda project: project.experiment_names())


def complete_sides(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a side of a comparison: an arm without training, the winner, a run."""
    return _runs(incomplete, lambda project: ["base", "few_shot", "majority", "*"])


def _runs(incomplete: str, more: "Callable[[Project], Sequence[str]]") -> list[CompletionItem]:
    try:
        from ftspec.runs.names import read_names

        project = _project()
        names = list(read_names(project.runs).words())
        labels = [name.partition("/")[2] for name in names] if incomplete else []
        return _starting(list(dict.fromkeys([*more(project), *names, *labels])), incomplete)
    except Exception:
        return []


def complete_labels(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the labels of the experiment that was named, as its last lock has them."""
    try:
        from ftspec.runs.names import read_names

        project = _project()
        known = project.experiment_names()
        named = [word for word in ctx.params.get("words") or () if word in known] or known
        names = read_names(project.runs)
        return _starting(list(dict.fromkeys(label for name in named for label in names.labels(name))), incomplete)
    except Exception:
        return []


def _project() -> "Project":
    from ftspec.compose.project import Project

    return Project.find(Path.cwd())


def _words(project: "Project", given: Sequence[str], incomplete: str) -> Iterator[CompletionItem]:
    # bash takes `=` for a word of its own, the other shells for a part of the word.
    if given and given[-1] == "=":
        yield from _starting(_values(project, given[-2]), incomplete)
        return
    if given and incomplete == "" and _key(given[-1]) in _keys():
        yield from _starting(_values(project, given[-1]), "")
        return
    if "=" in incomplete:
        key = incomplete.partition("=")[0]
        yield from _starting((f"{key}={value}" for value in _values(project, key)), incomplete)
        return
    prefix = _PREFIX.match(incomplete)
    if not prefix:
        yield from _starting(project.experiment_names(), incomplete)
    if given or incomplete:
        mark = prefix[1] if prefix else ""
        yield from _starting((f"{mark}{key}{'' if mark == '~' else '='}" for key in _keys()), incomplete)


def _starting(words: "Iterator[str] | Sequence[str]", incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _key(word: str) -> str:
    return _PREFIX.sub("", word)


def _keys() -> dict[str, "Shape"]:
    """Return the dotted keys that take a value or name a group, with what they take."""
    from ftspec.compose.shape import ROOT

    return dict(_leaves(ROOT, ()))


def _leaves(shape: "Shape", at: tuple[str, ...]) -> Iterator[tuple[str, "Shape"]]:
    from ftspec.compose.shape import keys_of
    from ftspec.spec.experiment import GROUPS

    for model in shape.models:
        for key in keys_of(model).values():
            path, takes = (*at, key.name), key.shape
            if not takes.models or takes.text or takes.number or takes.truth or ".".join(path) in GROUPS:
                yield ".".join(path), takes
            yield from _leaves(takes, path)


def _values(project: "Project", word: str) -> list[str]:
    """Return the options of a group, or the words that a key takes."""
    from ftspec.compose.project import builtin_conf

    key = _key(word)
    shape = _keys().get(key)
    folders = [folder / key for folder in (project.conf, builtin_conf()) if "." not in key]
    options = sorted({path.stem for folder in folders if folder.is_dir() for path in folder.glob("*.yaml")})
    words = _CHOICE.findall(shape.words) if shape and not options else []
    return options + words + (["true", "false"] if shape and shape.truth else [])
