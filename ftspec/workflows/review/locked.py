"""Facts out of the committed lock and rows, for data that lies outside git; and whether a lock is current."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ftspec.compose import Composed, Point, Project, load
from ftspec.evals.defaults import fill_arms
from ftspec.runs.lock import Lock, LockedRun
from ftspec.spec.digests import train_digest
from ftspec.spec.errors import DataError, Problems
from ftspec.workflows.identity import engine_identity
from ftspec.workflows.locking import LockState, block_hash, stored_lock
from ftspec.workflows.locking import lock_state as state_of
from ftspec.workflows.plan import Plan, canonical_hyperparameters, price
from ftspec.workflows.rowsfile import read_rows_file
from ftspec.workflows.sides import (
    DataSide,
    ExperimentSide,
    PartFacts,
    RowFact,
    RunSide,
    SuiteSide,
    part_of,
    policy_name,
)

_STALE = "made from other settings or data, so its rows and digests may not hold; write it anew"


def lock_state(plan: Plan, side: ExperimentSide) -> ExperimentSide:
    """Return the experiment with the state of its lock: none, current, stale, or unknown where it cannot be read."""
    try:
        found: LockState = state_of(plan)
    except DataError:
        return replace(side, lock="unknown")
    return replace(side, lock="none" if not found.present else "stale" if found.changes else "current")


def of_lock(project: Project, name: str, pointers: Mapping[str, str]) -> ExperimentSide | None:
    """Return an experiment whose data is not at hand, None where no lock tells about it.

    Trainings are identified anew from the resolved experiment and the data digest of the lock; where that gives
    another digest than the lock's, or a block that renders data changed, the lock is stale. Raises what `load` raises.
    """
    lock = stored_lock(project, name)
    if lock is None:
        return None
    composed = load(project, name)
    rows = read_rows_file(project, name)
    side = _Locked(lock, composed, rows)
    runs = tuple(run for point in composed.points if (run := side.run(point)) is not None)
    stale = side.stale or len(runs) != len(composed.points) or len(runs) != len(lock.runs)
    changed = [path for path, sha in pointers.items() for one in lock.sources if one.path == path and one.sha256 != sha]
    note = f"{name}: data lies outside git; rows and tokens come from its lock"
    return ExperimentSide(
        name=name,
        config=composed.config,
        runs=runs,
        lock="stale" if stale or changed else "current",
        notes=(
            note,
            *([f"{name}: the lock is stale, {_STALE}: ftspec lock {name}"] if stale else []),
        ),
        warnings=composed.warnings,
    )


class _Locked:
    def __init__(self, lock: Lock, composed: Composed, rows: Mapping[str, tuple[RowFact, ...]]) -> None:
        self._lock, self._composed, self._rows = lock, composed, rows
        self._data: dict[tuple[str, str], DataSide] = {}
        self.stale = False

    def run(self, point: Point) -> RunSide | None:
        locked = self._lock.run(point.label) or self._same_data(point)
        if locked is None:
            self.stale = True
            return None
        train = self._train(point, locked)
        known = self._lock.run(point.label)
        self.stale |= known is None or train != known.train or not self._recipe_holds(point, locked)
        data = self._data_of(point, locked)
        config = dict(point.config)
        if select := (self._composed.config.get("sweep") or {}).get("select"):
            config["sweep"] = {"select": select}
        experiment = point.experiment
        identity = engine_identity(experiment.provider, experiment.model)
        hyperparameters = canonical_hyperparameters(experiment.hyperparameters.model_dump())
        epochs, _ = identity.schedule(data.train.rows, hyperparameters)
        return RunSide(
            experiment=self._composed.name,
            label=point.label,
            coordinates=point.coordinates,
            config=config,
            train=train,
            data=data,
            suites={name: self._suite(name, value, point) for name, value in locked.evals.items()},
            usd=price(experiment.provider.profile, experiment.model, data.train.tokens * epochs),
        )

    def _same_data(self, point: Point) -> LockedRun | None:
        """Return a locked run to take the data of for a point that the lock does not have: if there is only one set."""
        return self._lock.runs[0] if len({run.data for run in self._lock.runs}) == 1 else None

    def _train(self, point: Point, locked: LockedRun) -> str:
        experiment = point.experiment
        identity = engine_identity(experiment.provider, experiment.model)
        return train_digest(
            family=identity.family,
            model=experiment.model if identity.engine is None else identity.model,
            method=experiment.method.type,
            hyperparameters=canonical_hyperparameters(experiment.hyperparameters.model_dump()),
            seed=experiment.seed,
            data=locked.data,
            engine=identity.engine,
        )

    def _recipe_holds(self, point: Point, locked: LockedRun) -> bool:
        recipe = self._lock.recipe(locked.data)
        dataset: Mapping[str, Any] = point.config["dataset"]
        blocks = {key: dataset.get(key) for key in ("messages", "tools", "split")} | {
            "weights": point.config["weights"]
        }
        return recipe is not None and all(getattr(recipe, key) == block_hash(block) for key, block in blocks.items())

    def _data_of(self, point: Point, locked: LockedRun) -> DataSide:
        policy = policy_name(point.config.get("weights") or {})
        key = (locked.data, policy)
        if key not in self._data:
            lock = self._lock
            parts = {
                f.role: PartFacts(f.sha256, f.rows, f.messages, f.learned_messages, f.tokens, f.learned_tokens, None)
                for f in lock.files
                if f.data == locked.data
            }
            sources = lock.sources_of(locked.data)
            counter = lock.counters[0].name if lock.counters else ""
            rows = self._rows.get(locked.data)
            self._data[key] = DataSide(locked.data, parts, sources, counter, policy, None, rows)
        return self._data[key]

    def _suite(self, name: str, value: str, point: Point) -> SuiteSide:
        locked = next((suite for suite in self._lock.suites if suite.eval == value), None)
        suite = point.experiment.evals.get(name)
        # Which labels there are is not known here, only that a majority answer may be one of the default arms.
        filled = fill_arms(suite, point.experiment.baselines, {"": 1}, Problems()) if suite is not None else None
        arms = (filled.arms or {}) if filled is not None else {}
        return SuiteSide(
            name=name,
            digest=value,
            n_items=locked.items if locked else 0,
            items={},
            projection={},
            baselines=tuple(key for key, arm in arms.items() if arm.model != "@run"),
            samples=suite.samples if suite is not None else 1,
            trained_arms=sum(arm.model == "@run" for arm in arms.values()),
            part=part_of(suite) if suite is not None else "",
            parts=locked.parts if locked else {},
        )
