"""What is well formed of an experiment that does not compose: its other parts can be looked at all the same."""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from ftspec.compose import wording
from ftspec.compose.composed import ConfigFile, Point
from ftspec.compose.findings import Findings, kind_of_codes
from ftspec.compose.numbers import inexact
from ftspec.compose.overrides import under
from ftspec.compose.prepare import Texts, plain, prepare
from ftspec.compose.project import Project
from ftspec.compose.shape import ROOT
from ftspec.compose.sites import Table, nearest
from ftspec.compose.sweeping import Planned
from ftspec.spec.errors import COMMAND_LINE, FtspecError, Problem
from ftspec.spec.experiment import Experiment

Path = tuple[str | int, ...]
_MOST_PARTS = 200
_ROUNDS = 10
_EXAMINED = ("provider", "model", "method", "dataset", "weights", "hyperparameters", "evals", "baselines", "keep_until")
# Keys without a default; what stands in for one is marked as broken, and never looked at.
_STAND_INS: dict[str, Any] = {"model": "tiny", "dataset": {"sources": [{"path": "-"}]}}


@dataclass(frozen=True)
class Part:
    """A run, or the base point, without what is wrong in it.

    `broken` are the paths that were taken out or are doubtful, every key as a text; `sources` are the numbers, as
    written, of the sources that are left, none where there are none.
    """

    point: Point
    broken: frozenset[tuple[str, ...]]
    sources: tuple[int, ...]

    def touched(self, *paths: str) -> bool:
        """Tell whether one of these dotted paths is broken, stands in something broken or holds something broken."""
        asked = [tuple(path.split(".")) for path in paths]
        return any(one[: len(path)] == path[: len(one)] for one in self.broken for path in asked)


@dataclass(frozen=True)
class Remains:
    """An experiment that does not compose: `problems` say why, `parts` are what can be looked at beside."""

    project: Project
    name: str
    overrides: tuple[str, ...]
    parts: tuple[Part, ...]
    problems: tuple[Problem, ...]
    files: tuple[ConfigFile, ...]
    sites: Table
    given: tuple[str, ...]
    axes: Mapping[str, Path]

    @property
    def kind(self) -> type[FtspecError]:
        """The kind of its problems together."""
        return kind_of_codes(self.problems)

    def place(self, problem: Problem, part: Part) -> Problem:
        """Return a problem of a part at the file, line and column of its value."""
        if problem.file or not problem.path:
            return problem
        keys: list[str | int] = [int(key) if key.isdigit() else key for key in wording.keys(problem.path)]
        if keys[:2] == ["dataset", "sources"] and len(keys) > 2 and isinstance(keys[2], int):
            keys[2] = part.sources[keys[2]]
            problem = replace(problem, path=f"dataset.sources[{keys[2]}]{'.'.join(['', *map(str, keys[3:])])}")
        dotted = ".".join(map(str, keys))
        if any(under(dotted, key) for key in self.given):
            return problem.at(COMMAND_LINE)
        at = next((at for key, at in self.axes.items() if under(dotted, key) and at), tuple(keys))
        found = nearest(self.sites, at)
        return problem if found is None else problem.at(found.file, found.line, found.column)


def salvage(
    composed: Iterable[tuple[str, Planned, Mapping[str, Any]]], texts: Texts, findings: Findings
) -> tuple[Part, ...]:
    """Return what is well formed of composed configurations, each with its run's name.

    Those that differ in nothing that is looked at count once, and 200 are enough.
    """
    seen: set[str] = set()
    parts = []
    for name, planned, config in composed:
        text = repr([config.get(key) for key in _EXAMINED])
        if text in seen or len(seen) >= _MOST_PARTS:
            continue
        seen.add(text)
        prepared = prepare(config, texts, _unheard, ROOT)
        if (part := _part(name, planned, prepared, findings.broken(name))) is not None:
            parts.append(part)
    return tuple(parts)


def _unheard(path: Path, problem: Problem) -> None:
    """Say nothing: it was said when the configuration was checked."""


def _part(name: str, planned: Planned, prepared: Mapping[str, Any], broken: Iterable[Path]) -> Part | None:
    """Return a configuration without what is wrong, as an experiment; `broken` are paths known to be.

    What the schema refuses is taken out at its place, then the mapping around it where that still is refused.
    """
    config = copy.deepcopy(dict(prepared))
    out = {tuple(map(str, path)) for path in broken}
    sources = _numbers(config)
    for at in [*_unresolved(config, ()), *reversed([path for path, _ in inexact(config)])]:
        out.add(tuple(map(str, at)))
        _take_out(config, at, sources)
    for _ in range(_ROUNDS):
        try:
            experiment = Experiment.model_validate(config)
        except ValidationError as error:
            wrong = set()
            for path, problem in wording.of_validation(error, config):
                at = path[:-1] if problem.code == "missing_key" and len(path) > 1 else path
                out |= {tuple(map(str, one)) for one in (path, at)}
                wrong.add(at)
            # From the end of each list, so that what stands before keeps its number.
            for at in sorted(wrong, key=lambda one: [str(key).zfill(9) for key in one], reverse=True):
                _take_out(config, at, sources)
            continue
        point = Point(name, planned.coordinates, planned.overrides, plain(experiment), {}, experiment)
        return Part(point, frozenset(out), tuple(sources))
    return None


def _numbers(config: Mapping[str, Any]) -> list[int]:
    dataset = config.get("dataset")
    sources = dataset.get("sources") if isinstance(dataset, dict) else None
    return list(range(len(sources))) if isinstance(sources, list) else []


def _unresolved(value: Any, at: Path) -> Iterator[Path]:
    """Yield the paths of texts that hold a reference or must be given, last items of lists first."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _unresolved(item, (*at, key))
    elif isinstance(value, list):
        for number in reversed(range(len(value))):
            yield from _unresolved(value[number], (*at, number))
    elif isinstance(value, str) and ("${" in value or value == "???"):
        yield at


def _take_out(config: dict[str, Any], at: Path, sources: list[int]) -> None:
    """Take a value out of its mapping or list; of a data set that is refused as a whole only the sources are left."""
    if len(at) == 1 and at[0] in _STAND_INS:
        kept = _sources_of(config.get("dataset")) if at[0] == "dataset" else None
        if at[0] == "dataset" and kept is None:
            sources.clear()
        config[str(at[0])] = kept or copy.deepcopy(_STAND_INS[str(at[0])])
        return
    node: Any = config
    for part in at[:-1]:
        node = _below(node, part)
    last = at[-1] if at else ""
    if isinstance(node, dict):
        node.pop(last, None)
    elif isinstance(node, list) and isinstance(last, int) and last < len(node):
        del node[last]
        if at[:-1] == ("dataset", "sources"):
            del sources[last]


def _sources_of(dataset: Any) -> dict[str, Any] | None:
    """Return a data set of nothing but its sources, None where it is that already."""
    if isinstance(dataset, dict) and isinstance(dataset.get("sources"), list) and len(dataset) > 1:
        return {"sources": dataset["sources"]}
    return None


def _below(node: Any, part: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    if isinstance(node, Sequence) and isinstance(part, int) and not isinstance(node, str) and part < len(node):
        return node[part]
    return None
