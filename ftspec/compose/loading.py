"""Load an experiment: compose, expand, check; all problems at once, each with its place."""

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from ftspec.compose import given as command_line
from ftspec.compose import wording
from ftspec.compose.axes import AxisError
from ftspec.compose.basis import Basis
from ftspec.compose.composed import Composed, Point
from ftspec.compose.effects import idle_choices, repeated_runs, shadowed, swept_over, without_effect
from ftspec.compose.expand import Expander, Run, UnresolvableError
from ftspec.compose.findings import BASE, Findings, Scope, raise_all
from ftspec.compose.given import Given
from ftspec.compose.labels import label, names
from ftspec.compose.layout import check_layout
from ftspec.compose.numbers import inexact
from ftspec.compose.practice import advice, contradictions, demanded
from ftspec.compose.prepare import Texts, plain, prepare
from ftspec.compose.project import Project
from ftspec.compose.remains import Remains, salvage
from ftspec.compose.session import Session, opened, scan_problems
from ftspec.compose.shape import ROOT, keys_of, shape_of
from ftspec.compose.sites import COMMAND_LINE, merged_files
from ftspec.compose.sources import Snapshot
from ftspec.compose.sweeping import Planned, Sweeping
from ftspec.spec.errors import Problem
from ftspec.spec.experiment import Experiment
from ftspec.spec.sweep import Sweep

Path = tuple[str | int, ...]


def load(project: Project, name: str, overrides: Sequence[str] = ()) -> Composed:
    """Compose an experiment of a project with Hydra overrides (commas, `choice()` and `range()` sweep).

    Reads files of the project and the built-in `conf/` only: no network, no environment, no user code.

    Raises SpecError with every problem found, UnsafeError if one of them is a refusal, UsageError for an unknown name.
    """
    found = attempt(project, name, overrides)
    if isinstance(found, Remains):
        raise_all(found.problems)
        raise AssertionError("an experiment that cannot be composed has a problem")
    return found


def attempt(project: Project, name: str, overrides: Sequence[str] = ()) -> Composed | Remains:
    """Do the same, and return what is well formed of an experiment that cannot be composed, with every problem found.

    Raises SpecError for names that mean two files, UsageError for an unknown name.
    """
    name = project.name_of(name)
    snapshot = Snapshot.of(project)
    with opened(snapshot, name, str(project.experiments.absolute())) as session:
        return Loading(project, session, tuple(overrides)).attempt()


@dataclass
class _Point:
    """A run while it is checked."""

    planned: Planned
    name: str = ""
    run: Run | None = None
    experiment: Experiment | None = None


class Loading:
    """One experiment on its way from files to points, inside an open session; see `load`."""

    def __init__(self, project: Project, session: Session, overrides: tuple[str, ...]) -> None:
        self.project, self.session, self.overrides = project, session, overrides
        self.expander = Expander(session)
        self.findings = Findings(session)
        self.texts = Texts(session.snapshot)

    @property
    def given(self) -> Sequence[Given]:
        """The overrides of the command line that could be read."""
        return self.findings.given

    def composed(self) -> Composed:
        """Return the experiment, or raise everything that is wrong with it."""
        found = self.attempt()
        if isinstance(found, Remains):
            raise_all(found.problems)
            raise AssertionError("an experiment that cannot be composed has a problem")
        return found

    def attempt(self) -> Composed | Remains:
        """Return the experiment, or what is well formed of it with everything that is wrong."""
        check_layout(self.session.snapshot, self.session.name)
        self.findings.given = command_line.read(self.session, self.overrides, self.findings.place)
        self.basis = Basis(self.session, self.expander, self.findings)
        files = self.basis.composed()
        if files is None:
            return self._remains([], None, None)
        raw, sweep = files
        base = self._base_run(raw)
        sweeping = Sweeping(self.session, raw, self.findings.add)
        checked = self._sweep(sweep)
        self.findings.columns = sweeping.columns
        points = self._points(sweeping, checked, base)
        for path, problem in demanded(self.session, self.given, sweeping.columns, self.findings.groups):
            self.findings.add(path, problem)
        experiment = self._base_experiment(base, sweep, points, sweeping)
        if not self.findings.any:
            self._check_effects(points, sweeping)
        if self.findings.any or scan_problems(self.session.snapshot):
            return self._remains(points, raw, base)
        assert experiment is not None
        return self._composed(experiment, points, sweeping)

    def _remains(self, points: Sequence[_Point], raw: Any, base: Run | None) -> Remains:
        """Gather what is well formed: of each run that composed, else of the base point as far as it resolves."""
        labelled = {point.name: point.planned.coordinates for point in points}
        problems = self.findings.problems(labelled, scanned=scan_problems(self.session.snapshot))
        composed = [(point.name, point.planned, point.run.config) for point in points if point.run is not None]
        if not composed and raw is not None:
            config = base.config if base is not None else raw
            composed = [("", Planned({}, ()), {key: value for key, value in config.items() if key != "sweep"})]
        return Remains(
            project=self.project,
            name=self.session.name,
            overrides=self.overrides,
            parts=salvage(composed, self.texts, self.findings),
            problems=tuple(problems),
            files=self.session.snapshot.files(),
            sites=self.findings.table(self.findings.groups) if raw is not None else {},
            given=tuple(one.key for one in self.given if one.values is None and not one.is_group),
            axes={key: column.at for key, column in self.findings.columns.items()},
        )

    def _base_run(self, raw: Any) -> Run | None:
        """Compose the base point. It may fail where axes fill what it lacks; without axes the failure is reported."""
        fixed = [one.text for one in self.basis.of_runs() if one.values is None]
        try:
            return self.expander.run(fixed)
        except UnresolvableError as error:
            for path, problem in error.problems:
                self.findings.add(path, problem, Scope(self.basis.groups, raw=None))
        except self.session.errors:
            return None  # the runs fail in the same way, unless an axis fills what is missing
        return None

    def _sweep(self, sweep: Any) -> Sweep | None:
        if sweep is None:
            return None
        shape = keys_of(Experiment)["sweep"].shape

        def report(path: Path, problem: Problem) -> None:
            self.findings.add(("sweep", *path), problem)

        prepared = prepare(sweep, self.texts, report, shape)
        try:
            return Sweep.model_validate(prepared)
        except ValidationError as error:
            for path, problem in wording.of_validation(error, prepared, shape_of(Sweep), ("sweep",)):
                self.findings.add(path, problem)
                _remove(prepared, path[1:])
        try:
            return Sweep.model_validate(prepared)  # what is left is read too, for its own mistakes
        except ValidationError:
            return None

    def _points(self, sweeping: Sweeping, sweep: Sweep | None, base: Run | None) -> list[_Point]:
        block = sweeping.block(sweep) if sweep is not None else None
        config = base.config if base is not None else sweeping.raw
        repeats, seed = _whole(config, "repeats", 1), _whole(config, "seed", 0)
        if repeats > 1 and block is not None and any(column.key == "seed" for column in block.columns()):
            problem = Problem("axis", "seed is swept and repeats counts seeds too", "repeats", fix="use one of them")
            self.findings.add(("repeats",), problem)
            repeats = 1
        try:
            limit = sweep.max_runs if sweep is not None else Sweep().max_runs
            planned = list(sweeping.expand(block, self.given, seed, max(1, min(repeats, 100)), limit))
        except AxisError as error:
            problem = Problem(error.code, error.message, error.given or "sweep", fix=error.fix)
            typed = error.given or block is None
            self.findings.add(("sweep",), problem.at(COMMAND_LINE) if typed else problem)
            return []
        if not planned and not self.findings.any:
            self.findings.add(("sweep",), Problem("no_runs", "no run is left: every point is excluded", "sweep"))
        labels = self._labels(planned)
        for name, count in Counter(labels).items():
            if count > 1 and not self.findings.any:  # axes that overlap make such runs too, and are told
                fix = "its values differ beyond what a label shows: change one of them a little"
                self.findings.add(("sweep",), Problem("axis", f"{count} runs would be called {name}", "sweep", fix=fix))
        points = [self._point(one, labels[number]) for number, one in enumerate(planned)]
        return _distinct(points) if block is not None and block.union else points

    def _labels(self, planned: Sequence[Planned]) -> list[str]:
        short = names(list(dict.fromkeys(key for one in planned for key in one.coordinates)))
        return [label(one.coordinates, short) for one in planned]

    def _point(self, planned: Planned, name: str) -> _Point:
        point = _Point(planned, name if planned.coordinates else "")
        scope = Scope(self._groups(planned), planned.coordinates, None, point.name)
        try:
            point.run = self.expander.run(planned.overrides)
        except UnresolvableError as error:
            for path, problem in error.problems:
                self.findings.add(path, problem, scope)
        except self.session.errors as error:
            problem = self.basis.problem(error)
            at = self._axis_of(f"{error} '{problem.path}'", planned)
            if at and problem.file != COMMAND_LINE:
                problem = replace(problem, file="", path=str(at[-1]))
                if isinstance(planned.coordinates.get(str(at[-1])), dict):
                    fix = f"keys and values are merged into the file's own: leave {at[-1]} out there, or zip its keys"
                    problem = replace(problem, fix=fix)
            self.findings.add(at, problem, scope)
        if point.run is not None:
            point.experiment = self._checked(point.run.config, replace(scope, raw=point.run.unresolved))
        return point

    def _axis_of(self, said: str, planned: Planned) -> Path:
        """Return the place of the axis that a failure of a run names, by its key or a part of it."""
        for key in planned.coordinates:
            column = self.findings.columns.get(key)
            if column is not None and column.at and any(f"'{part}'" in said for part in (key, *key.split("."))):
                return column.at
        return ()

    def _groups(self, planned: Planned) -> tuple[str, ...]:
        """Return the overrides of a run that choose groups."""
        return tuple(text for text in planned.overrides if not self.session.is_value(self.session.parse(text)))

    def _checked(self, config: Any, scope: Scope) -> Experiment | None:
        def report(path: Path, problem: Problem) -> None:
            self.findings.add(path, replace(problem, path=wording.dotted(path)), scope)

        prepared = prepare(config, self.texts, report, ROOT)
        experiment, refused = None, []
        try:
            experiment = Experiment.model_validate(prepared)
        except ValidationError as error:
            refused = list(wording.of_validation(error, prepared))
        told = {path for path, _ in refused}
        numbers = [(path, problem) for path, problem in inexact(prepared) if path not in told]
        for path, problem in refused:
            self.findings.add(path, problem, scope)
        for path, problem in numbers:
            report(path, problem)
        if experiment is None:
            return None
        for path, problem in contradictions(experiment):
            self.findings.add(path, problem, scope)
        return experiment

    def _base_experiment(
        self, base: Run | None, sweep: Any, points: Sequence[_Point], sweeping: Sweeping
    ) -> Experiment | None:
        """Check the base point; where only swept keys are wrong in it, the first run stands for it."""
        swept = [tuple(key.split(".")) for key in sweeping.columns]
        before = dict(self.findings.found)
        experiment = None
        if base is not None:
            scope = Scope(self.basis.groups, raw=base.unresolved)
            experiment = self._checked({**base.config, "sweep": sweep}, scope)
        if experiment is not None:
            return experiment
        # What only the base point lacks, since an axis gives it, is no mistake.
        for key, found in list(self.findings.found.items()):
            if key not in before and any(found.path[: len(axis)] == axis for axis in swept):
                del self.findings.found[key]
        first = next((point.run for point in points if point.experiment is not None and point.run is not None), None)
        if self.findings.any or first is None:
            return None
        return self._checked({**first.config, "sweep": sweep}, BASE)

    def _check_effects(self, points: Sequence[_Point], sweeping: Sweeping) -> None:
        groups, coordinates = self.findings.groups, [point.planned.coordinates for point in points]
        for path, problem, scope in without_effect(self.session, self.given, sweeping, groups, coordinates):
            self.findings.add(path, problem, scope)
        for path, problem in idle_choices(self.session, sweeping, groups, coordinates):
            self.findings.add(path, problem)
        for path, problem in shadowed(self.session, groups):
            self.findings.add(path, problem)
        for path, problem in swept_over(self.session, sweeping, groups, coordinates):
            self.findings.add(path, problem)
        if not self.findings.any:
            runs = [(point.planned.coordinates, point.experiment) for point in points]
            for path, problem in repeated_runs(runs, sweeping.columns):
                self.findings.add(path, problem)

    def _composed(self, experiment: Experiment, points: Sequence[_Point], sweeping: Sweeping) -> Composed:
        labels = self._labels([point.planned for point in points])
        for path, problem in advice(experiment, sweeping.columns, self.texts.paths):
            self.findings.warn(path, problem)
        made = []
        merged = functools.cache(lambda groups: tuple(file.shown for file, _ in merged_files(self.session, groups)))
        for name, point in zip(labels, points, strict=True):
            assert point.run is not None
            assert point.experiment is not None
            one = point.experiment
            made.append(
                Point(
                    label=name,
                    coordinates=point.planned.coordinates,
                    overrides=point.planned.overrides,
                    config=plain(one),
                    hydra_config=point.run.unresolved,
                    experiment=one,
                    defaults=merged(self._groups(point.planned)),
                )
            )
        return Composed(
            project=self.project,
            name=self.session.name,
            experiment=experiment,
            config=plain(experiment),
            points=tuple(made),
            files=self.session.snapshot.files(),
            swept=_swept(points),
            ad_hoc=bool(self.overrides),
            overrides=self.overrides,
            warnings=self.findings.warnings(),
            counts=dict(self.expander.counts),
        )


def _distinct(points: Sequence[_Point]) -> list[_Point]:
    """Leave out what two blocks of `union` give, where one spells out what the other leaves at its default."""
    first: dict[str, _Point] = {}
    kept = []
    for point in points:
        before = first.setdefault(repr(point.experiment), point) if point.experiment is not None else point
        if before is point or before.planned.coordinates.keys() == point.planned.coordinates.keys():
            kept.append(point)
    return kept


def _remove(value: Any, path: Sequence[Any]) -> None:
    *parents, last = path or ("",)
    for part in parents:
        value = value.get(part) if isinstance(value, dict) else value[part] if isinstance(value, list) else None
    if isinstance(value, dict):
        value.pop(last, None)


def _whole(config: Any, key: str, default: int) -> int:
    value = config.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _swept(points: Sequence[_Point]) -> dict[str, list[Any]]:
    found: dict[str, dict[str, Any]] = {}
    for point in points:
        for key, value in point.planned.coordinates.items():
            found.setdefault(key, {}).setdefault(repr(value), value)
    return {key: list(values.values()) for key, values in found.items()}
