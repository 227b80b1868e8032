"""Each lint keeps its stated rate on three public data sets; above one percent it is off until asked for."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from ftspec.data import CharEstimate, RowRules, prepare
from ftspec.data.lint.catalogue import CATALOGUE
from ftspec.data.lint.definition import Lint, RowCheck, Subject
from ftspec.data.lint.reading import rows
from ftspec.data.lint.running import run
from ftspec.spec.dataset import Dataset, Weights

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
NAMES = ("banking77", "clinc150", "gsm8k")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (SHARED / NAMES[0]).is_dir(), reason="no public data sets here")]

OF_ROWS = [one for one in CATALOGUE.values() if one.check and one.rates]
OF_SETS = [one for one in CATALOGUE.values() if one.check and not one.rates]


def load(name: str) -> list[tuple[str, str]]:
    """Return prompts and answers of the training rows; out of scope is answered with "I don't know"."""
    if name == "banking77":
        with (SHARED / name / "train.csv").open(encoding="utf-8", newline="") as stream:
            return [(row["text"], row["category"]) for row in csv.DictReader(stream)]
    if name == "clinc150":
        data = json.loads((SHARED / name / "data_full.json").read_text("utf-8"))
        return [*map(tuple, data["train"]), *((text, "I don't know") for text, _ in data["oos_train"])]
    lines = (SHARED / name / "train.jsonl").read_text("utf-8").splitlines()
    return [(row["question"], row["answer"]) for row in map(json.loads, lines)]


def subject(root: Path, pairs: list[tuple[str, str]]) -> Subject:
    root.mkdir(exist_ok=True)
    chats = [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in pairs]
    (root / "rows.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats))
    limits = RowRules(min_rows=1, advised_rows=0)
    dataset = Dataset.model_validate({"sources": [{"path": "rows.jsonl"}]})
    prepared = prepare(dataset, Weights(), root=root, counter=CharEstimate(), cache=None, format=limits)
    return Subject(prepared, Weights(), limits, root)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Subject]:
    root = tmp_path_factory.mktemp("public")
    return {name: subject(root / name, load(name)) for name in NAMES}


def rate(one: Lint, given: Subject) -> float:
    """Return percent of rows that the lint counts, out of its own message or counter."""
    assert one.check is not None
    check: Any = one.check(one, given)
    for row in rows(given.prepared):
        check.see(row)
    found = list(check.problems())
    total = given.prepared.parts["train"].rows
    if isinstance(check, RowCheck):
        return float(100 * check.count / total)
    return 100 * int(found[0].message.split(" ")[0].replace(",", "")) / total if found else 0.0


@pytest.mark.parametrize("one", OF_ROWS, ids=lambda one: str(one.code))
def test_stated_rates(one: Lint, subjects: dict[str, Subject]) -> None:
    measured = tuple(round(rate(one, subjects[name]), 2) for name in NAMES)
    assert measured == one.rates
    assert one.level == "ignore" or max(measured) <= 1.0


@pytest.mark.parametrize("name", NAMES)
def test_lints_of_whole_sets_are_silent(name: str, subjects: dict[str, Subject], tmp_path: Path) -> None:
    """On the whole set, and on twenty slices of a hundred rows."""
    assert not run(subjects[name], OF_SETS)
    pairs = load(name)
    step = len(pairs) // 100
    for n in range(20):
        assert not run(subject(tmp_path / str(n), pairs[n * 3 :: step][:100]), OF_SETS)
