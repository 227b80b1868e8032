"""Find what a person names: a sweep point by its label, a run by label or digest prefix."""

import difflib

from ftspec.compose import Composed, Point
from ftspec.spec.errors import UsageError


def point_of(composed: Composed, label: str) -> Point:
    """Return the point with this label. Raises UsageError with the nearest labels."""
    for point in composed.points:
        if point.label == label:
            return point
    labels = [point.label for point in composed.points]
    near = difflib.get_close_matches(label, labels, n=3) or labels[:5]
    raise UsageError("unknown_run", f"{composed.name} has no run {label!r}", fix="for example " + ", ".join(near))
