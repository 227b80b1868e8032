"""Do a run again and judge: the same result, or the reason why not. A new attempt each time, never an overwrite."""

import re

from ftspec.compose import Project
from ftspec.spec.errors import UsageError
from ftspec.spec.events import Emit, silent
from ftspec.workflows.reproduction.case import ReproduceOptions
from ftspec.workflows.reproduction.named import Named, of_named
from ftspec.workflows.reproduction.recorded import of_directory
from ftspec.workflows.reproduction.verdicts import Reproduction

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_-]*)(?:\[(?P<label>[^\]]*)\])?(?:@(?P<rev>[^@\s]+))?")


async def reproduce(
    project: Project, target: str, options: ReproduceOptions = ReproduceOptions(), emit: Emit = silent
) -> Reproduction:
    """Reproduce a run directory, or `NAME[LABEL]@REV` from git and its lock, up to a level.

    Raises UsageError for a target that means nothing, StaleError where the evidence itself was altered, GateError for
    a price without a yes, MissingKeyError.
    """
    if options.provider is not None and options.level != "equivalent":
        raise UsageError("transfer_level", "a transfer is judged by scores alone", fix="--level equivalent")
    match = _NAMED.fullmatch(target)
    if match is not None and (match["label"] or match["rev"] or match["name"] in project.experiment_names()):
        return await of_named(project, Named(match["name"], match["label"] or None, match["rev"]), options, emit)
    return await of_directory(project, target, options, emit)
