"""YAML as people write it: numbers that look odd, keys twice, anchors, tabs, byte order marks, flow style.

What is accepted must mean what it says: what YAML 1.2 reads (https://yaml.org/spec/1.2.2/#103-core-schema), which is
what people expect, where 1.1, Python and Hydra differ.
"""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.compose import Composed, Project, load
from ftspec.compose.points import same
from ftspec.spec.errors import FtspecError

ODD = [
    *("010", "0o10", "0x10", "0b11", "1_000", "+1", "-0", "00", "08", "1:30", "1:30:00", "190:20:30.15", "12:3"),
    *("1e-5", "1E5", "1e5", "1.", ".5", "5.e-1", "-.5", "1.0e+3", "1e400", ".inf", "-.INF", ".nan", "nan", "infinity"),
    *("yes", "No", "on", "OFF", "y", "n", "true", "True", "TRUE", "tRue", "null", "~", "Null", "nULL", "none", "None"),
    *("2027-01-06", "2027-1-6", "2001-12-14 21:59:43", "=", "<<", "1,2", "range(1, 4)", "logrange(1, 8, 2)", "a:b"),
    *(
        "9007199254740993",
        "123456789012345678901",
        "0.1",
        "3",
        "1",
        "auto",
        "assistant",
        "a #b",
        "'010'",
        '"yes"',
        "- a",
    ),
    *(
        "!!int 3",
        "!!str 3",
        "&a 3",
        "*a",
        "| 3",
        ">\n  3",
        "%x",
        "@x",
        "`x`",
        "{a: 1}",
        "[1, 2]",
        "? a",
        "\\x",
        "١",
        "３",
    ),
]
# Keys, each with a value around it, and values that its kind takes.
TEXTS = ["'010'", '"yes"', "y", "tRue", "08", "0o10", "a:b", "1:30 h", "010-020", "yes sir", "'1e-5'", "٣", "1.2.3"]
NUMBERS = ["3", "12", "1_0", "+7", "'3'"]
RATES = ["1e-1", "5E-2", ".5", "0.1", "1", "1.5e-1", "0.02", "1.0", "2e-2"]
PLACES = {
    "description: {}": TEXTS,
    "suffix: {}": TEXTS,
    "tags: [{}]": TEXTS,
    "tags:\n- {}": TEXTS,
    "metadata: {{team: {}}}": TEXTS,
    "metadata:\n  team: {}": TEXTS,
    "description: >-\n  {}": [*TEXTS, "010", "yes", "1:30", "# no comment"],
    "sweep:\n  grid:\n    dataset.sources.0.where.team: [{}, other]": TEXTS,
    "seed: {}": NUMBERS,
    "repeats: {}": NUMBERS,
    "hyperparameters: {{n_epochs: {}}}": [*NUMBERS, "auto"],
    "hyperparameters:\n  batch_size: {}": [*NUMBERS, "auto"],
    "sweep: {{grid: {{seed: [{}, 77]}}}}": NUMBERS,
    "sweep: {{grid: {{seed: {}}}}}": ['"1,2"', '"range(1, 4)"', "choice(1)", "'4'"],
    "sweep:\n  grid:\n    seed: {}": ["1,2", "range(1, 4)", "range(1,4)", "[1, 2]", "logrange(1, 8, 4)"],
    "sweep:\n  exclude:\n  - {{seed: {}}}\n  grid: {{seed: [1, 2]}}": ["1", "2"],
    "hyperparameters: {{learning_rate_multiplier: {}}}": RATES,
    "budget: {{max_usd: {}}}": RATES,
    "keep_until: {}": ["2027-01-06", "'2027-01-06'"],
}
HEAD = "defaults: [config, _self_]\nmodel: tiny\ndataset: {sources: [{path: data/rows.jsonl}]}\n"


def core(text: str) -> Any:
    """Return what YAML 1.2 reads in a plain scalar."""
    if text in ("null", "Null", "NULL", "~", ""):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text, re.ASCII):
        return int(text)
    if re.fullmatch(r"0o[0-7]+|0x[0-9a-fA-F]+", text):
        return int(text, 0)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", text, re.ASCII):
        return float(text)
    return text


def meant(line: str, value: str) -> list[Any]:
    """Return what a value may mean: what it says, or the very text that stands there; null means the default."""
    if line.startswith("description: >-"):
        return [value]
    if value[:1] in "'\"":
        # A text for `grid` is override grammar, and there 4 is a number.
        return [value[1:-1], *([core(value[1:-1])] if line.startswith("sweep: {grid: {seed: " + value[:1]) else [])]
    grouped = [core(value.replace("_", ""))] if re.fullmatch(r"[-+]?[1-9][0-9_]*", value, re.ASCII) else []
    return [core(value), value, *grouped]


def generated(chance: random.Random) -> tuple[str, str, str]:
    """Return the text of an experiment, the line that was set in it and the value that stands there."""
    place = chance.choice(list(PLACES))
    value = chance.choice(PLACES[place] if chance.random() < 0.5 else ODD)
    line = place.format(value)
    text = f"{HEAD}{line}\n"
    if chance.random() < 0.3:
        text = otherwise(chance, text)
    return text, line, value


def otherwise(chance: random.Random, text: str) -> str:
    """Write a file as other editors do, or put something into it that YAML has and an experiment must not."""
    lines = text.split("\n")
    at = chance.randrange(1, len(lines) - 1)
    ways: list[Callable[[], str]] = [
        lambda: "\ufeff" + text,
        lambda: text.replace("\n", "\r\n"),
        lambda: text.replace("\n", "\r"),
        lambda: text.rstrip("\n"),
        lambda: "---\n" + text,
        lambda: text + "---\n" + text,
        lambda: text + "...\n",
        lambda: "%YAML 1.2\n---\n" + text,
        lambda: text + lines[1] + "\n",
        lambda: text + "model: other\n",
        lambda: text.replace(": ", ":\t", 1),
        lambda: text.replace("  ", "\t"),
        lambda: text + "\t\n",
        lambda: text + "\tseed: 1\n",
        lambda: "\n".join([*lines[:at], "# ünï: {[", *lines[at:]]),
        lambda: text.replace("model: tiny", "model: &m tiny\nsuffix: *m"),
        lambda: text + "x: &x {a: 1}\n<<: *x\n",
        lambda: text + "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        lambda: text.replace("config", "'config'"),
        lambda: text.replace("model", '"model"'),
        lambda: text.replace("model", "? model\n").replace("? model\n: ", "? model\n: "),
        lambda: text.replace("tiny", "!!str tiny"),
        lambda: text.encode("utf-16").decode("latin-1"),
        lambda: text.replace("tiny", "ti\x85ny"),
        lambda: text.replace("tiny", "tiny\u2028"),
        lambda: text + "\x0c",
    ]
    return chance.choice(ways)()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A place for one experiment; composing looks at no data."""
    root = tmp_path_factory.mktemp("yaml")
    (root / "experiments").mkdir()
    return Project(root)


def values(composed: Composed, line: str) -> list[Any]:
    """Return every value that stands where the line has its own."""
    if line.startswith("sweep"):
        key = "dataset.sources.0.where.team" if "team" in line else "seed"
        return [point.coordinates.get(key) for point in composed.points]
    found: Any = composed.config
    for key in re.match(r"(\w+): *(?:[{\n] *(\w+):)?", line).groups():
        found = found.get(key) if key else found
    return found if isinstance(found, list) else [found]


@pytest.mark.slow
def test_yaml(project: Project, soak: Any) -> None:
    count = soak("yaml")
    path: Path = project.experiments / "x.yaml"
    for _, chance in count.rounds():
        text, line, value = generated(chance)
        path.write_text(text, "utf-8", newline="")
        composed = None
        try:
            with count.case(text):
                composed = load(project, "x")
        except FtspecError as error:
            count.refused(error.problems, project.root, text)
        if composed is None:
            continue
        count.valid += 1
        with count.case(text):
            assert composed.config["model"] == "tiny"
            got = values(composed, line)
            # What holds a structure, a comment or a function of its own is looked at elsewhere.
            if re.search(r"[(,]| #|^[|>{\[#-]", value) or "exclude" in line or core(value) is None:
                continue
            assert any(same(one, wanted) for one in got for wanted in meant(line, value)), f"{value} became {got}"
    count.finish()
