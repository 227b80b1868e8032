"""Before something is reused: is it still what was sealed? Small files are hashed; `verify` hashes everything."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ftspec.runs.integrity import quick_faults
from ftspec.spec.errors import Problem, StaleError
from ftspec.storage import Hashing
from ftspec.workflows.plan import Plan, PlannedRun


def check_reused(plan: Plan) -> None:
    """Look at every attempt and every score that a plan reuses. Raises StaleError that names each altered file."""
    folders = [folder for run in plan.runs for folder in _of_run(run)]
    folders += [baselines.folder for baselines in plan.baselines if baselines.done]
    refuse_changed(dict.fromkeys(folders), plan.project.root)


def refuse_changed(folders: Iterable[Path], root: Path) -> None:
    """Look at some sealed folders, told relative to `root`. Raises StaleError."""
    problems = []
    hashing = Hashing()  # runs share their data
    for folder in folders:
        if faults := quick_faults(folder, hashing.sha256):
            made = folder.parents[1] if folder.parent.name == "attempts" else folder
            said = "changed after it was sealed, and is not reused: " + ", ".join(fault.file for fault in faults)
            fix = (
                f"bring it back, or remove {_told(made, root)}, which is then made again; `ftspec verify` looks at more"
            )
            problems.append(Problem("altered", said, file=_told(folder, root), fix=fix))
    if problems:
        raise StaleError.many(problems)


def _told(folder: Path, root: Path) -> str:
    return (folder.relative_to(root) if folder.is_relative_to(root) else folder).as_posix()


def _of_run(run: PlannedRun) -> Iterator[Path]:
    if run.directory is None or run.attempt is None:
        return
    yield run.attempt.path
    for suite in run.suites:
        if suite.name not in run.to_score and suite.suite.trained_arms:
            yield run.directory.evals(suite.name, suite.eval_digest, run.attempt)
