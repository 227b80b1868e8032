"""The oracle before training: Hydra composes the points itself, and every value must be equal."""

import random
from collections.abc import Sequence

from ftspec.compose.composed import Composed, Point
from ftspec.compose.expand import Expander
from ftspec.compose.session import opened
from ftspec.compose.sources import Snapshot
from ftspec.spec.errors import SpecError

ALL_UP_TO = 50
SEEDED = 20


def chosen(points: Sequence[Point], limit: int = ALL_UP_TO) -> list[Point]:
    """Return the points to verify: all up to `limit`, else the first, the last and 20 drawn by the labels' own seed.

    Never more than `limit` (at least 2).
    """
    if len(points) <= max(2, limit):
        return list(points)
    draw = random.Random("\n".join(point.label for point in points))
    inner = draw.sample(range(1, len(points) - 1), max(0, min(SEEDED, limit - 2)))
    return [points[number] for number in (0, *sorted(inner), len(points) - 1)]


def verify_with_hydra(composed: Composed, limit: int = ALL_UP_TO) -> tuple[int, int]:
    """Compose points with Hydra's own compose() and compare: return (equal, looked at).

    Raises SpecError `expansion_differs` naming the first point that differs, or `files_changed` if a configuration file
    changed since the experiment was loaded.
    """
    project = composed.project
    snapshot = Snapshot.of(project)
    points = chosen(composed.points, limit)
    with opened(snapshot, composed.name, str(project.experiments)) as session:
        expander = Expander(session)
        for point in points:
            if expander.oracle(point.overrides).unresolved != point.hydra_config:
                before = {file.path: file.sha256 for file in composed.files}
                changed = [file.path for file in snapshot.files() if before.get(file.path, file.sha256) != file.sha256]
                if changed:
                    message = f"{changed[0]} changed while ftspec was working"
                    raise SpecError("files_changed", message, file=changed[0], fix="give the command again")
                raise SpecError(
                    "expansion_differs",
                    f"{composed.name} {point.label}: our expansion is not what Hydra composes",
                    file=f"experiments/{composed.name}.yaml",
                    fix="nothing was trained; please report this with the experiment's file",
                )
    return len(points), len(points)
