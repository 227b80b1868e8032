"""Which runs of a sweep something concerns, in the words of the sweep."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ftspec.compose.labels import label, names
from ftspec.compose.points import Coordinates, same

_MOST_VALUES = 3
_MOST_AXES = 6  # of more, not every combination is tried


def concerned(labels: Iterable[str], points: Mapping[str, Coordinates]) -> tuple[str, str]:
    """Return which of the `points` are meant, `count=20`, and the label of the first; nothing where all are.

    It names the fewest coordinates that these runs have in common and no other run has together, else the values of the
    one axis that tells them apart.
    """
    wanted = set(labels)
    chosen = [name for name in points if name in wanted]
    if len(chosen) in (0, len(points)):
        return "", ""
    first = chosen[0]
    common = [one for one in points[first].items() if all(_has(points[name], *one) for name in chosen)]
    short = names(list(dict.fromkeys(key for coordinates in points.values() for key in coordinates)))
    if _count(points, common) == len(chosen):
        return label(dict(_fewest(points, common, len(chosen))), short), first
    for key in points[first]:
        values = dict.fromkeys(_text(points[name], key, short) for name in chosen)
        if None not in values and sum(_text(there, key, short) in values for there in points.values()) == len(chosen):
            return _either([text for text in values if text is not None]), first
    return f"{len(chosen)} of {len(points)} runs, the first {first}", first


def _count(points: Mapping[str, Coordinates], some: Sequence[tuple[str, Any]]) -> int:
    return sum(all(_has(coordinates, *one) for one in some) for coordinates in points.values())


def _fewest(points: Mapping[str, Coordinates], common: list[tuple[str, Any]], count: int) -> Sequence[tuple[str, Any]]:
    """Return the smallest part of `common` that no further point has; of very many axes one without a needless one."""
    for key, value in common if len(common) > _MOST_AXES else ():
        fewer = [one for one in common if one != (key, value)]
        common = fewer if _count(points, fewer) == count else common
    sizes = range(1, len(common) + 1) if len(common) <= _MOST_AXES else ()
    parts = (some for size in sizes for some in itertools.combinations(common, size))
    return next((some for some in parts if _count(points, some) == count), common)


def _text(coordinates: Coordinates, key: str, short: Mapping[str, str]) -> str | None:
    return label({key: coordinates[key]}, short) if key in coordinates else None


def _either(texts: Sequence[str]) -> str:
    if len(texts) > _MOST_VALUES:
        return f"{', '.join(texts[: _MOST_VALUES - 1])} and {len(texts) - _MOST_VALUES + 1} more"
    return f"{', '.join(texts[:-1])} or {texts[-1]}"


def _has(coordinates: Coordinates, key: str, value: Any) -> bool:
    return key in coordinates and same(coordinates[key], value)
