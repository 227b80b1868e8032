"""The lock of an experiment: written by `run` and `lock`, known results beside it; only read by everything else."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.compose import Project
from ftspec.evals.suites import projection
from ftspec.runs.lock import (
    Lock,
    LockedBase,
    LockedCounter,
    LockedFile,
    LockedRecipe,
    LockedRun,
    LockedSource,
    LockedSuite,
    read_lock,
)
from ftspec.runs.staleness import Change, changes
from ftspec.spec.errors import Problem, StaleError
from ftspec.storage import write_atomic
from ftspec.workflows.identity import token_counter
from ftspec.workflows.knowing import known_results, results_path
from ftspec.workflows.plan import Plan, PlannedRun, PlannedSuite, canonical_hyperparameters

if TYPE_CHECKING:
    from ftspec.workflows.results import Results

_SUITE_PARTS = {
    "items": ("items",),
    "request": ("messages", "params", "parse", "samples"),
    "arms": ("arms",),
    "graders": ("graders",),
    "metrics": ("metrics",),
}


def lock_path(project: Project, name: str) -> Path:
    """Where an experiment's lock lies."""
    return project.experiments / f"{name}.lock.json"


def stored_lock(project: Project, name: str) -> Lock | None:
    """Return the lock on disk, None where there is none. Raises DataError for a broken one."""
    path = lock_path(project, name)
    try:
        return read_lock(path.read_bytes(), file=path.relative_to(project.root).as_posix())
    except FileNotFoundError:
        return None


def lock_of(plan: Plan) -> Lock:
    """Return the lock that describes a plan."""
    sources: dict[str, LockedSource] = {}
    files: dict[LockedFile, None] = {}
    recipes: dict[str, LockedRecipe] = {}
    suites: dict[str, LockedSuite] = {}
    bases: dict[LockedBase, None] = {}
    counters: dict[LockedCounter, None] = {}
    seen: set[tuple[str, int]] = set()
    for run in plan.runs:
        bases[_base(run)] = None
        for suite in run.suites:
            if suite.eval_digest not in suites:
                suites[suite.eval_digest] = _suite(suite)
        if (run.data_digest, id(run.prepared)) in seen:
            continue
        seen.add((run.data_digest, id(run.prepared)))
        counters[_counter(run)] = None
        recipes.setdefault(run.data_digest, _recipe(run))
        files |= dict.fromkeys(_files(run))
        for one in run.prepared.sources:
            if one.path not in sources or one.rows > sources[one.path].rows:
                sources[one.path] = LockedSource(path=one.path, sha256=one.sha256, bytes=one.bytes, rows=one.rows)
    return Lock(
        sources=tuple(sources[path] for path in sorted(sources)),
        recipes=tuple(recipes.values()),
        files=tuple(files),
        suites=tuple(suites.values()),
        bases=tuple(bases),
        counters=tuple(counters),
        runs=tuple(_run(run) for run in plan.runs),
    )


def block_hash(value: Any) -> str:
    """Return hex sha256 of a block of the resolved experiment, what is null left out."""
    import rfc8785

    return hashlib.sha256(rfc8785.dumps(_without_unset(value))).hexdigest()


def _without_unset(value: Any) -> Any:
    """Drop what is null, so that a later optional field changes no hash."""
    if isinstance(value, Mapping):
        return {str(key): _without_unset(entry) for key, entry in value.items() if entry is not None}
    return [_without_unset(entry) for entry in value] if isinstance(value, list | tuple) else value


def _recipe(run: PlannedRun) -> LockedRecipe:
    dataset, weights = run.point.config["dataset"], run.point.config["weights"]
    sources = sorted(run.prepared.sources, key=lambda one: one.path)
    return LockedRecipe(
        data=run.data_digest,
        sources=tuple(one.path for one in sources),
        rows=tuple(one.rows for one in sources),
        messages=block_hash(dataset.get("messages")),
        tools=block_hash(dataset.get("tools")),
        split=block_hash(dataset.get("split")),
        weights=block_hash(weights),
    )


def _files(run: PlannedRun) -> Iterable[LockedFile]:
    for role, part in run.prepared.parts.items():
        yield LockedFile(
            data=run.data_digest,
            role=role,
            sha256=part.sha256,
            rows=part.rows,
            tokens=part.tokens,
            learned_tokens=part.learned_tokens,
            messages=part.messages,
            learned_messages=part.learned_messages,
        )


def _suite(suite: PlannedSuite) -> LockedSuite:
    held = projection(suite.suite)
    parts = {name: block_hash([held[key] for key in keys]) for name, keys in _SUITE_PARTS.items()}
    return LockedSuite(name=suite.name, eval=suite.eval_digest, items=suite.n_items, parts=parts)


def _base(run: PlannedRun) -> LockedBase:
    engine = run.identity.engine or {}
    return LockedBase(
        requested=run.point.experiment.model,
        model=run.identity.model,
        family=run.identity.family,
        digest=engine.get("base"),
        contract=engine.get("contract"),
    )


def _counter(run: PlannedRun) -> LockedCounter:
    experiment = run.point.experiment
    counter = token_counter(experiment.provider, experiment.model)
    # A hosted counter's identity holds its package's version; the encoding alone is the same on every machine.
    return LockedCounter(name=counter.name, tokenizer=counter.identity if run.identity.engine is not None else None)


def _run(run: PlannedRun) -> LockedRun:
    experiment = run.point.experiment
    return LockedRun(
        label=run.label,
        point=dict(run.point.coordinates),
        overrides=tuple(run.point.overrides),
        model=experiment.model,
        method=experiment.method.type,
        hyperparameters=canonical_hyperparameters(experiment.hyperparameters.model_dump()),
        seed=experiment.seed,
        train=run.train_digest,
        data=run.data_digest,
        evals={suite.name: suite.eval_digest for suite in run.suites},
    )


@dataclass(frozen=True)
class LockState:
    """How a lock stands to its experiment: `changes` say why it is stale, `present` whether there is one."""

    path: Path
    present: bool
    changes: tuple[Change, ...]

    @property
    def stale(self) -> bool:
        """Whether there is no lock, or one that describes another experiment."""
        return not self.present or bool(self.changes)

    def problems(self, name: str, root: Path, severity: str = "error") -> tuple[Problem, ...]:
        """Return one problem a cause."""
        file = self.path.relative_to(root).as_posix()
        fix = f"ftspec lock {name}"
        if self.present and severity == "warning":
            fix = f"nothing now: the lock is of the last run; `ftspec run {name}` writes it anew"
        if not self.present:
            return (Problem("no_lock", "there is no lock", file=file, fix=fix, severity=severity),)
        return tuple(Problem("stale_lock", str(c), file=file, fix=fix, severity=severity) for c in self.changes)


def lock_state(plan: Plan) -> LockState:
    """Compare the lock on disk with the plan. Raises DataError for a broken lock."""
    path = lock_path(plan.project, plan.name)
    stored = stored_lock(plan.project, plan.name)
    return LockState(path, stored is not None, changes(stored, lock_of(plan)) if stored is not None else ())


def lock_warnings(plan: Plan) -> tuple[Problem, ...]:
    """Return a warning per cause where the experiment's lock is stale; none for ad-hoc overrides or without a lock."""
    if plan.composed.ad_hoc or not lock_path(plan.project, plan.name).is_file():
        return ()
    return lock_state(plan).problems(plan.name, plan.project.root, "warning")


def require_lock(plan: Plan) -> None:
    """Refuse a plan that its lock does not describe. Raises StaleError naming each cause."""
    if plan.composed.ad_hoc:
        raise StaleError(
            "not_locked",
            "overrides on the command line are in no lock",
            fix="write them into the experiment: ftspec run NAME OVERRIDES --save",
        )
    if found := lock_state(plan).problems(plan.name, plan.project.root):
        raise StaleError.many(found)


def write_lock(plan: Plan, results: "Results | None" = None) -> tuple[Path, ...]:
    """Bring lock and known results up to date, and the rows of data outside git; return the files that changed.

    Ad-hoc overrides never enter them. A broken or conflicting lock is written anew, and so are results: with the rows
    of both sides of a merge, none where the file is beyond reading.
    """
    if plan.composed.ad_hoc:
        return ()
    from ftspec.workflows.results import collect  # statistics: nothing that only reads a lock needs them
    from ftspec.workflows.rowsfile import write_rows
    from ftspec.workflows.sides import data_sides

    known = known_results(plan, results or collect(plan))
    files = {lock_path(plan.project, plan.name): lock_of(plan).to_bytes()}
    if known.results or known.baselines or results_path(plan.project, plan.name).is_file():
        files[results_path(plan.project, plan.name)] = known.to_bytes()
    changed = []
    for path, content in files.items():
        if not path.is_file() or path.read_bytes() != content:
            write_atomic(path, content)
            changed.append(path)
    return (*changed, *write_rows(plan.project, plan.name, data_sides(plan)))
