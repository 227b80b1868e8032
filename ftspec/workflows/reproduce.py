"""Do a run again and judge: the same result, or the reason why not. A new attempt each time, never an overwrite."""

import re

from ftspec.compose import Project
from ftspec.runs.names import read_names
from ftspec.spec.digests import short
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
    named = _named(project, target)
    if named is not None:
        return await of_named(project, named, options, emit)
    return await of_directory(project, target, options, emit)


def _named(project: Project, target: str) -> Named | None:
    """Read `NAME`, `NAME[LABEL]`, `...@REV`; None where a run directory is meant.

    Without a revision LABEL may be any name of a run; one that the lock does not have is taken from its directory.
    """
    match = _NAMED.fullmatch(target)
    if match is None or not (match["label"] or match["rev"] or match["name"] in project.experiment_names()):
        return None
    name, label, rev = match["name"], match["label"] or None, match["rev"]
    names = read_names(project.runs)
    locked = names.labels(name)
    if label is None or rev is not None or not locked or label in locked:
        return Named(name, label, rev)
    train = names.one(target).train
    meant = next((known for known, digest in locked.items() if short(digest) == train), None)
    return Named(name, meant, None) if meant is not None else None
