"""The oracle before training: Hydra composes the points itself, and every value must be equal."""

import json
import random
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ftspec.compose.composed import Composed, Point
from ftspec.compose.expand import Expander
from ftspec.compose.prepare import Texts, plain, prepare
from ftspec.compose.session import opened
from ftspec.compose.sources import Snapshot
from ftspec.spec.errors import SpecError
from ftspec.spec.experiment import Experiment

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
        expander, texts = Expander(session), Texts(snapshot)
        for point in points:
            run = expander.oracle(point.overrides)
            if not _identical(run.unresolved, point.hydra_config) or not _identical(
                _validated(run.config, texts), point.config
            ):
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


def _validated(config: dict[str, Any], texts: Texts) -> Any:
    """Return what a composed configuration says as an experiment, written out; None where it is none any more."""
    try:
        return plain(Experiment.model_validate(prepare(config, texts, lambda _path, _problem: None)))
    except ValidationError:
        return None


def _identical(one: Any, other: Any) -> bool:
    """Tell whether two values are equal in kind too: for Python 1, 1.0 and True are one."""
    return json.dumps(one, sort_keys=True, default=repr) == json.dumps(other, sort_keys=True, default=repr)
