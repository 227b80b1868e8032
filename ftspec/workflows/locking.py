"""Lock and known results of an experiment: written by `run` and `lock`, only read by everything else."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftspec.compose import Project
from ftspec.evals.suites import projection
from ftspec.runs.known import KnownBaseline, KnownPick, KnownResult, KnownResults, merge_known, read_results
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
from ftspec.runs.seal import seal_digest
from ftspec.runs.staleness import Change, changes
from ftspec.spec.errors import Problem, StaleError
from ftspec.storage import read_json, write_atomic
from ftspec.workflows.identity import token_counter
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


def results_path(project: Project, name: str) -> Path:
    """Where an experiment's known results lie."""
    return project.experiments / f"{name}.results.json"


def stored_lock(project: Project, name: str) -> Lock | None:
    """Return the lock on disk, None where there is none. Raises DataError for a broken one."""
    path = lock_path(project, name)
    try:
        return read_lock(path.read_bytes(), file=path.relative_to(project.root).as_posix())
    except FileNotFoundError:
        return None


def stored_results(project: Project, name: str) -> KnownResults | None:
    """Return the known results on disk, None where there are none. Raises DataError for broken ones."""
    path = results_path(project, name)
    try:
        return read_results(path.read_bytes(), file=path.relative_to(project.root).as_posix())
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

    Ad-hoc overrides never enter them.

    A broken or conflicting file is written anew; what it knew of other machines' results is then lost.
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


def known_results(plan: Plan, results: "Results") -> KnownResults:
    """Return what is known of a plan's runs: what lies in `runs/`, and what the committed file knows besides."""
    from ftspec.spec.errors import DataError

    try:
        old = stored_results(plan.project, plan.name) or KnownResults()
    except DataError as error:
        if error.code == "newer_version":
            raise
        old = KnownResults()
    rows = [row for run in plan.runs for row in _known_rows(run, results)]
    baselines = tuple(_known_baselines(plan))
    trained = tuple(run.train_digest for run in plan.runs if run.attempt is not None)
    whole = len(trained) == len(plan.runs)
    pick = (KnownPick(run=results.pick.label, by=results.pick.by, among=trained),) if results.pick and whole else ()
    wanted = {r.train_digest: {s.name: s.eval_digest for s in r.suites if s.suite.trained_arms} for r in plan.runs}
    return merge_known(old, KnownResults(baselines=baselines, results=tuple(rows), pick=pick), wanted)


def _known_rows(run: PlannedRun, results: "Results") -> Iterable[KnownResult]:
    if run.attempt is None:
        return
    row = next(row for row in results.runs if row.train_digest == run.train_digest)
    ended = run.attempt.results
    env = read_json(run.attempt.path / "env.json")
    common: dict[str, Any] = {
        "run": run.label,
        "point": dict(run.point.coordinates),
        "train": run.train_digest,
        "valid_loss": ended.get("valid_loss"),
        "epochs": row.epochs,
        "attempt": seal_digest(run.attempt.path),
        "weights": ended.get("weights_digest"),
        "numerics": env.get("numerics"),
        "model": ended.get("model") if run.identity.engine is None else None,
    }
    suites = [suite for suite in run.suites if suite.suite.trained_arms]
    if not suites:
        yield KnownResult(**common, suite="", eval=None, arm=None, metric=None, value=None, ci95=None, n=0)
    for suite in suites:
        scores = row.scores.get(suite.name)
        if scores is not None and scores.arms:
            arm, scored = next(iter(scores.arms.items()))
            found = scored.metrics[scores.primary]
            yield KnownResult(
                **common,
                suite=suite.name,
                eval=suite.eval_digest,
                arm=arm,
                metric=scores.primary,
                value=found.value,
                ci95=_interval(found.low, found.high),
                n=found.n,
            )


def _known_baselines(plan: Plan) -> Iterable[KnownBaseline]:
    from ftspec.evals.scores import read_scores

    for baselines in plan.baselines:
        if not baselines.done:
            continue
        scores = read_scores(baselines.folder / "scores.json")
        hosted = any(run.identity.engine is None for run in plan.runs)
        for arm, scored in scores.arms.items():
            found = scored.metrics[scores.primary]
            yield KnownBaseline(
                suite=baselines.suite.name,
                eval=baselines.suite.eval_digest,
                arm=arm,
                model=baselines.suite.base_model,
                metric=scores.primary,
                value=found.value,
                ci95=_interval(found.low, found.high),
                n=found.n,
                compared=arm == baselines.suite.suite.baseline,
                fingerprints=tuple(sorted(scored.fingerprints)) if hosted else (),
            )


def _interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)
