"""Which runs of a sweep something concerns, in the words of the sweep."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from ftspec.compose.labels import label, names
from ftspec.compose.points import Coordinates, same


def concerned(labels: Iterable[str], points: Mapping[str, Coordinates]) -> tuple[str, str]:
    """Return which of the `points` are meant, `count=20`, and the label of the first; nothing where all are.

    It names the fewest coordinates that these runs have in common and no other run has together.
    """
    wanted = set(labels)
    chosen = [name for name in points if name in wanted]
    if len(chosen) in (0, len(points)):
        return "", ""
    first = chosen[0]
    common = [one for one in points[first].items() if all(_has(points[name], *one) for name in chosen)]
    short = names(list(dict.fromkeys(key for coordinates in points.values() for key in coordinates)))
    for size in range(1, len(common) + 1):
        for some in itertools.combinations(common, size):
            if sum(all(_has(coordinates, *one) for one in some) for coordinates in points.values()) == len(chosen):
                return label(dict(some), short), first
    return f"{len(chosen)} of {len(points)} runs, the first {first}", first


def _has(coordinates: Coordinates, key: str, value: Any) -> bool:
    return key in coordinates and same(coordinates[key], value)
