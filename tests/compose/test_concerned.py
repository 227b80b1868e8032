"""Which runs of a sweep are meant: the words mean these and no other, and no fewer words would do."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st

from ftspec.compose.concerned import concerned
from ftspec.compose.labels import label, names
from ftspec.compose.points import Coordinates

KEYS = ["hyperparameters.n_epochs", "seed", "dataset.sources.0.count"]
VALUES = st.lists(st.sampled_from([1, 2, 3, True, "1", 0.5, None]), min_size=1, max_size=3, unique_by=repr)


@st.composite
def sweeps(draw: st.DrawFn) -> tuple[dict[str, Coordinates], set[str]]:
    """Draw points of a grid with some dropped, and which of them are meant."""
    axes = draw(st.lists(VALUES, min_size=1, max_size=3))
    grid = [dict(zip(KEYS, values, strict=False)) for values in itertools.product(*axes)]
    kept = [c for c in grid if draw(st.integers(0, 5))] or grid
    short = names(KEYS)
    points = {label(c, short): c for c in kept}
    one = draw(st.sampled_from(list(points.values())))
    chosen = draw(st.sets(st.sampled_from(list(one))))
    alike = {name for name, there in points.items() if all(repr(there[key]) == repr(one[key]) for key in chosen)}
    return points, draw(st.sampled_from([alike, draw(st.sets(st.sampled_from(list(points))))]))


def texts(coordinates: Coordinates) -> set[str]:
    """Each coordinate as a label says it."""
    return {label({key: value}, names(KEYS)) for key, value in coordinates.items()}


def brute_force(points: dict[str, Coordinates], meant: set[str]) -> str:
    """Say which of three ways of speaking is open: coordinates in common, values of one axis, or none."""
    told = {name: texts(there) for name, there in points.items()}
    every = set().union(*told.values())
    for size in range(1, len(KEYS) + 1):
        for some in itertools.combinations(sorted(every), size):
            if {name for name, there in told.items() if there >= set(some)} == meant:
                return f"{size} in common"
    for key in KEYS:
        values = {
            label({key: there[key]}, names(KEYS)) for name, there in points.items() if name in meant and key in there
        }
        if {name for name, there in told.items() if there & values} == meant:
            return "one axis"
    return "none"


@given(sweeps())
def test_the_words_mean_these_runs_and_no_other(drawn: tuple[dict[str, Coordinates], set[str]]) -> None:
    points, meant = drawn
    words, first = concerned(meant, points)
    if not meant or len(meant) == len(points):
        assert (words, first) == ("", "")
        return
    assert first == next(name for name in points if name in meant)
    told = set(re.split(r",| or ", words.replace(", ", ",")))
    best = brute_force(points, meant)
    if best.endswith("in common"):
        assert f"{len(told)} in common" == best
        assert {name for name, there in points.items() if told <= texts(there)} == meant
    elif best == "one axis":
        assert " more" in words or {name for name, there in points.items() if told & texts(there)} == meant
    else:
        assert words == f"{len(meant)} of {len(points)} runs, the first {first}"


def test_many_values_of_one_axis_are_counted() -> None:
    points: dict[str, Coordinates] = {f"seed={n}": {"seed": n} for n in range(9)}
    assert concerned([f"seed={n}" for n in range(7)], points)[0] == "seed=0, seed=1 and 5 more"
    assert concerned(["seed=1", "seed=3"], points)[0] == "seed=1 or seed=3"


def test_many_axes_in_common_cost_little() -> None:
    points: dict[str, Coordinates] = {f"r{n}": {f"k{i}": "v" for i in range(30)} | {"seed": n} for n in range(20)}
    assert concerned(["r3"], points)[0] == "seed=3"
