"""Several experiments in one command, some of them broken: each says together with the others what it says alone."""

import json
import random
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from ftspec.cli.main import main
from ftspec.spec.errors import Exit, FtspecError, Problem

ALONE = 4  # every so many cases each experiment is checked alone, too
HEAD = "defaults: [config, {}_self_]\nmodel: tiny\ndataset: {{sources: [{{path: data/rows.jsonl}}]}}\n"
BODIES = [
    *("", "seed: 3\n", "sweep: {grid: {seed: [1, 2]}}\n", "sweep:\n  grid: {hyperparameters.n_epochs: range(1,4)}\n"),
    *("weights: {train_on: last_assistant_turn}\n", "tags: [a]\nrepeats: 2\n", "hyperparameters: {n_epochs: 2}\n"),
    *("sweep:\n  grid: {weights: [assistant, from_data]}\n  max_runs: 4\n", "description: ä🙂\nmetadata: {team: a}\n"),
]
BROKEN = [
    *("seeed: 1\n", "repeats: 0\n", "seed: yes\n", "seed: [\n", "\tx: 1\n", "sweep: {grid: {seed: range(1, 4)}}\n"),
    *("hydra: {x: 1}\n", "dataset: {sources: [{path: data/nope.jsonl}]}\n", "seed: 1\nseed: 2\n", "model: gpt-9\n"),
    *("sweep: {grid: {seed: [1, 2]}, max_runs: 1}\n", "evals: {a: {graders: {}}}\n", "description: ${nope}\n"),
]
OVERRIDES = [
    *("seed=5", "seed=7,8", "weights=last_assistant_message", "tags=[x]", "hyperparameters.n_epochs=1,2", "~sweep"),
    *("seeed=1", "seed=x", "weights=nope", "sweep.max_runs=3", "seed=", "=", "+a.b=1", "hyperparameters.n_epochs=99"),
]
NAMES = ["a", "b", "c", "a,b", "c,a", "experiments/b.yaml", "a.yaml", "b,,c", "a,a"]
ODD_NAMES = [
    "nope",
    "a,nope",
    "../a",
    "experiments",
    "A",
    "a b",
    ",",
    "a;b",
    "x" * 300,
    "\x07",
    "a\n",
    "experiments/../a",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one data file, and the place where commands are given."""
    talks = [[{"role": "user", "content": f"q {n}"}, {"role": "assistant", "content": f"a {n}"}] for n in range(12)]
    for name in ("experiments", "data"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text("".join(json.dumps({"messages": one}) + "\n" for one in talks))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(chance: random.Random, folder: Path) -> str:
    """Write three experiments, one of three broken, and return their texts."""
    shown = ""
    for name in "abc":
        broken = chance.random() < 0.12
        base = chance.choice(("", "", "", "override hyperparameters: one_epoch, ", "b, " if name == "a" else ""))
        text = HEAD.format(base) + chance.choice(BROKEN if broken else BODIES)
        (folder / "experiments" / f"{name}.yaml").write_text(text, "utf-8")
        shown += f"# {name}\n{text}"
    return shown


def given(chance: random.Random) -> tuple[list[str], list[str]]:
    """Return names and overrides as a person may type them."""
    names = chance.sample(NAMES, chance.choice((1, 2, 2, 3)))
    if chance.random() < 0.08:
        names.append(chance.choice(ODD_NAMES))
    overrides = chance.sample(OVERRIDES, chance.choice((0, 0, 0, 0, 0, 1)))
    return names, overrides


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, int], set[tuple[str, str, int]], Any]:
    """Return the exit code, what is valid, and each mistake by code, file and line."""
    code = main(["validate", *words, "--json"])
    shown = json.loads(capsys.readouterr().out)
    problems = shown.get("problems", shown.get("error"))
    found = {(p["code"], p["file"], p["line"]) for p in problems if p["severity"] == "error"}
    return code, {one["experiment"]: one["runs"] for one in shown.get("valid", ())}, found, problems


@pytest.mark.slow
def test_several(folder: Path, soak: Any, capsys: pytest.CaptureFixture[str]) -> None:
    count = soak("several")
    for number, chance in count.rounds():
        shown = written(chance, folder)
        names, overrides = given(chance)
        shown += f"{names} {overrides}"
        with count.case(shown):
            code, valid, found, problems = said(capsys, *names, *overrides)
            assert code in (Exit.OK, Exit.USAGE, Exit.INVALID, Exit.UNSAFE), problems
            count.valid += code == Exit.OK
            if code not in (Exit.OK, Exit.USAGE):
                error = FtspecError.many(Problem(**problem) for problem in problems)
                count.refused(error.problems, folder, shown)
            if code == Exit.USAGE or number % ALONE:
                continue
            meant = dict.fromkeys(Path(name).stem for word in names for name in word.split(",") if name)
            alone = {name: said(capsys, name, *overrides) for name in meant}
            assert valid == {name: runs for one in alone.values() for name, runs in one[1].items()}
            assert found == set(chain.from_iterable(one[2] for one in alone.values()))
            assert code == max(one[0] for one in alone.values())
    with capsys.disabled():
        count.finish()
