"""Starting from git and the lock: what was claimed stands there, run directories of the same digests add to it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from ftspec.compose import Project, load
from ftspec.runs.directory import find_run
from ftspec.runs.known import KnownResults, read_results
from ftspec.runs.lock import Lock, LockedRun, read_lock
from ftspec.spec.errors import DataError, SpecError, UsageError
from ftspec.spec.events import Emit
from ftspec.workflows.elsewhere import Elsewhere, GoneError, bring_items, file_at, kept_items, of_revision
from ftspec.workflows.reproduction.case import Case, ReproduceOptions
from ftspec.workflows.reproduction.config import config_of_lock
from ftspec.workflows.reproduction.levels import climb
from ftspec.workflows.reproduction.recorded import refuse_altered
from ftspec.workflows.reproduction.sweep import conclusion_of
from ftspec.workflows.reproduction.verdicts import Reproduction, Subject, Verdict

_ADDED = (
    "no run directory is here: it would have added the recorded request (inputs), the answers, to compare (bits, paired"
    " equivalence) and to grade again (scores), and versions and machine"
)


@dataclass(frozen=True)
class Named:
    """`NAME[LABEL]@REV` taken apart; without `rev` the working tree is meant, without `label` every run."""

    name: str
    label: str | None
    rev: str | None

    @property
    def source(self) -> str:
        """Where it is read from, in words."""
        return "the working tree" if self.rev is None else f"revision {self.rev}"


async def of_named(project: Project, named: Named, options: ReproduceOptions, emit: Emit) -> Reproduction:
    """Reproduce the runs of an experiment as its lock has them. Raises UsageError, DataError, what `climb` raises."""
    if options.level == "conclusion" and named.label is not None:
        fix = f"ftspec reproduce {named.name} --level conclusion"
        raise UsageError("sweep_level", "a conclusion is that of a sweep, not of one run", fix=fix)
    lock, known = _read(project, named)
    cases = [_case(project, run, known) for run in lock.runs if named.label in (None, run.label)]
    if not cases:
        labels = ", ".join(run.label for run in lock.runs[:8])
        said = f"the lock of {named.name} has no run {named.label!r}"
        raise UsageError("unknown_run", said, fix=f"one of: {labels}")
    notes = [f"from {named.source} and its lock"]
    if any(case.attempt is None for case in cases):
        notes.append(_ADDED)
    sweep: tuple[Subject, ...] = ()
    try:
        with of_revision(project, named.rev, {source.path: source.sha256 for source in lock.sources}) as there:
            sweep = await _judge(there, named.name, lock, known, cases, options, emit)
    except GoneError as gone:
        for case in cases:
            case.verdicts.append(Verdict("config", "impossible", (gone.what,), since=gone.since))
    subjects = (*sweep, *(case.subject(project.root) for case in cases))
    return Reproduction(named.name, options.level, subjects, tuple(notes))


def _read(project: Project, named: Named) -> tuple[Lock, KnownResults]:
    path = f"experiments/{named.name}.lock.json"
    content = file_at(project, named.rev, path)
    if content is None:
        fix = f"ftspec lock {named.name}, and commit it; or name a run directory"
        raise UsageError("no_lock", f"there is no {path} in {named.source}", fix=fix)
    known = file_at(project, named.rev, f"experiments/{named.name}.results.json")
    return read_lock(content, file=path), read_results(known) if known is not None else KnownResults()


def _case(project: Project, run: LockedRun, known: KnownResults) -> Case:
    rows = tuple(row for row in known.results if row.train == run.train)
    case = Case(run.label, run.train, locked=run, known=rows)
    directory = find_run(project.runs, run.train)
    attempt = directory.original() if directory is not None else None
    if directory is None or attempt is None:
        return case
    refuse_altered(directory)
    if attempt.results.get("reproduces") is None:
        case.directory, case.attempt = directory, attempt
    else:
        case.notes.append("the run directory here holds reproductions only: the claim is that of results.json")
    return case


async def _judge(
    there: Elsewhere,
    name: str,
    lock: Lock,
    known: KnownResults,
    cases: Sequence[Case],
    options: ReproduceOptions,
    emit: Emit,
) -> tuple[Subject, ...]:
    if there.root != there.home:
        with suppress(SpecError, DataError):  # what does not compose is told by level config
            evals = [suite.eval for suite in lock.suites]
            kept = dict(item for case in cases if case.directory for item in kept_items(case.directory, evals))
            bring_items(there, Project(there.home), load(there, name).config, kept)
    plan = config_of_lock(there, name, lock, cases)
    if plan is None:
        return ()
    baselines = await climb(there, plan, cases, options, emit)
    if options.level != "conclusion" or any(case.ended for case in cases):
        return ()
    return (conclusion_of(plan, cases, known, baselines),)
