"""Starting from a run directory: its own sources, its own request, its own answers."""

from ftspec.compose import Project
from ftspec.runs.directory import RunDirectory
from ftspec.runs.integrity import check_run
from ftspec.runs.names import read_names
from ftspec.spec.errors import StaleError, UsageError
from ftspec.spec.events import Emit
from ftspec.workflows.elsewhere import GoneError, of_run
from ftspec.workflows.reproduction.case import Case, ReproduceOptions
from ftspec.workflows.reproduction.config import config_of_run
from ftspec.workflows.reproduction.levels import climb
from ftspec.workflows.reproduction.scores import judge_scores
from ftspec.workflows.reproduction.verdicts import Reproduction, Verdict


async def of_directory(project: Project, target: str, options: ReproduceOptions, emit: Emit) -> Reproduction:
    """Reproduce the one run that `target` names. Raises UsageError, StaleError, and what `climb` raises."""
    run = read_names(project.runs).one(target).here()
    if options.level == "conclusion":
        fix = f"ftspec reproduce {run.experiment} --level conclusion"
        raise UsageError("sweep_level", "a conclusion is that of a sweep, not of one run", fix=fix)
    refuse_altered(run)
    facts, attempt = run.facts, run.original()
    if attempt is None:
        raise UsageError("not_finished", f"{run.path.name} has no finished attempt", fix=f"ftspec run {run.experiment}")
    case = Case(facts["label"], facts["digests"]["train"], directory=run, attempt=attempt)
    if claimed := attempt.results.get("reproduces"):
        case.notes.append(f"compared with a reproduction: the first attempt (seal {claimed[:12]}) is not here")
    try:
        with of_run(project, run) as there:
            plan = config_of_run(there, run, case)
            if plan is not None:
                await climb(there, plan, [case], options, emit)
    except GoneError as gone:
        case.verdicts.append(Verdict("config", "impossible", (gone.what,), since=gone.since))
        if options.level == "scores":
            case.notes.append("graded by the suite and the items that the run itself holds")
            case.verdicts.append(judge_scores(run, attempt, None, project.store))
    place = run.path.relative_to(project.root) if run.path.is_relative_to(project.root) else run.path
    notes = (f"from the run directory {place}",)
    return Reproduction(facts["experiment"], options.level, (case.subject(project.root),), notes)


def refuse_altered(run: RunDirectory) -> None:
    """Raise StaleError where sealed bytes of a run are not what they were: nothing may be concluded from them."""
    bad = [one for one in check_run(run) if one.state not in ("intact", "unsealed")]
    if bad:
        said = "was altered" if any(one.state != "missing" for one in bad) else "is not whole"
        faults = "; ".join(f"{one.folder.name}/{fault}" for one in bad for fault in one.faults) or bad[0].note
        raise StaleError("altered", f"the evidence {said}: {faults}", file=str(run.path), fix="ftspec verify")
