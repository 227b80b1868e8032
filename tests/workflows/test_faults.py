"""All mistakes at once: what several mistakes give together is what each of them gives alone, no more and no less."""

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspec.compose import Project
from ftspec.spec.errors import FtspecError
from ftspec.workflows.plan import make_plan

Files = dict[str, Any]
Mistake = Callable[[Files], Any]


def sound() -> Files:
    chats = [
        {"messages": [{"role": role, "content": f"{role} {n}"} for role in ("user", "assistant")]} for n in range(40)
    ]
    return {
        "experiments/x.yaml": {
            "defaults": ["config", {"override weights": "assistant"}, {"override evals": ["routing"]}, "_self_"],
            "model": "tiny",
            "dataset": {
                "sources": [{"path": "data/chat.jsonl"}, {"path": "data/more.jsonl"}],
                "split": {"test": 5},
            },
            "hyperparameters": {"n_epochs": 1},
            "evals": {
                "own": {"graders": {"g": {"type": "label"}}, "data": {"path": "data/items.jsonl"}},
                "other": {"graders": {"g": {"type": "string_check"}}},
            },
            "sweep": {"grid": {"seed": [1, 2]}},
            "lint": {"few_rows": "warning"},
        },
        "conf/evals/routing.yaml": {"routing": {"graders": {"g": {"type": "label"}}}},
        "data/chat.jsonl": [json.dumps(row) for row in chats],
        "data/more.jsonl": [json.dumps(row) for row in chats[:1]],
        "data/items.jsonl": [json.dumps({"messages": [{"role": "user", "content": "q"}], "reference": "a"})],
    }


def setting(path: str, value: Any, file: str = "experiments/x.yaml") -> Mistake:
    def make(files: Files) -> None:
        node = files[file]
        *parents, last = [int(key) if key.isdigit() else key for key in path.split("/")]
        for key in parents:
            node = node[key]
        node[last] = value

    return make


def row(number: int, text: str, file: str = "data/chat.jsonl") -> Mistake:
    return lambda files: files[file].__setitem__(number, text)


def weighted(role: str, weight: int) -> str:
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    return json.dumps({"messages": [m | ({"weight": weight} if m["role"] == role else {}) for m in messages]})


# Each stands in a place of its own; what one breaks, none of the others needs.
MISTAKES: dict[str, Mistake] = {
    "a typo in a key": setting("hyperparameters", {"n_epoch": 1}),
    "a value out of bounds": setting("repeats", 0),
    "an unknown model": setting("model", "tiney"),
    "a missing file": setting("dataset/sources/1/path", "data/mroe.jsonl"),
    "a row without messages": row(3, '{"text": "a"}'),
    "a weight of 2": row(5, weighted("assistant", 2)),
    "a weight on a user message": row(7, weighted("user", 1)),
    "a row that is no JSON": row(9, '{"messages": [}'),
    "an unknown block": setting("defaults/2", {"override evals": ["routing", "rooting"]}),
    "an unknown metric": setting("evals/other/metrics", {"primary": "h.rate"}),
    "no items": lambda files: files.pop("data/items.jsonl"),
    "a template in a suite file": setting(
        "routing/graders/g/reference", "{{ itm.reference }}", "conf/evals/routing.yaml"
    ),
    "a wrong axis": setting("sweep/grid/nothing", [1]),
    "an unknown lint": setting("lint/few_row", "error"),
    "a schema that is none": setting("dataset/sources/0/schema", {"type": "objekt"}),
    "a rule that does not compile": setting(
        "weights", {"rules": [{"name": "a", "match": {"content_regex": "("}, "weight": 0}]}
    ),
}
NEEDED = {"a weight on a user message", "a rule that does not compile"}  # what is learned, rules decide


def told(root: Path, mistakes: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Return what is said of the sound experiment with these mistakes; lines of YAML move, so they are left out."""
    files = sound()
    for name in mistakes:
        MISTAKES[name](files)
    for path in ("experiments", "conf/evals", "data"):
        (root / path).mkdir(parents=True, exist_ok=True)
    for name in sound():
        (root / name).unlink(missing_ok=True)
    for name, content in files.items():
        text = "".join(f"{line}\n" for line in content) if isinstance(content, list) else yaml.safe_dump(content)
        (root / name).write_text(text)
    with pytest.raises(FtspecError) as caught:
        make_plan(Project(root), "x")
    problems = caught.value.problems
    assert all(problem.file and (problem.line or problem.code == "missing_file") for problem in problems), problems
    assert [one.file for one in problems] == sorted(one.file for one in problems)
    return sorted((p.code, p.file, p.line if p.file.endswith(".jsonl") else 0, p.path, p.message) for p in problems)


def test_four_mistakes_together_are_told_as_each_alone(tmp_path: Path) -> None:
    alone = {name: told(tmp_path, (name,)) for name in MISTAKES}
    assert all(len(found) == 1 for found in alone.values()), {k: v for k, v in alone.items() if len(v) != 1}
    chance = random.Random(3)
    fours = [four for four in itertools.combinations(MISTAKES, 4) if not set(four) >= NEEDED]
    for four in [*chance.sample(fours, 12), tuple(name for name in MISTAKES if name != "a weight on a user message")]:
        assert told(tmp_path, four) == sorted(one for name in four for one in alone[name]), four
