"""`diff`: what changed between two git revisions. Reads them as data, composes what changed, compares, judges gates."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ftspec.compose.blobs import Blobs
from ftspec.compose.closure import Closure, Closures, Scans
from ftspec.compose.extraction import check_size, write_private
from ftspec.compose.project import NAME, Project
from ftspec.compose.repository import Repository
from ftspec.compose.revision import WORKTREE, Revision, composing_files, printable
from ftspec.compose.scan import UNSAFE
from ftspec.spec.errors import FtspecError, Problem, UnsafeError
from ftspec.workflows.review import gates
from ftspec.workflows.review.changes import SCHEMA, Changes, Side
from ftspec.workflows.review.job import Job, JobSide, own_version

if TYPE_CHECKING:
    from ftspec.spec.policy import Policy

MAX_RUNS = 2000

# What changes the meaning of runs, or the machinery that judges them, without being part of an experiment.
_NOTABLE = (
    ("ftspec/*", "ftspec's own code"),
    ("pyproject.toml", "dependencies"),
    ("requirements*.txt", "dependencies"),
    ("requirements/*", "dependencies"),
    ("uv.lock", "dependencies"),
    (".github/*", "workflow files"),
    (".gitlab-ci.yml", "workflow files"),
    ("action.yml", "workflow files"),
)


@dataclass(frozen=True)
class Options:
    """How to compare. `exact`: the two revisions as given, not where they parted."""

    exact: bool = False
    untrusted: bool = False
    show_text: bool = False
    key: str = "default"


def diff(project: Project, base: str | None, head: str | None, options: Options = Options()) -> Changes:
    """Return what changed from `base` (default: the main branch) to `head` (default: the working tree).

    Raises UsageError for revisions that do not exist, UnsafeError for what must not be composed, SpecError for a
    policy that cannot be read. An experiment that does not compose is no error here: it stands in `troubles`.
    """
    repository = Repository.find(project.root)
    tip = repository.resolve(base or repository.main_branch()) if base != WORKTREE else WORKTREE
    one, other = tip, head or WORKTREE
    if not options.exact and tip != WORKTREE:
        one = repository.merge_base(tip, repository.resolve("HEAD" if other == WORKTREE else other))
    before, after = repository.at(one), repository.at(other)
    # Gates are those of the base's tip: where a change parted from it is for its author to choose.
    judge = before if tip == one else repository.only(tip, gates.PATH)
    with repository.blobs() as blobs, tempfile.TemporaryDirectory(prefix="ftspec-diff-") as private:
        found = _compared(before, after, blobs, Path(private), options, project.runs)
        return _judged(found, judge, blobs)


def _compared(before: Revision, after: Revision, blobs: Blobs, private: Path, options: Options, runs: Path) -> Changes:
    if before.tree and before.tree == after.tree:
        return _empty(_job(before, after, options, untouched=len(set(_experiments(after)))))
    job = _prepare(before, after, blobs, private, options)
    if not options.untrusted:  # a pull request of a fork may bring run directories of its own
        job = msgspec.structs.replace(job, runs=str(runs))
    return msgspec.structs.replace(_run(job, private), beside=tuple(_beside(before, after, blobs)))


def _run(job: Job, private: Path) -> Changes:
    if not job.names:
        return _empty(job)
    # What composes is imported by the process that does it.
    if job.untrusted:
        from ftspec.workflows.review.contained import compare_contained

        return compare_contained(job, private)
    from ftspec.workflows.review.compare_revisions import compare

    return compare(job)


def _judged(found: Changes, judge: Revision, blobs: Blobs) -> Changes:
    if not judge.has(gates.PATH):
        return found
    if judge.disk is None and not judge.files[gates.PATH].mode.startswith("100"):
        raise UnsafeError("link", f"{gates.PATH} of the base is no plain file", file=gates.PATH)
    policy = gates.read_policy(blobs.read(judge, gates.PATH))
    return msgspec.structs.replace(found, gates=gates.judge(policy, found), policy=judge.commit)


def _job(before: Revision, after: Revision, options: Options, untouched: int, **more: Any) -> Job:
    sides = [JobSide(side=_side(one), folder="", files={}, pointers={}) for one in (before, after)]
    values: dict[str, Any] = {"base": sides[0], "head": sides[1], "names": (), "notices": (), "limits": ""} | more
    return Job(untouched=untouched, key=options.key, show_text=options.show_text, untrusted=options.untrusted, **values)


def _prepare(before: Revision, after: Revision, blobs: Blobs, private: Path, options: Options) -> Job:
    blobs.measure(
        entry.oid for side in (before, after) for path in composing_files(side) if (entry := side.files[path]).oid
    )
    check_size(after, blobs)
    scans = Scans()
    old = Closures(before, scans, lambda path: blobs.read(before, path))
    new = Closures(after, scans, lambda path: blobs.read(after, path))
    _refuse(after, new)
    names = sorted({*_experiments(before), *_experiments(after)})
    every = [(name, old.of(name), new.of(name)) for name in names]
    changed = [(name, one, other) for name, one, other in every if _may_differ(name, one, other, before, after)]
    base, head = (
        _extract(before, [one for _, one, _ in changed], blobs, private / "base", options),
        _extract(after, [other for _, _, other in changed], blobs, private / "head", options),
    )
    _share_cache(private)
    return _job(
        before,
        after,
        options,
        untouched=len(names) - len(changed),
        base=base,
        head=head,
        names=tuple(name for name, _, _ in changed),
        kept=tuple(path for path, oid in head.files.items() if before.oid(path) == oid),
    )


def _may_differ(name: str, one: Closure, other: Closure, before: Revision, after: Revision) -> bool:
    """Tell whether anything that an experiment reads changed, or its scores on file: only then it is composed."""
    scores = f"experiments/{name}.results.json"
    return one.blobs != other.blobs or before.oid(scores) != after.oid(scores)


def _experiments(revision: Revision) -> Iterator[str]:
    for path in revision.files:
        folder, _, name = path.rpartition("/")
        if folder == "experiments" and name.endswith(".yaml") and NAME.fullmatch(name.removesuffix(".yaml")):
            yield name.removesuffix(".yaml")


def _refuse(revision: Revision, closures: Closures) -> None:
    """Scan every configuration file of the head, used or not. Raises UnsafeError."""
    problems: list[Problem] = []
    for path in composing_files(revision):
        if not path.endswith(".yaml") or path.startswith(".ftspec/"):
            continue
        problems += [problem for problem in closures.problems(path) if problem.code in UNSAFE]
        document = closures.document(path)
        sweep = document.root.entry("sweep") if document is not None and document.root is not None else None
        limit = sweep.entry("max_runs") if sweep is not None else None
        if limit is not None and limit.kind == "text" and limit.value.isdecimal() and int(limit.value) > MAX_RUNS:
            message = f"a review composes at most {MAX_RUNS:,} runs"
            problems.append(Problem("limit", message, "sweep.max_runs", path, limit.line, limit.column))
    if problems:
        raise UnsafeError.many(problems)


def _extract(revision: Revision, closures: Sequence[Closure], blobs: Blobs, folder: Path, options: Options) -> JobSide:
    named = {path for closure in closures for path in closure.named}
    paths = dict.fromkeys([*composing_files(revision), *sorted(named)] if closures else [])
    wanted = [path for path in paths if path != gates.PATH]
    blobs.measure(entry.oid for path in wanted if (entry := revision.files.get(path)) and entry.mode.startswith("100"))
    pointers = write_private(revision, wanted, blobs, folder, untrusted=options.untrusted)
    return JobSide(
        side=_side(revision),
        folder=str(folder),
        files={path: revision.oid(path) or "" for path in wanted if path not in pointers},
        pointers=pointers,
    )


def _share_cache(private: Path) -> None:
    """Let both sides share one disposable cache, so that equal data is rendered once."""
    (private / "runs").mkdir(mode=0o700)
    for side in ("base", "head"):
        (private / side / "runs").symlink_to(private / "runs")


def _beside(before: Revision, after: Revision, blobs: Blobs) -> Iterator[str]:
    found: dict[str, list[str]] = {}
    # Where the project lies below the repository's top, what drives its CI does not.
    for path in sorted({*before.files, *after.files, *before.machinery, *after.machinery}):
        words = next((words for pattern, words in _NOTABLE if fnmatchcase(path, pattern)), None)
        if words and _oid(before, path) != _oid(after, path):
            found.setdefault(words, []).append(path)
    if before.oid(gates.PATH) != after.oid(gates.PATH):
        changed = "; ".join(gates.differences(*(_policy(side, blobs) for side in (before, after))))
        told = "it takes effect after the merge, this plan was judged by the base's"
        yield f"{gates.PATH} changed ({changed or 'no gate'}): {told}"
    for words, paths in found.items():
        shown = ", ".join(map(printable, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        tail = (
            "; built-in defaults and digests may differ after the merge: install them and run ftspec diff again"
            if words in ("dependencies", "ftspec's own code")
            else ""
        )
        yield f"{words} changed: {shown}{tail}"


def _oid(revision: Revision, path: str) -> str | None:
    return revision.machinery.get(path) or revision.oid(path)


def _policy(revision: Revision, blobs: Blobs) -> "Policy | None":
    """Return a policy to name its differences; None where it cannot be read."""
    entry = revision.files.get(gates.PATH)
    try:
        return gates.read_policy(blobs.read(revision, gates.PATH) if entry else None)
    except FtspecError:
        return None


def _side(revision: Revision) -> Side:
    return Side(name=revision.shown, commit=revision.commit, tree=revision.tree)


def _empty(job: Job) -> Changes:
    return Changes(
        schema=SCHEMA,
        ftspec=own_version(),
        key=job.key,
        base=job.base.side,
        head=job.head.side,
        untrusted=job.untrusted,
        limits=job.limits,
        untouched=job.untouched,
        experiments=(),
        runs=(),
        fields=(),
        data=(),
        suites=(),
        overlaps=(),
        known=(),
        notices=job.notices,
        troubles=(),
        gates=(),
        prices_as_of="",
        show_text=job.show_text,
    )
