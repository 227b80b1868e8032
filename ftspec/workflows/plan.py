"""The plan of an experiment: what would be trained, reused or scored again, what it costs and what its evals can prove.

A plan reads the spec, the data and what lies in `runs/`; it asks no provider and writes nothing but disposable caches.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from ftspec.compose import Composed, Point, Project, Remains, attempt
from ftspec.data import Prepared
from ftspec.evals.defaults import BASE
from ftspec.evals.metrics import metric_names
from ftspec.evals.suites import ResolvedSuite
from ftspec.providers.profiles import check, load_profile, training_price
from ftspec.runs.directory import Attempt, Catalog, RunDirectory
from ftspec.runs.seal import is_sealed
from ftspec.spec.digests import data_digest, short, train_digest
from ftspec.spec.errors import Problem, Problems, SpecError, in_order, kind_of, shortened
from ftspec.spec.lint import relevel, unknown_lints
from ftspec.spec.sweep import VALID_LOSS
from ftspec.storage import read_json
from ftspec.workflows.aliases import aliases_of
from ftspec.workflows.faults import faults
from ftspec.workflows.folds import left_out
from ftspec.workflows.identity import Identity, engine_identity
from ftspec.workflows.ingredients import DataSets, Suites
from ftspec.workflows.keys import written_keys
from ftspec.workflows.once import Once
from ftspec.workflows.placing import place

_OF_PROVIDER = ("provider", "model", "hyperparameters", "method", "keep_until")

Action = Literal["train", "reuse", "score"]

# Measured on one core (bench/p6_engine.py): tokens trained a second, and seconds an answer of a few words takes.
TOKENS_PER_SECOND = 6_500
SECONDS_PER_ANSWER = 0.03


@dataclass(frozen=True)
class PlannedSuite:
    """A suite as one run will be scored by it; equal `eval_digest` means that scores may stand side by side.

    `base_model` is the name in the spec, `served_model` what it resolves to: the embedded `tiny` is an alias.
    """

    name: str
    suite: ResolvedSuite
    eval_digest: str
    base_model: str
    served_model: str

    @property
    def n_items(self) -> int:
        """How many items each arm answers."""
        return len(self.suite.items)

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes its baselines the same: suite, digest, base model."""
        return self.name, self.eval_digest, self.base_model


@dataclass(frozen=True)
class PlannedRun:
    """One training with its scores: identity, size, and what of it is already on disk.

    `shares` says that a run before it in the plan does the same training: the two differ in what they are asked.
    """

    point: Point
    prepared: Prepared
    suites: tuple[PlannedSuite, ...]
    identity: Identity
    data_digest: str
    train_digest: str
    directory: RunDirectory | None
    attempt: Attempt | None
    to_score: tuple[str, ...]
    n_epochs: int
    n_steps: int | None
    usd: float | None
    usd_range: tuple[float, float] | None
    shares: bool = False

    @property
    def label(self) -> str:
        """The sweep point as people read it."""
        return self.point.label

    @property
    def action(self) -> Action:
        """What `run` would do with it."""
        if self.attempt is None and not self.shares:
            return "train"
        return "score" if self.to_score else "reuse"


@dataclass(frozen=True)
class PlannedBaselines:
    """The arms of one suite that need no training; asked once, before any training."""

    suite: PlannedSuite
    arms: tuple[str, ...]
    folder: Path
    done: bool


@dataclass(frozen=True)
class Plan:
    """All of an experiment, point by point."""

    project: Project
    composed: Composed
    runs: tuple[PlannedRun, ...]
    baselines: tuple[PlannedBaselines, ...]
    warnings: tuple[Problem, ...] = field(default=())

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self.composed.name

    @cached_property
    def counts(self) -> Mapping[Action, int]:
        """How many runs will be trained, scored again, or are reused."""
        found = Counter(run.action for run in self.runs)
        return {"train": found["train"], "score": found["score"], "reuse": found["reuse"]}

    @property
    def nothing_to_do(self) -> bool:
        """Whether every run is trained and scored and every baseline answered."""
        return self.counts["reuse"] == len(self.runs) and all(baseline.done for baseline in self.baselines)

    @property
    def usd(self) -> float | None:
        """Price of what is still to be trained; None where a price is unknown, which is never taken for 0."""
        prices = [run.usd for run in self.runs if run.action == "train"]
        known = [price for price in prices if price is not None]
        return sum(known) if len(known) == len(prices) else None

    @property
    def usd_range(self) -> tuple[float, float] | None:
        """The least and the most it may cost, since hosts resolve `auto` themselves; None where a price is unknown."""
        prices = [run.usd_range for run in self.runs if run.action == "train"]
        known = [price for price in prices if price is not None]
        return (sum(p[0] for p in known), sum(p[1] for p in known)) if len(known) == len(prices) else None

    @property
    def seconds(self) -> float:
        """Rough wall time on the embedded provider, one training at a time while the other core answers."""
        trained = sum(run.prepared.parts["train"].tokens * run.n_epochs for run in self.runs if run.action == "train")
        answers = sum(suite.n_items for run in self.runs for suite in run.suites if suite.name in run.to_score)
        answers += sum(b.suite.n_items * len(b.arms) for b in self.baselines if not b.done)
        return trained / TOKENS_PER_SECOND + answers * SECONDS_PER_ANSWER

    @property
    def suites(self) -> tuple[PlannedSuite, ...]:
        """The distinct suites of all runs, in order."""
        return tuple({suite.key: suite for run in self.runs for suite in run.suites}.values())


def make_plan(project: Project, name: str, overrides: Sequence[str] = ()) -> Plan:
    """Compose, prepare the data, identify every run and look up what is on disk.

    Raises SpecError or DataError with every problem found, each with its place.
    """
    plan = draft_plan(project, name, overrides)
    return replace(plan, warnings=tuple(place(plan.warnings, project, plan.composed)))


def draft_plan(project: Project, name: str, overrides: Sequence[str] = ()) -> Plan:
    """Return the same plan with warnings that have no place yet: giving them one composes again.

    Raises what `make_plan` raises, with places.
    """
    composed = attempt(project, name, overrides)
    if isinstance(composed, Remains):
        raise faults(project, composed)
    keys = list(written_keys(project, composed))
    # Nothing is kept, in no cache either, where a key stands in the configuration.
    builder = _Builder(project, composed, None if keys else project.cache)
    builder.problems.found += [*keys, *(alias.problem() for alias in aliases_of(project, composed))]
    builder.check_providers()
    builder.check_selection()
    builder.look()
    lint = composed.experiment.lint
    told = builder.once.bound(dict.fromkeys(builder.problems.found), composed.points)
    found = Problems([*unknown_lints(lint), *relevel(told, lint)])
    if found.errors:
        placed = in_order(place(found.errors, project, composed))
        raise kind_of(builder.problems.kinds or [SpecError]).many(shortened(placed))
    runs = builder.runs(Catalog(project.runs))
    return Plan(project, composed, runs, tuple(_baselines(project, composed.name, runs)), tuple(found.found))


class _Builder:
    """Gathers the runs of a plan and every problem on the way, so that all are told at once."""

    def __init__(self, project: Project, composed: Composed, cache: Path | None) -> None:
        self.composed = composed
        self.problems = Problems(list(composed.warnings))
        self._ready: list[tuple[Point, Prepared, Mapping[str, tuple[ResolvedSuite, str]]]] = []
        self.once = Once(self.problems)
        self._data = DataSets(project, cache, self.once)
        self._suites = Suites(project.root, cache, self.once)

    def check_providers(self) -> None:
        """Find every problem between the experiment and its provider's facts, and folds that are missing."""
        self.problems.found += left_out(self.composed.points)
        for point in self.composed.points:
            key = repr([point.config.get(name) for name in _OF_PROVIDER])
            self.once.look(("provider", key), point, partial(self._check, point))

    def _check(self, point: Point) -> None:
        experiment = point.experiment
        self.problems.found += check(
            experiment.provider,
            experiment.model,
            experiment.hyperparameters,
            method=experiment.method.type,
            keep_until=experiment.keep_until,
        )

    def check_selection(self) -> None:
        """Find a rule for the winner that names a suite or a metric which no run has."""
        sweep = self.composed.experiment.sweep
        by = sweep.select.by if sweep is not None else VALID_LOSS
        known = [VALID_LOSS]
        for name, suite in {n: s for point in self.composed.points for n, s in point.experiment.evals.items()}.items():
            known += [name, *(f"{name}.{metric}" for metric in metric_names(suite.graders))]
        if by not in known:
            near = get_close_matches(by, known, n=1)
            fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            self.problems.add("unknown_metric", f"no run has {by!r} to choose by", path="sweep.select.by", fix=fix)

    def look(self) -> None:
        """Look at data and suites of every point; what is wrong stands in `problems`."""
        for point in self.composed.points:
            prepared = self._data.of(point)
            if prepared is None:
                self._suites.examine(point)
            elif (suites := self._suites.of(point, prepared)) is not None:
                self._ready.append((point, prepared, suites))

    def runs(self, catalog: Catalog) -> tuple[PlannedRun, ...]:
        """Plan every run, once nothing is wrong."""
        trained: set[str] = set()
        runs = []
        for ready in self._ready:
            run = _plan_run(*ready, catalog)
            runs.append(replace(run, shares=run.train_digest in trained))
            trained.add(run.train_digest)
        return tuple(runs)


def _plan_run(
    point: Point,
    prepared: Prepared,
    suites: Mapping[str, tuple[ResolvedSuite, str]],
    catalog: Catalog,
) -> PlannedRun:
    experiment = point.experiment
    identity = engine_identity(experiment.provider, experiment.model)
    train, valid = prepared.parts["train"], prepared.parts.get("valid")
    hyperparameters = canonical_hyperparameters(experiment.hyperparameters.model_dump())
    data_id = data_digest(train=train.sha256, valid=valid.sha256 if valid else None, row_format=prepared.row_format)
    train_id = train_digest(
        family=identity.family,
        model=experiment.model if identity.engine is None else identity.model,
        method=experiment.method.type,
        hyperparameters=hyperparameters,
        seed=experiment.seed,
        data=data_id,
        engine=identity.engine,
    )
    planned = tuple(
        PlannedSuite(name, resolved, eval_digest, experiment.model, identity.model)
        for name, (resolved, eval_digest) in suites.items()
    )
    directory = catalog.find(train_id)
    done = directory.finished() if directory else None
    to_score = tuple(s.name for s in planned if not _scored(directory, done, s))
    epochs, steps = identity.schedule(train.rows, hyperparameters)

    def cost(n_epochs: int) -> float | None:
        return price(experiment.provider.profile, experiment.model, train.tokens * n_epochs)

    fewest, most = map(cost, identity.epochs_range(train.rows, hyperparameters))
    return PlannedRun(
        point=point,
        prepared=prepared,
        suites=planned,
        identity=identity,
        data_digest=data_id,
        train_digest=train_id,
        directory=directory,
        attempt=done,
        to_score=to_score,
        n_epochs=epochs,
        n_steps=steps,
        usd=cost(epochs),
        usd_range=(fewest, most) if fewest is not None and most is not None else None,
    )


def canonical_hyperparameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is asked of the provider: `auto` stays, and no rate at all means a rate of `auto`."""
    asked = {key: value for key, value in values.items() if value is not None}
    if "learning_rate" not in asked and "learning_rate_multiplier" not in asked:
        asked["learning_rate_multiplier"] = "auto"
    return asked


def price(profile: str, model: str, tokens: int) -> float | None:
    """Return US dollars for training on that many tokens, rounded up to a millionth; None where no price is on file."""
    per_million = training_price(load_profile(profile), model)
    return None if per_million is None else math.ceil(tokens * per_million) / 1_000_000


def _scored(directory: RunDirectory | None, attempt: Attempt | None, suite: PlannedSuite) -> bool:
    if directory is None or attempt is None:
        return False
    return not suite.suite.trained_arms or is_sealed(directory.evals(suite.name, suite.eval_digest, attempt))


def baselines_folder(project: Project, experiment: str, suite: PlannedSuite, first: str) -> Path:
    """Where the arms without training are kept: no digest holds the base model, so each has a folder of its own.

    The short name belongs to the model that answered in it, before that to the `first` of the plan.
    """
    folder = project.runs / experiment / "baselines" / f"{suite.name}.{short(suite.eval_digest)}"
    if suite.served_model == (_base_that_answered(folder, suite) or first):
        return folder
    model = "".join(c if c.isalnum() or c in "-_" else "-" for c in suite.served_model)
    return folder.with_name(f"{folder.name}.{model}")


def _base_that_answered(folder: Path, suite: PlannedSuite) -> str | None:
    """Return the base model whose sealed answers a folder holds; None without a seal or without an arm that asks it."""
    if not is_sealed(folder):
        return None
    arms = read_json(folder / "scores.json")["arms"]
    asked = [arm for arm in suite.suite.baseline_arms if suite.suite.arms[arm].model == BASE]
    return next((arms[arm]["model"] for arm in asked if arm in arms), None)


def _baselines(project: Project, name: str, runs: Sequence[PlannedRun]) -> Iterable[PlannedBaselines]:
    distinct = {suite.key: suite for run in runs for suite in run.suites}
    first = runs[0].identity.model if runs else ""
    for suite in distinct.values():
        if arms := tuple(suite.suite.baseline_arms):
            folder = baselines_folder(project, name, suite, first)
            yield PlannedBaselines(suite, arms, folder, is_sealed(folder))
