"""How a project may lie on disk, so that every name means one file."""

from ftspec.compose.findings import raise_all
from ftspec.compose.sources import Snapshot
from ftspec.spec.errors import Problem


def check_layout(snapshot: Snapshot, name: str) -> None:
    """Refuse names that Hydra would take for something else. Raises SpecError.

    An experiment named like a base configuration shadows it for all others; a folder of `experiments/` named like a
    group would serve that group.
    """
    problems = []
    bases = {
        entry.removesuffix(".yaml"): layer.shown
        for layer in reversed(snapshot.layers[1:])
        for entry in snapshot.entries(layer.name, "") or ()
        if entry.endswith(".yaml")
    }
    groups = snapshot.groups()
    for entry in snapshot.entries("experiments", "") or ():
        stem = entry.removesuffix(".yaml")
        if entry.endswith(".yaml") and stem in bases:
            message = f"an experiment cannot be called {stem}: it would take the place of {bases[stem]}{entry}"
            problems.append(Problem("shadows", message, file=f"experiments/{entry}", line=1, column=1, fix="rename it"))
        elif entry.endswith("/") and entry.rstrip("/") in groups:
            message = f"a folder of experiments/ cannot be called like the group {entry.rstrip('/')}"
            fix = f"move its files to conf/{entry}"
            problems.append(Problem("shadows", message, file=f"experiments/{entry}", fix=fix))
    raise_all(problems)
