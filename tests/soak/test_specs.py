"""Generated experiments, many of them broken on purpose: a valid plan, or coded problems with a place."""

import copy
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from ftspec.compose import Project, verify_with_hydra
from ftspec.compose.points import same
from ftspec.spec.errors import FtspecError
from ftspec.spec.keys import WORDS
from ftspec.spec.reference import example
from ftspec.workflows.plan import Plan, make_plan

Tree = dict[str, Any]

# The examples of docs/spec.md that plan on the files below; together they hold every key.
EXAMPLES = [(model, key) for model, words in WORDS.items() for key in words.keys]
AXES: dict[str, list[Any]] = {
    "hyperparameters.n_epochs": ["auto", 1, 2, 3, 5],
    "hyperparameters.batch_size": ["auto", 4, 8],
    "hyperparameters.learning_rate_multiplier": ["auto", 0.02, 0.1, 0.2, 1],
    "seed": [0, 1, 2, 3],
    "weights": ["assistant", "last_assistant_message", "last_assistant_turn"],
    "dataset.split.test": [0.1, 5, 10],
    "dataset.split": [{"test": 0.2}, {"test": 5}],
    "model": ["tiny", "ftspec-tiny-1", "ftspec-scratch"],
}
TEXTS = {
    "hyperparameters.n_epochs": ["1,2,3", "range(1,4)", "choice(auto,2)", "logrange(1, 8, 4)"],
    "hyperparameters.learning_rate_multiplier": ["logrange(0.02, 0.2, 4)", "range(0.1,0.4,0.1)", "0.1,auto"],
    "seed": ["range(1,6,2)", "5", "1,2"],
    "weights": ["assistant,last_assistant_turn", "glob(last*)"],
}
OVERRIDES = [
    *("seed=3", "seed=1,2", "~sweep", "tags=[a,b]", "weights=last_assistant_turn", "hyperparameters.n_epochs=2"),
    *("repeats=2", "budget.max_usd=5", "hyperparameters=auto", "evals=[exact_match]", "description='a: b'"),
    *("metadata.team=x", "+metadata.new=y", "dataset.split.test=0.3", "sweep=epochs_first", "sweep.max_runs=50"),
    "hyperparameters.learning_rate_multiplier=logrange(0.1,0.4,3)",
]
BROKEN_OVERRIDES = [
    *("seeed=3", "seed=-1", "weights=nope", "hydra.run.dir=x", "seed", "=3", "a b", "weights@x=assistant"),
    *("description=${oc.env:HOME}", "description={{ x }}", "~nope", "+seed=3", "seed=range(1,100000000)", "x"),
    *("hyperparameters.n_epochs=yes", "seed=1:30", "tags=a", "sweep.grid.seed=[1,2]", "repeats=0", "seed=["),
    *("seed=1,1", "seed=interval(1,2)"),
]
NASTY: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 10**30, 1e308, "", " ", "auto", "yes", "010", "3", "???", "null", "~", "\x07"),
    *("${seed}", "${nope}", "${oc.env:HOME}", "${a.${b}}", "${.x}", "{{ text }}", "{{ text", "\\${x}", "../../etc/x"),
    *([], {}, [[]], [None], {"a": 1}, {"file": "nope"}, {"file": "../x"}, {"env": "X"}, {"file": "a", "env": "b"}),
    *("range(1, 4)", "range(1,", "a" * 5000, ["a"] * 300, {"_target_": "os.system"}, "\u202eevil", "ünï", {1: 2}),
]
TYPED = [
    "x: *a",
    "&a x",
    "!!int 3",
    "{a: range(1, 4)}",
    "[1, 2",
    "'open",
    "yes",
    "1:30",
    "0o7",
    ".nan",
    "<<: {}",
    "\t1",
]


TEMPLATE = [{"role": "user", "content": "{{ text }}"}, {"role": "assistant", "content": "{{ queue }}"}]


def merged(one: Any, other: Any) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        return {
            key: merged(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
            for key in (*one, *other)
        }
    return other


def made(chance: random.Random) -> Tree:
    """Return an experiment that is most often right."""
    spec: Tree = {
        "defaults": ["config", "_self_"],
        "model": "tiny",
        "dataset": {"sources": [{"path": "data/rows.jsonl"}], "split": {"test": 10}},
    }
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        spec = merged(spec, example(*chance.choice(EXAMPLES)))
    if "messages" in spec["dataset"] or "customer" in str(spec["dataset"]):
        spec["dataset"] = {"messages": TEMPLATE, **spec["dataset"], "sources": [{"path": "data/raw.jsonl"}]}
    if chance.random() < 0.5:
        spec["sweep"] = block(chance, 2)
    if chance.random() < 0.2:
        spec["defaults"] = ["config", {"override weights": chance.choice(AXES["weights"])}, "_self_"]
    if chance.random() < 0.2:
        spec["metadata"] = {"team": "a"}
        spec["description"] = "for ${metadata.team} on ${model}"
    return spec


def block(chance: random.Random, depth: int) -> Tree:
    """Return a sweep block."""
    keys = chance.sample(sorted(AXES), chance.choice((1, 1, 2, 3)))
    grid = {key: axis(chance, key) for key in keys}
    found: Tree = {"grid": grid}
    if chance.random() < 0.2:
        pair = chance.sample(sorted(set(AXES) - set(keys)), 2)
        found["zip"] = [{key: chance.sample(AXES[key], 2) for key in pair}]
    listed = [key for key in keys if isinstance(grid[key], list)]
    if listed and chance.random() < 0.3:
        key = chance.choice(listed)
        found["exclude"] = [{key: chance.choice(grid[key])}]
    if chance.random() < 0.15:
        found["random"] = chance.choice((1, 2, 5))
    if depth and chance.random() < 0.2:
        found["union"] = [block(chance, 0)]
    return found


def axis(chance: random.Random, key: str) -> Any:
    if key in TEXTS and chance.random() < 0.4:
        return chance.choice(TEXTS[key])
    return chance.sample(AXES[key], chance.randint(1, min(3, len(AXES[key]))))


def nodes(tree: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a tree."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [found for key, item in list(pairs) for found in ((tree, key), *nodes(item))]


def break_value(chance: random.Random, spec: Tree) -> None:
    container, key = chance.choice(nodes(spec))
    container[key] = chance.choice(NASTY)


def break_key(chance: random.Random, spec: Tree) -> None:
    container, key = chance.choice([pair for pair in nodes(spec) if isinstance(pair[0], dict)])
    value = container.pop(key)
    name = str(key)
    at = chance.randrange(len(name))
    container[chance.choice((name[:at] + name[at + 1 :], name + "s", name.upper(), f"{name}.x", f"+{name}", ""))] = (
        value
    )


def break_text(chance: random.Random, text: str) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    spot = chance.randrange(len(text))
    ways: list[Callable[[], str]] = [
        lambda: text[:spot] + text[spot + 1 :],
        lambda: text[:spot] + chance.choice("{}[]:,'\"#&*!|>%@`\t\x00\ufeff- \n") + text[spot:],
        lambda: "\n".join([*lines[:at], lines[at], *lines[at:]]),
        lambda: "\n".join([*lines[:at], *lines[at + 1 :]]),
        lambda: "\n".join([*lines[:at], "  " + lines[at], *lines[at + 1 :]]),
        lambda: "\n".join([*lines[:at], "\t" + lines[at], *lines[at + 1 :]]),
        lambda: text[:spot],
        lambda: text + chance.choice(TYPED) + "\n",
        lambda: re.sub(r": .*", f": {chance.choice(TYPED)}", text, count=1),
        lambda: "# @package _global_\n" + text,
        lambda: "\ufeff" + text.replace("\n", "\r\n"),
        lambda: text + "hydra: {sweeper: {params: {seed: 1,2}}}\n",
    ]
    return chance.choice(ways)()


class Plainly(yaml.SafeDumper):
    """Writes values out instead of referring to equal ones."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def generated(chance: random.Random) -> tuple[str, list[str]]:
    """Return the text of an experiment and overrides; two of five are broken in some way."""
    spec = copy.deepcopy(made(chance))
    overrides = chance.sample(OVERRIDES, chance.choice((0, 0, 0, 1, 2)))
    way = chance.choice(("right", "right", "right", "right", "value", "key", "text", "override"))
    if way == "value":
        break_value(chance, spec)
    elif way == "key":
        break_key(chance, spec)
    style = {"sort_keys": False, "allow_unicode": True, "default_flow_style": chance.choice((None, False))}
    text = yaml.dump(spec, Dumper=Plainly, **style)
    if way == "text":
        text = break_text(chance, text)
    elif way == "override":
        overrides.append(chance.choice(BROKEN_OVERRIDES))
    return text, overrides


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Every file that an example names, with 60 rows that suit all of them."""
    root = tmp_path_factory.mktemp("specs")
    chats = [
        {"messages": [{"role": role, "content": f"{role} {n}"} for role in ("user", "assistant")]} for n in range(60)
    ]
    raw = [{"text": f"text {n}", "queue": f"q{n % 3}", "customer": f"c{n}", "id": n} for n in range(60)]
    tool = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    files = {"prompts/route.md": "Route.\n", "data/tools.json": json.dumps(tool)}
    items = [{"key": n, "messages": [{"role": "user", "content": f"item {n}"}], "reference": "a"} for n in range(5)]
    for name, rows in (("rows", chats), ("chat", chats), ("raw", raw), ("items", items)):
        files[f"data/{name}.jsonl"] = "".join(json.dumps(row) + "\n" for row in rows)
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "experiments").mkdir()
    return Project(root)


def unchanged(text: str, overrides: list[str], plan: Plan) -> None:
    """Every leaf that the file holds is in the composed experiment, and every coordinate in its run."""
    written = OmegaConf.to_container(OmegaConf.create(text.removeprefix("\ufeff")), resolve=False)
    assert isinstance(written, dict)
    given = [override.lstrip("+~").partition("=")[0] for override in overrides]

    def look(value: Any, composed: Any, at: tuple[str, ...]) -> None:
        path = ".".join(at)
        touched = any(f"{path}.".startswith(f"{key}.") or f"{key}.".startswith(f"{path}.") for key in given)
        if touched or value is None or (isinstance(value, str) and "${" in value) or at == ("weights",):
            return
        if isinstance(value, dict) and "file" not in value:
            for key, item in value.items():
                if item is not None:
                    assert isinstance(composed, dict), path
                    look(item, composed.get(key), (*at, str(key)))
        elif not isinstance(value, (dict, list)):
            assert same(value, composed), f"{path}: {value!r} became {composed!r}"
        elif isinstance(value, list):
            assert len(value) == len(composed), path

    for key, value in written.items():
        if key not in ("defaults", "sweep"):
            look(value, plan.composed.config.get(key), (str(key),))
    for run in plan.runs:
        for key, value in run.point.coordinates.items():
            if isinstance(value, (str, int, float)) and key != "weights":
                node: Any = run.point.config
                for part in key.split("."):
                    node = node[part]
                assert same(node, value), f"{run.label}: {key} is {node!r}"


@pytest.mark.slow
def test_specs(project: Project, soak: Any) -> None:
    count = soak("specs")
    path: Path = project.experiments / "x.yaml"
    for number, chance in count.rounds():
        text, overrides = generated(chance)
        path.write_text(text, "utf-8", newline="")
        shown = f"overrides {overrides}\n{text}"
        plan = None
        try:
            with count.case(shown):
                plan = make_plan(project, "x", overrides)
        except FtspecError as error:
            count.refused(error.problems, project.root, shown)
        if plan is None:
            continue
        count.valid += 1
        with count.case(shown):
            labels = [run.label for run in plan.runs]
            assert labels
            assert len(set(labels)) == len(labels)
            unchanged(text, overrides, plan)
            if number % 20 == 0:
                equal, looked_at = verify_with_hydra(plan.composed, limit=2)
                assert equal == looked_at >= 1
                again = make_plan(project, "x", overrides)
                assert [run.train_digest for run in again.runs] == [run.train_digest for run in plan.runs]
    count.finish()
