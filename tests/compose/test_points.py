"""The sweep block as points: golden ones for every form, laws of the product, and the cap before memory grows."""

import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspec.compose import load, verify_with_hydra
from ftspec.compose.axes import listed
from ftspec.compose.points import Axis, Block, Column, expand
from ftspec.spec.errors import SpecError


def labels(project: Any, *overrides: str) -> list[str]:
    return [point.label for point in load(project, "x", overrides).points]


def block(**axes: list[Any]) -> Block:
    return Block(tuple(Axis((Column(key, listed(values)),)) for key, values in axes.items()))


def test_zip_moves_keys_together(make_project) -> None:
    body = """
        sweep:
          grid: {seed: [1, 2]}
          zip:
            - {hyperparameters.n_epochs: [1, 2, 4], hyperparameters.batch_size: "4,8,16"}
        """
    assert labels(make_project(body)) == [
        "seed=1,epochs=1,batch=4",
        "seed=1,epochs=2,batch=8",
        "seed=1,epochs=4,batch=16",
        "seed=2,epochs=1,batch=4",
        "seed=2,epochs=2,batch=8",
        "seed=2,epochs=4,batch=16",
    ]


def test_exclude_drops_points_that_hold_all_pairs(make_project) -> None:
    body = """
        sweep:
          grid: {hyperparameters.n_epochs: [1, 4], weights: [assistant, last_assistant_message]}
          exclude: [{hyperparameters.n_epochs: 4, weights: assistant}]
        """
    assert labels(make_project(body)) == [
        "epochs=1,weights=assistant",
        "epochs=1,weights=last_assistant_message",
        "epochs=4,weights=last_assistant_message",
    ]


def test_union_appends_and_drops_duplicates(make_project) -> None:
    body = """
        sweep:
          grid: {seed: [1, 2], hyperparameters.n_epochs: [1]}
          union:
            - grid: {hyperparameters.n_epochs: [1, 2], seed: [2]}
            - zip: [{seed: [9], model: [other]}]
        """
    assert labels(make_project(body)) == ["seed=1,epochs=1", "seed=2,epochs=1", "seed=2,epochs=2", "seed=9,model=other"]


def test_an_empty_block_of_a_union_is_the_experiment_as_it_stands(make_project) -> None:
    """The default and one change each: without it the default was left out in silence."""
    body = "sweep: {union: [{}, {grid: {hyperparameters.n_epochs: [1]}}, {grid: {}}, {grid: {seed: [5]}}]}\n"
    assert labels(make_project(body)) == ["default", "epochs=1", "seed=5"]


def test_repeats_are_the_fastest_axis(make_project) -> None:
    project = make_project("seed: 5\nrepeats: 3\nsweep: {grid: {hyperparameters.n_epochs: [1, 2]}}\n")
    composed = load(project, "x")
    assert [point.label for point in composed.points] == [
        *("epochs=1,seed=5", "epochs=1,seed=6", "epochs=1,seed=7"),
        *("epochs=2,seed=5", "epochs=2,seed=6", "epochs=2,seed=7"),
    ]
    assert composed.points[1].overrides == ("hyperparameters.n_epochs=1", "seed=6", "repeats=1")
    assert composed.points[1].experiment.repeats == 1
    assert composed.experiment.repeats == 3
    assert composed.swept["seed"] == [5, 6, 7]


def test_repeats_without_a_sweep(make_project) -> None:
    assert labels(make_project("repeats: 2\n")) == ["seed=0", "seed=1"]
    assert labels(make_project("repeats: 2\n"), "seed=4") == ["seed=4", "seed=5"]


def test_random_is_stable_and_keeps_the_order(make_project) -> None:
    body = """
        seed: 1
        sweep:
          grid: {hyperparameters.n_epochs: "range(1,51)", hyperparameters.batch_size: "range(1,41)"}
          random: 5
        """
    project = make_project(body)
    first = labels(project)
    assert len(first) == 5
    assert labels(project) == first
    assert labels(project, "seed=2") != first
    order = [f"epochs={a},batch={b}" for a in range(1, 51) for b in range(1, 41)]
    assert [order.index(label) for label in first] == sorted(order.index(label) for label in first)


def test_random_keeps_what_stays_possible(make_project) -> None:
    """A larger space keeps every old point that is still among the lowest hashes; none is renamed."""
    small = block(a=list(range(20)), b=[1, 2])
    large = block(a=list(range(40)), b=[1, 2])
    kept = [expand(Block(one.axes, random=10), 7, 100).points for one in (small, large)]
    assert len(kept[0]) == len(kept[1]) == 10
    assert any(point in kept[1] for point in kept[0])
    assert all(point in kept[0] for point in kept[1] if point["a"] < 20)


def test_command_line_axes(make_project) -> None:
    project = make_project("sweep: {grid: {seed: [1, 2], hyperparameters.n_epochs: [1, 2]}}\n")
    assert labels(project, "hyperparameters.n_epochs=3,4") == [
        *("seed=1,epochs=3", "seed=1,epochs=4", "seed=2,epochs=3", "seed=2,epochs=4")
    ]
    assert labels(project, "seed=7") == ["epochs=1", "epochs=2"]
    assert labels(project, "seed=7", "hyperparameters.n_epochs=1") == ["default"]
    assert labels(project, "seed=7", "model=choice(a,b)")[:2] == ["epochs=1,model=a", "epochs=1,model=b"]
    assert labels(project, "~sweep") == ["default"]
    assert labels(project, "~sweep", "weights=assistant,from_data") == ["weights=assistant", "weights=from_data"]
    assert labels(project, "~sweep", "evals=[],[exact_match]") == ["evals=4f53cda1", "evals=exact_match-a9b1efd0"]


def test_overrides_stand_in_order(make_project) -> None:
    project = make_project("sweep: {grid: {hyperparameters.n_epochs: [1, 2]}}\n")
    point = load(project, "x", ["suffix=a", "seed=1,2", "tags=[x]"]).points[1]
    assert point.overrides == ("hyperparameters.n_epochs=1", "suffix=a", "seed=2", "tags=[x]")
    assert list(point.coordinates) == ["hyperparameters.n_epochs", "seed"]


def test_group_axes_take_their_options(make_project) -> None:
    project = make_project(
        "sweep: {grid: {weights: [assistant, mine], provider: glob(embedded)}}\n",
        {"conf/weights/mine.yaml": "train_on: last_assistant_turn\non_empty: drop\n"},
    )
    composed = load(project, "x")
    assert [point.label for point in composed.points] == [
        "weights=assistant,provider=embedded",
        "weights=mine,provider=embedded",
    ]
    assert [point.experiment.weights.on_empty for point in composed.points] == ["error", "drop"]
    assert composed.counts["plain"] == 3


def test_a_sweep_of_a_group(make_project) -> None:
    assert labels(make_project(), "sweep=epochs_first") == ["epochs=auto", "epochs=1", "epochs=2", "epochs=4"]


def test_equal_runs_are_an_error(make_project) -> None:
    project = make_project(
        "sweep: {grid: {weights: [assistant, same]}}\n", {"conf/weights/same.yaml": "train_on: assistant\n"}
    )
    with pytest.raises(SpecError, match="are the same run: weights changes nothing"):
        load(project, "x")


def test_sweep_without_auto_is_a_warning_at_hosts(make_project) -> None:
    body = "sweep:\n  grid:\n    hyperparameters.learning_rate_multiplier: [{}0.02, 0.2]\n"
    host = "provider: {profile: openai}\n"
    warned = load(make_project(body.format("") + host), "x").warnings
    sites = [(one.severity, one.site) for one in warned if one.code == "sweep_without_auto"]
    assert sites == [("warning", "experiments/x.yaml:7:5")]
    for body_without in (body.format("auto, ") + host, body.format("")):
        assert "sweep_without_auto" not in [one.code for one in load(make_project(body_without), "x").warnings]


@pytest.mark.parametrize(
    "body",
    [
        "sweep: {grid: {seed: 'range(0,2000000000)'}}\n",
        "sweep: {grid: {seed: 'range(0,2001)'}}\n",
        "sweep: {grid: {seed: 'range(0,1000)', hyperparameters.n_epochs: 'range(0,1000)'}}\n",
        "sweep: {grid: {seed: 'range(0,100000)'}, union: [{grid: {seed: 'range(0,100000)'}}]}\n",
        "sweep: {grid: {seed: 'range(0,1000000)'}, random: 5}\n",
        "repeats: 100\nsweep: {grid: {hyperparameters.n_epochs: 'range(1,40)'}}\n",
    ],
)
def test_the_cap_stops_before_memory_grows(make_project, body: str) -> None:
    project = make_project(body)
    load(project, "x", ["~sweep", "repeats=1"])
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(SpecError) as caught:
            load(project, "x")
        assert caught.value.code == "too_many_runs"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert time.process_time() - began < 5


def test_the_cap_can_be_raised(make_project) -> None:
    body = "sweep: {grid: {seed: 'range(0,2001)'}, max_runs: 2001}\n"
    assert len(load(make_project(body), "x").points) == 2001


axes = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), max_size=4
)


@settings(max_examples=150, deadline=None, database=None)
@given(axes)
def test_product_law(given: dict[str, list[int]]) -> None:
    points = expand(block(**given), 0, 10_000).points
    size = 1
    for values in given.values():
        size *= len(values)
    assert len(points) == (size if given else 0)
    assert len({tuple(point.items()) for point in points}) == len(points)
    # The first axis is slowest: indices count up like digits.
    digits = [[given[key].index(point[key]) for key in given] for point in points]
    assert digits == sorted(digits)


@settings(max_examples=150, deadline=None, database=None)
@given(axes, axes, st.integers(0, 9))
def test_union_exclude_and_random_laws(one: dict[str, list[int]], other: dict[str, list[int]], number: int) -> None:
    first, second = block(**one), block(**other)
    both = expand(Block(first.axes, union=(second,)), 0, 10_000).points
    # Below `union` a block without axes is the point without changes.
    alone = [*expand(first, 0, 10_000).points, *(expand(second, 0, 10_000).points if other else [{}])]
    unique = {tuple(sorted(point.items())) for point in alone}
    assert {tuple(sorted(point.items())) for point in both} == unique
    assert len(both) == len(unique)
    without = expand(Block(first.axes, union=(second,), exclude=({"a": number},)), 0, 10_000).points
    assert without == [point for point in both if point.get("a") != number]
    drawn = expand(Block(first.axes, union=(second,), random=3), 0, 10_000).points
    assert len(drawn) == min(3, len(both))
    assert [point for point in both if point in drawn] == drawn


def said(project: Any, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(project, "x", overrides)
    return [f"{one.site}: {one.path}: {one.message}" for one in caught.value.problems]


def test_seeds_of_the_command_line_are_not_dropped_beside_repeats(make_project) -> None:
    """Three seeds and `repeats: 2` gave two runs, one of a seed that nobody asked for."""
    assert said(make_project("repeats: 2\n"), "seed=7,9,11") == [
        "command line: seed: seed is swept and repeats counts seeds too"
    ]
    runs = load(make_project("repeats: 2\n"), "x", ["seed=7"]).points
    assert [run.config["seed"] for run in runs] == [7, 8]


@pytest.mark.parametrize("key", ["dataset.replace.größe", "dataset.replace.日本", "dataset.sources.00.count"])
def test_an_axis_that_no_override_can_hold(make_project, key: str) -> None:
    (told,) = said(make_project(f"sweep: {{grid: {{{key}: [a, b]}}}}\n"))
    assert told.endswith(f"{key}: cannot be swept: an override cannot hold this key")


@pytest.mark.parametrize("axis", ["logrange(1, 1e400, 3)", "logrange(1e-400, 1e-390, 3)"])
def test_logrange_beyond_floats(make_project, axis: str) -> None:
    (told,) = said(make_project(f"sweep: {{grid: {{hyperparameters.learning_rate_multiplier: '{axis}'}}}}\n"))
    assert "too large or too small" in told


def test_the_cap_counts_repeats(make_project) -> None:
    blocks = ", ".join(f"{{grid: {{dataset.sources.0.where.{key}: 'choice(a,b,c,d)'}}}}" for key in "ab")
    (told,) = said(make_project(f"repeats: 3\nsweep: {{max_runs: 20, union: [{blocks}]}}\n"))
    assert told.endswith("the sweep has 24 runs, the limit is 20")


def test_kinds_are_told_apart_to_the_ground(make_project) -> None:
    key = "dataset.sources.0.where.flag"
    values = [1, True, "1", "true", 1.5]
    assert repr(load(make_project(f"sweep: {{grid: {{{key}: {json.dumps(values)}}}}}\n"), "x").swept[key]) == repr(
        values
    )
    kept = load(make_project(f"sweep: {{grid: {{{key}: [[1], [true]]}}, exclude: [{{{key}: [true]}}]}}\n"), "x").points
    assert [run.coordinates[key] for run in kept] == [[1]]


def test_two_runs_of_one_name_are_an_error(make_project) -> None:
    texts = [f"Answer with the name of the queue, please, variant {number}" for number in (37883, 85534)]
    (told,) = said(make_project(f"sweep: {{grid: {{dataset.sources.0.where.a: {json.dumps(texts)}}}}}\n"))
    assert "2 runs would be called a=" in told


@pytest.mark.parametrize("base", ["a", "b"])
@pytest.mark.parametrize("typed", [False, True])
def test_an_axis_inside_the_options_of_another(make_files, base: str, typed: bool) -> None:
    """Whether it worked went by what the option of the base happened to hold."""
    grid = "" if typed else ", dataset.split.test: [1, 2]"
    project = make_files(
        {
            "conf/dataset/a.yaml": "sources: [{path: data/a.jsonl}]\nsplit: {test: 7}\n",
            "conf/dataset/b.yaml": "sources: [{path: data/b.jsonl}]\n",
            "experiments/x.yaml": f"defaults: [config, override dataset: {base}, _self_]\nmodel: tiny\n"
            f"sweep: {{grid: {{dataset: [a, b]{grid}}}}}\n",
        }
    )
    composed = load(project, "x", ["dataset.split.test=2"] if typed else [])
    assert [run.config["dataset"]["split"]["test"] for run in composed.points] == ([2, 2] if typed else [1, 2, 1, 2])
    assert verify_with_hydra(composed) == (len(composed.points),) * 2


@settings(max_examples=100, deadline=None, database=None)
@given(axes, st.integers(1, 400), st.integers(0, 9))
def test_what_has_no_effect_is_told_and_nothing_else(one: dict[str, list[int]], number: int, value: int) -> None:
    points = expand(block(**one), 0, 10_000).points
    idle = expand(Block(block(**one).axes, exclude=({"a": value},), random=number), 0, 10_000).idle
    left = [point for point in points if point.get("a") != value]
    assert [each.what for each in idle] == ["exclude"] * (left == points) + ["random"] * (number > len(left))


PARENT = """\
defaults: [config, _self_]
model: tiny
dataset: {sources: [{path: data/rows.jsonl}]}
hyperparameters: {n_epochs: 2}
sweep: {grid: {hyperparameters.n_epochs: [1, 3]}}
"""


@pytest.mark.parametrize(
    ("body", "overrides"),
    [
        ("hyperparameters: {batch_size: 4}\n", ()),  # another key
        ("hyperparameters: {n_epochs: 5}\nsweep: {grid: {hyperparameters.n_epochs: [1, 5]}}\n", ()),  # its own axis
        ("hyperparameters: {n_epochs: 5}\nsweep: {grid: {hyperparameters.n_epochs: null}}\n", ()),  # no axis any more
        ("hyperparameters: {n_epochs: 5}\nsweep: {union: [{}]}\n", ()),  # the default is a point
        ("hyperparameters: {n_epochs: 5}\n", ("~sweep",)),
        ("hyperparameters: {n_epochs: 5}\n", ("hyperparameters.n_epochs=4",)),
        ("hyperparameters: {n_epochs: 5}\n", ("hyperparameters.n_epochs=4,6",)),
    ],
)
def test_a_value_that_some_run_takes_is_no_mistake(make_project, body: str, overrides: tuple[str, ...]) -> None:
    files = {"experiments/parent.yaml": PARENT, "experiments/y.yaml": f"defaults: [parent, _self_]\n{body}"}
    assert load(make_project(files=files), "y", overrides).points


def test_a_value_under_an_axis_is_the_default_it_was_written_over(make_project) -> None:
    """In one file both stand side by side; so do an experiment and the sweep that is chosen for one command."""
    value, axis = "hyperparameters: {n_epochs: 2}\n", "grid: {hyperparameters.n_epochs: [1, 3]}\n"
    assert labels(make_project(f"{value}sweep:\n  {axis}")) == ["epochs=1", "epochs=3"]
    assert labels(make_project(value, {"conf/sweep/mine.yaml": axis}), "sweep=mine") == ["epochs=1", "epochs=3"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("union: [{}, {grid: {seed: [7, 8]}}]", ["default", "seed=8"]),
        ("union: [{grid: {seed: [7, 8]}}, {grid: {hyperparameters.n_epochs: [auto, 3]}}]", None),
        ("union: [{}, {grid: {hyperparameters.n_epochs: [auto, 3]}}]", ["default", "epochs=3"]),
    ],
)
def test_a_block_that_spells_out_the_default_gives_one_run(make_project, block: str, expected: Any) -> None:
    found = labels(make_project(f"seed: 7\nsweep: {{{block}}}\n"))
    assert found == (expected or ["seed=7", "seed=8", "epochs=3"])
