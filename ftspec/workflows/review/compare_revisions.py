"""Two private folders of files, composed and compared: everything of `diff` that reads what a pull request wrote.

Runs in this process, or in the limited child of `contained.py`. Reads nothing but the two folders and the built-in
`conf/`, starts nothing, and imports no code of the project.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ftspec.compose import Project
from ftspec.compose.closure import Closures, Scans
from ftspec.compose.revision import Entry, Revision
from ftspec.runs.lock import read_lock
from ftspec.spec.errors import DataError, FtspecError, Problem
from ftspec.workflows.plan import draft_plan
from ftspec.workflows.review import changes as shapes
from ftspec.workflows.review.datadiff import data_changes
from ftspec.workflows.review.evaldiff import moved_baselines, overlaps, suite_changes
from ftspec.workflows.review.existing import existing
from ftspec.workflows.review.job import Job, JobSide, own_version
from ftspec.workflows.review.known import known_scores
from ftspec.workflows.review.locked import lock_state, of_lock
from ftspec.workflows.review.pairing import Paired, describe_all, field_groups, pair, sweep_fields
from ftspec.workflows.review.places import Places, changed_files, touched
from ftspec.workflows.sides import ExperimentSide, asked_models, of_plan


@dataclass
class _Composed:
    """All experiments of one side, by name, and what went wrong."""

    experiments: dict[str, ExperimentSide] = field(default_factory=dict)
    troubles: list[shapes.Trouble] = field(default_factory=list)


def compare(job: Job) -> shapes.Changes:
    """Compose both folders and compare. Raises UnsafeError for what the head revision must not hold."""
    scans = Scans()
    closures = {side: _closures(getattr(job, side), scans) for side in ("base", "head")}
    base = _compose(job, "base")
    head = _compose(job, "head")
    broken = {trouble.experiment for trouble in head.troubles if trouble.severity == "error"}
    old = [run for name, e in base.experiments.items() if name not in broken for run in e.runs]
    new = [run for e in head.experiments.values() for run in e.runs]
    paired = pair(old, new)
    places = _places(job.names, closures)
    there = existing(Path(job.head.folder), job.names, Path(job.runs) if job.runs else None)
    return shapes.Changes(
        schema=shapes.SCHEMA,
        ftspec=own_version(),
        key=job.key,
        base=job.base.side,
        head=job.head.side,
        untrusted=job.untrusted,
        limits=job.limits,
        untouched=job.untouched,
        experiments=tuple(_experiments(job, base, head, paired, places)),
        runs=tuple(describe_all(paired, _trained_elsewhere(job), there)),
        fields=(
            *field_groups(paired, places, job.show_text),
            *sweep_fields(base.experiments, head.experiments, paired, places, job.show_text),
        ),
        data=tuple(data_changes(paired, job.show_text, frozenset(job.kept))),
        suites=tuple(suite_changes(paired, base.experiments, there)),
        overlaps=tuple(overlaps(paired, base.experiments)),
        known=tuple(known_scores(Path(job.base.folder), Path(job.head.folder), paired)),
        notices=(
            *job.notices,
            *dict.fromkeys(note for e in head.experiments.values() for note in e.notes),
        ),
        baselines=tuple(moved_baselines(paired, base.experiments, there)),
        troubles=(*base.troubles, *head.troubles, *_new_warnings(base, head)),
        gates=(),
        prices_as_of=_prices_as_of(paired),
        show_text=job.show_text,
    )


def _trained_elsewhere(job: Job) -> dict[str, str]:
    """Return the trainings that locks of untouched experiments name: copying one of those trains nothing anew."""
    found: dict[str, str] = {}
    for path in sorted(job.base.files):
        name = path.removeprefix("experiments/").removesuffix(".lock.json")
        if path == f"experiments/{name}.lock.json" and name not in job.names:
            with suppress(DataError, OSError):
                lock = read_lock((Path(job.base.folder) / path).read_bytes(), file=path)
                found |= {run.train: f"{name}/{run.label}" for run in lock.runs}
    return found


def _revision(side: JobSide) -> Revision:
    files = {path: Entry("100644", oid) for path, oid in side.files.items()}
    return Revision(side.side.name, side.side.commit, side.side.tree, files)


def _closures(side: JobSide, scans: Scans) -> Closures:
    folder = Path(side.folder)
    return Closures(_revision(side), scans, lambda path: (folder / path).read_bytes())


def _places(names: Iterable[str], closures: Mapping[str, Closures]) -> dict[str, tuple[Places, Places]]:
    found = {}
    for name in names:
        before, after = closures["base"].of(name), closures["head"].of(name)
        changed = changed_files(before.blobs, after.blobs)
        found[name] = Places(before, changed), Places(after, changed)
    return found


def _compose(job: Job, which: str) -> _Composed:
    side: JobSide = getattr(job, which)
    project = Project(Path(side.folder))
    composed = _Composed()
    for name in job.names:
        if f"experiments/{name}.yaml" not in side.files:
            continue
        try:
            composed.experiments[name] = _experiment(project, name, side.pointers)
        except FtspecError as error:
            if which == "head" and error.exit_code == 66:
                raise
            # Beside a mistake a file that may lie outside git is none: with the lock it would be read from there.
            own = [problem for problem in error.problems if not _lies_outside(problem)] or error.problems
            composed.troubles += [_trouble(which, name, problem) for problem in own]
    return composed


def _new_warnings(base: _Composed, head: _Composed) -> Iterable[shapes.Trouble]:
    """Yield the warnings of the head that the base does not have: what was there before is not this change's."""
    for name, experiment in head.experiments.items():
        before = base.experiments.get(name)
        known = {(problem.code, problem.message) for problem in before.warnings} if before else set()
        for problem in experiment.warnings:
            if problem.severity == "warning" and (problem.code, problem.message) not in known:
                yield _trouble("head", name, problem)


def _experiment(project: Project, name: str, pointers: Mapping[str, str]) -> ExperimentSide:
    try:
        plan = draft_plan(project, name)
    except FtspecError as error:
        found = of_lock(project, name, pointers) if all(map(_lies_outside, error.problems)) else None
        if found is None:
            raise
        return found
    return lock_state(plan, of_plan(plan))


def _lies_outside(problem: Problem) -> bool:
    """Tell whether a problem is a file that may lie outside git: rows of the data, or items of a suite beside it."""
    if problem.code == "no_file":
        return problem.path.startswith("evals.") and problem.path.endswith(".data.path")
    return problem.code in ("missing_file", "not_fetched") and problem.path.startswith("dataset")


def _trouble(side: str, name: str, problem: Problem) -> shapes.Trouble:
    words = ": ".join(part for part in (problem.path, problem.told) if part)
    return shapes.Trouble(
        side="base" if side == "base" else "head",
        experiment=name,
        severity=problem.severity,
        code=problem.code,
        message=words[:2000],
        place=problem.site[:500],
    )


def _touched(job: Job, places: Places) -> Iterable[str]:
    # What a file that cannot be read would name is not known: of other files only those that both sides name.
    both = {path for path in places.changed if path in job.base.files and path in job.head.files}
    own = {path for path in places.changed if path.startswith(("conf/", "experiments/"))}
    paths = {path for path in both | own if job.base.files.get(path) != job.head.files.get(path)}
    old, new = (
        {path: (Path(side.folder) / path).read_bytes() for path in paths if path in side.files}
        for side in (job.base, job.head)
    )
    return touched(old, new)


def _experiments(
    job: Job,
    base: _Composed,
    head: _Composed,
    paired: list[Paired],
    places: Mapping[str, tuple[Places, Places]],
) -> Iterable[shapes.Experiment]:
    for name in job.names:
        old, new = base.experiments.get(name), head.experiments.get(name)
        one = new or old
        mine = [found for found in paired if found.one.experiment == name and found.new is not None]
        kind = "unchanged" if all(found.kind is None for found in mine) else "changed"
        if f"experiments/{name}.yaml" not in job.head.files:
            kind = "removed"
        elif new is None:
            kind = "broken"
        elif f"experiments/{name}.yaml" not in job.base.files:
            kind = "new"
        elif old is not None and len(old.runs) != len(new.runs):
            kind = "changed"
        runs = one.runs if one else ()
        yield shapes.Experiment(
            name=name,
            kind=kind,  # type: ignore[arg-type]
            provider=", ".join(dict.fromkeys(_provider(run.config) for run in runs)),
            model=", ".join(dict.fromkeys(str(run.config.get("model")) for run in runs)),
            runs_old=len(old.runs) if old else 0,
            runs_new=len(new.runs) if new else 0,
            unchanged=sum(found.kind is None for found in mine),
            usd_all_old=shapes.total(run.usd for run in old.runs) if old else 0.0,
            usd_all_new=shapes.total(run.usd for run in new.runs) if new else 0.0,
            suites=tuple(dict.fromkeys(name for run in runs for name in run.suites)),
            lock=(new.lock if new else "none"),  # type: ignore[arg-type]
            providers=tuple(dict.fromkeys(_provider(run.config) for run in runs)),
            models=tuple(dict.fromkeys(model for run in runs for model in asked_models(run))),
            touched=tuple(_touched(job, places[name][1]))[:20] if kind == "broken" else (),
        )


def _provider(config: Mapping[str, Any]) -> str:
    return str((config.get("provider") or {}).get("profile"))


def _prices_as_of(paired: Iterable[Paired]) -> str:
    """Return the day of the newest price that the changed runs are told with."""
    from ftspec.providers.profiles import load_profile

    runs = (run for found in paired if found.kind is not None for run in (found.old, found.new) if run is not None)
    names = {_provider(run.config) for run in runs}
    return max((price.as_of.isoformat() for name in names for price in load_profile(name).prices), default="")
