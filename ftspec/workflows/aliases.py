"""Loss options written under other tools' names: told with their place, and rewritten by `validate --fix`.

A rewrite is an edit of one key that leaves every other byte as it is, and is kept only if the experiment then composes
to exactly what it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ftspec.compose import Composed, Project, load
from ftspec.spec.aliases import ALIASES, STRATEGIES, weights_aliases
from ftspec.spec.errors import FtspecError, Problem
from ftspec.storage import write_atomic

_GROUP = "conf/weights/"


@dataclass(frozen=True)
class Alias:
    """One key of a `weights` block in another tool's words: where it stands, what it stands for, what the hint says."""

    file: str
    line: int
    column: int
    start: int
    end: int
    flow: bool
    key: str
    own: dict[str, Any]
    hint: str
    beside: bool  # a key it stands for is written too

    def problem(self) -> Problem:
        """Return the lint."""
        fix = "keep one of the two" if self.beside else "`ftspec validate --fix` rewrites it"
        path = f"weights.{self.key}"
        return Problem("alias", self.hint, path, self.file, self.line, self.column, fix=fix, severity="hint")

    def written(self) -> str:
        """Return the same in our own names."""
        entries = [f"{key}: {_flow(value)}" for key, value in self.own.items()]
        return (", " if self.flow else "\n" + " " * (self.column - 1)).join(entries)


def aliases_of(project: Project, composed: Composed) -> list[Alias]:
    """Return the aliases in every file of the project that an experiment is composed from."""
    found: list[Alias] = []
    for file in composed.files:
        path = project.root / file.path
        if file.path.endswith(".yaml") and path.is_file():
            found += _in_file(path.read_text("utf-8"), file.path)
    return found


def _in_file(text: str, file: str) -> Iterator[Alias]:
    if not any(name in text for name in (*ALIASES, *STRATEGIES)):
        return
    root = yaml.compose(text, yaml.SafeLoader)
    block = root if _GROUP in file else _entry(root, "weights")
    if not isinstance(block, yaml.MappingNode):
        return
    keys = [key.value for key, _ in block.value]
    for key, value in block.value:
        plain = yaml.safe_load(yaml.serialize(value))
        if key.value not in ALIASES and not (key.value == "train_on" and plain in STRATEGIES):
            continue
        try:
            own, hints = weights_aliases({key.value: plain})
        except ValueError:
            continue  # an error of the schema, told with its place
        yield Alias(
            file=file,
            line=key.start_mark.line + 1,
            column=key.start_mark.column + 1,
            start=key.start_mark.index,
            end=_end(value).index,
            flow=bool(block.flow_style),
            key=key.value,
            own=own,
            hint=hints[0],
            beside=any(name in keys and name != key.value for name in own),
        )


def _entry(node: yaml.Node | None, name: str) -> yaml.Node | None:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if key.value == name:
            return value  # type: ignore[no-any-return]
    return None


def _end(node: yaml.Node) -> yaml.Mark:
    """Where a node's last character stands: a block's own end mark lies at the next token."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        return node.end_mark
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _flow(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def rewrite(project: Project, name: str, overrides: Sequence[str] = ()) -> list[Alias]:
    """Rewrite every alias of an experiment's files that can be; return those that were.

    A file is left as it is where the experiment would compose to something else.
    """
    composed = load(project, name, overrides)
    meant = [point.config for point in composed.points]
    done: list[Alias] = []
    by_file: dict[str, list[Alias]] = {}
    for alias in aliases_of(project, composed):
        if not alias.beside:
            by_file.setdefault(alias.file, []).append(alias)
    for file, aliases in by_file.items():
        path = project.root / file
        before = path.read_bytes()
        text = before.decode("utf-8")
        for alias in sorted(aliases, key=lambda one: -one.start):
            text = text[: alias.start] + alias.written() + text[alias.end :]
        write_atomic(path, text)
        if _means(project, name, overrides, meant):
            done += aliases
        else:
            write_atomic(path, before)
    return done


def _means(project: Project, name: str, overrides: Sequence[str], wanted: list[Any]) -> bool:
    try:
        return [point.config for point in load(project, name, overrides).points] == wanted
    except FtspecError:
        return False
