"""Generated raw files of every kind, and what is taken of them: `where`, `extract`, `count`, `schema`, folds, `bake`.

What the rows must become is worked out here a second time, in plain Python.
"""

import csv
import gzip
import io
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from pydantic import ValidationError

from ftspec.compose import Project
from ftspec.compose.shape import shape_of
from ftspec.compose.wording import of_validation
from ftspec.data import CharEstimate, Prepared, RowRules, prepare
from ftspec.data.baking import keep_answers, question
from ftspec.data.chat import ChatRow
from ftspec.spec.dataset import Bake, Dataset, Weights
from ftspec.spec.errors import FtspecError, SpecError
from ftspec.workflows.plan import make_plan

Row = dict[str, Any]

LABELS = ["cards", "billing", "Überweisung", 'it\'s; "other"', "0", "yes"]
NOTES = ["#### {}", "first\n#### {}", "so: #### {}"]
EXTRACT = {"note": r"(?s)#### (?P<final>.+)$"}
KINDS = ["jsonl", "jsonl.gz", "jsonl.zst", "json", "csv", "csv.gz", "csv.zst", "parquet", "lists.jsonl"]
CONTRACT = {"type": "object", "required": ["id", "label"], "properties": {"label": {"type": "string", "minLength": 1}}}
BAKE = {"model": "tiny", "into": "data/answers.jsonl"}
WHOLE = 10  # every tenth case is a whole experiment: Hydra takes longer than all the rest
FEW = {"split", "n_rows"}  # what a right file may still be refused for: too little is left
ALIKE = ("leak", "leak_alike", "leak_row", "near_dup", "few_rows")  # generated texts resemble each other


@dataclass
class Case:
    """Files by name, the dataset over them, and what each source of it has in its files when nothing was broken."""

    files: dict[str, bytes]
    dataset: Row
    rows: dict[str, list[Row]]
    right: bool = True


def raw(chance: random.Random, first: int, count: int) -> list[Row]:
    """Return flat rows whose ids go on from `first`."""
    return [
        {
            "id": str(first + n),
            "text": f"text {first + n} {chance.choice(('', 'ünï 🙂', 'a,b', chr(0x2028), 'two words', '{{ x }}'))}",
            "label": chance.choice(LABELS),
            "note": chance.choice(NOTES).format(chance.randrange(1000)),
            "stars": chance.randrange(4),
        }
        for n in range(count)
    ]


def written(chance: random.Random, rows: list[Row], kind: str) -> bytes:
    """Return the bytes of a file of that kind."""
    form = kind.removesuffix(".gz").removesuffix(".zst")
    if form == "parquet":
        return parquet(rows)
    if form == "csv":
        made = io.StringIO()
        writer = csv.DictWriter(made, list(rows[0]), lineterminator=chance.choice(("\n", "\r\n")))
        writer.writeheader()
        writer.writerows(rows)
        data = chance.choice(("", "\ufeff")).encode() + made.getvalue().encode()
    elif form == "json":
        data = json.dumps({"version": 1, "train": rows}, indent=chance.choice((None, 1))).encode()
    elif form == "lists.jsonl":
        data = "\n".join(json.dumps(list(row.values())) for row in rows).encode()
    else:
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    return packed(data, kind)


def parquet(rows: list[Row]) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as library

    made = io.BytesIO()
    library.write_table(pyarrow.Table.from_pylist(rows), made, row_group_size=4)
    return made.getvalue()


def packed(data: bytes, kind: str) -> bytes:
    if kind.endswith(".zst"):
        return bytes(pytest.importorskip("zstandard").ZstdCompressor().compress(data))
    return gzip.compress(data, mtime=0) if kind.endswith(".gz") else data


def source(chance: random.Random, name: str, kind: str, rows: list[Row]) -> Row:
    """Return a source over a file, with what is taken of it."""
    made: Row = {"path": name}
    if kind == "json":
        made["field"] = "train"
    if kind == "lists.jsonl":
        made["columns"] = list(rows[0])
    if chance.random() < 0.4:
        labels = sorted({row["label"] for row in rows})
        made["where"] = {"label": chance.choice((labels, labels[0], labels[:2]))}
        if chance.random() < 0.3:
            stars = sorted({row["stars"] for row in rows if holds(row, made["where"])})
            made["where"]["stars"] = [str(n) for n in stars] if "csv" in kind else stars
    if chance.random() < 0.3:
        made["count"] = chance.choice((3, 15, 100))
    if chance.random() < 0.2:
        made["fraction"] = chance.choice((0.5, 0.9, 1))
    if chance.random() < 0.3:
        made["schema"] = CONTRACT
    return made


def holds(row: Row, where: Row) -> bool:
    """Whether a row meets `where`; what a file stores as text is compared as text."""
    return all(str(row[key]) in map(str, w if isinstance(w, list) else [w]) for key, w in where.items())


def generated(chance: random.Random) -> Case:
    """Return files and a dataset; two of five are broken in some way."""
    files: dict[str, bytes] = {}
    rows: dict[str, list[Row]] = {}
    sources = []
    for number in range(chance.choice((1, 1, 2, 3))):
        kind = chance.choice(KINDS)
        name = f"part{number}.{kind}"
        rows[name] = raw(chance, 100 * number, chance.choice((15, 30)))
        files[name] = written(chance, rows[name], kind)
        sources.append(source(chance, f"data/{name}", kind, rows[name]))
    template = [{"role": "user", "content": "{{ text }}"}, {"role": "assistant", "content": "{{ label }}"}]
    dataset: Row = {"sources": sources, "messages": template}
    if chance.random() < 0.3:
        dataset["extract"] = EXTRACT
        template[1]["content"] = "{{ final }}"
    if chance.random() < 0.2 and "extract" not in dataset:
        dataset["replace"] = {"label": {kept(rows, sources[0])[0]["label"]: "something else"}}
    how = chance.random()
    if how < 0.2:
        dataset["split"] = {"folds": 2, "fold": chance.choice((0, 1))}
    elif how < 0.5:
        dataset["split"] = {"test": chance.choice((2, 0.3)), "validation": chance.choice((1, 0.2))}
    if how < 0.5 and chance.random() < 0.4:
        dataset["split"]["by"] = chance.choice(("id", "label", "row", "first_user"))
    if not {"extract", "replace"} & set(dataset) and chance.random() < 0.2:
        del template[1]
        dataset["bake"] = BAKE
        files["answers.jsonl"] = answers(rows)
    case = Case(files, dataset, rows)
    if chance.random() < 0.4:
        worse(chance, case)
    return case


def answers(rows: dict[str, list[Row]]) -> bytes:
    """Return the file of a teacher that answered every question."""
    bake = Bake.model_validate(BAKE)
    found = []
    for row in (row for part in rows.values() for row in part):
        chat = msgspec.convert({"messages": [{"role": "user", "content": row["text"]}]}, ChatRow)
        found.append((question(bake, None, chat), f"baked {row['id']}"))
    with tempfile.TemporaryDirectory() as folder:
        return keep_answers(Path(folder) / "answers.jsonl", b"", found, bake)


def kept(rows: dict[str, list[Row]], one: Row) -> list[Row]:
    """Return the rows of a source's file that meet its `where`."""
    return [row for row in rows[one["path"].removeprefix("data/")] if holds(row, one.get("where", {}))]


def worse(chance: random.Random, case: Case) -> None:
    """Break a value of the dataset, the bytes of a file, or what the rows of a file are."""
    case.right = False
    one = chance.choice(case.dataset["sources"])
    name = chance.choice(list(case.files))
    data = case.files[name]
    at = chance.randrange(len(data))
    damage: list[Callable[[], bytes]] = [
        lambda: data[:at],
        lambda: data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :],
        lambda: data + data,
        lambda: data[:at] + b"\x00" * 8 + data[at:],
        lambda: chance.choice(list(case.files.values())),
        lambda: data.replace(b"label", b"labels"),
        lambda: b"",
    ]
    values: list[tuple[Row, str, Any]] = [
        (one, "where", chance.choice(({"labl": "x"}, {"label": "nope"}, {"label": []}, {"": 1}, {"a.b[0]": None}, {}))),
        (one, "count", chance.choice((0, -1, 1.5, "3", True, 10**12))),
        (one, "fraction", chance.choice((0, 2, "half", 1e-9))),
        (one, "schema", chance.choice(SCHEMAS)),
        (one, "field", chance.choice(("train", "nope", ""))),
        (one, "columns", chance.choice((["a"], ["id", "id"], ["id", "text", "label", "note", "stars"], []))),
        (one, "format", chance.choice(("csv", "json", "parquet", "jsonl", "xml"))),
        (one, "sha256", chance.choice(("0" * 64, "x"))),
        (one, "path", chance.choice(PATHS)),
        (case.dataset, "extract", chance.choice(PATTERNS)),
        (case.dataset, "replace", chance.choice(({"label": {"nope": "x"}}, {"nope": {"a": "b"}}, {"label": {}}))),
        (case.dataset, "split", chance.choice(SPLITS)),
        (case.dataset, "bake", chance.choice(BAKES)),
        (case.dataset, "metadata", chance.choice((["id"], ["nope"], ["messages"], [""]))),
        (case.dataset, "tools", chance.choice(({"field": "note"}, {"field": "nope"}, {"field": "3"}, [{}], []))),
        (case.dataset["messages"][0], "content", chance.choice(CONTENTS)),
    ]
    if chance.random() < 0.45:
        case.files[name] = chance.choice(damage)()
    else:
        place, key, value = chance.choice(values)
        place[key] = value


PATHS = ["data/*.jsonl", "data/part*", "data/nope.csv", "../x.jsonl", "/etc/passwd", "s3://x/y.csv", "data", "a\x07"]
BAKES = [BAKE, {**BAKE, "prompt": "x"}, {"model": "tiny"}, {**BAKE, "into": "x"}, {**BAKE, "model": "gpt-4.1"}]
CONTENTS = ["{{ nope }}", "{{ a.b[0] }}", "{{", "", "x", "{{ 3 }}"]
SCHEMAS: list[Any] = [
    {"type": "nope"},
    {"required": ["nope"]},
    {"properties": {"label": {"pattern": "("}}},
    {"properties": {"label": {"pattern": "^[a-z]+$"}}},
    {"properties": {"text": {"pattern": "^(a+)+$"}}},
    {"$ref": "https://example.com/x.json"},
    {"$ref": "#/$defs/nope"},
    {"$ref": "#"},
    {"properties": {"stars": {"maximum": 1}}},
    {"additionalProperties": False},
    {"file": "nope.json"},
    {"const": {}},
    True,
    [],
]
PATTERNS: list[Any] = [
    {"note": "("},
    {"note": "x"},
    {"nope": "(?P<final>x)"},
    {"note": "(?P<text>.)"},
    {"note": "(?P<final>^never$)"},
    {"note": r"(?P<final>(\w+\s?)*)$"},
    {"note": "(?P<a>.)", "text": "(?P<a>.)"},
    {"stars": r"(?P<final>\d)"},
    {"note": ""},
]
SPLITS: list[Any] = [
    {"folds": 1},
    {"folds": 3, "fold": 3},
    {"folds": 2, "test": 0.5},
    {"fold": 1},
    {"test": 10**6},
    {"test": 1.0},
    {"test": {"path": "data/part0.jsonl"}},
    {"test": {"path": "nope.jsonl"}},
    {"by": "nope"},
    {"by": ""},
    {"by": "prompt", "salt": "x" * 49},
    {"validation": 0},
]


def expected(case: Case) -> tuple[Counter[tuple[str, str]], bool]:
    """Return what is said in all rows, question and answer, and whether all of it must be there (no sample)."""
    dataset = case.dataset
    table = dataset.get("replace", {}).get("label", {})
    said: Counter[tuple[str, str]] = Counter()
    whole = True
    for one in dataset["sources"]:
        whole = whole and "count" not in one and "fraction" not in one
        for row in kept(case.rows, one):
            answer = row["note"].rpartition("#### ")[2] if "extract" in dataset else row["label"]
            answer = f"baked {row['id']}" if "bake" in dataset else table.get(answer, answer)
            said[row["text"], answer] += 1
    return said, whole


def rendered(prepared: Prepared) -> dict[str, list[tuple[str, str]]]:
    """Return question and answer of every row by part."""
    found: dict[str, list[tuple[str, str]]] = {}
    for role, part in prepared.parts.items():
        found[role] = []
        for line in part.path.read_bytes().splitlines():
            row = json.loads(line)
            answer = row["reference"] if role == "test" else row["messages"][-1]["content"]
            found[role].append((row["messages"][0]["content"], answer))
    return found


def right(case: Case, prepared: Prepared, made: Callable[[Row], Prepared]) -> None:
    """Assert that every row is what it must be, that counts hold, and that folds divide the rows."""
    wanted, whole = expected(case)
    parts = rendered(prepared)
    got = Counter(said for rows in parts.values() for said in rows)
    assert got == wanted if whole else not got - wanted, "rows that are not those of the files"
    for one in case.dataset["sources"]:
        mine = Counter(row["text"] for row in kept(case.rows, one))
        taken = sum(count for (text, _), count in got.items() if text in mine)
        assert taken <= one.get("count", taken), "more than count"
        assert "fraction" in one or taken == min(one.get("count", taken), sum(mine.values())), "fewer than count"
        (facts,) = [facts for facts in prepared.sources if facts.path == one["path"]]
        assert facts.rows == sum(mine.values())
    split = case.dataset.get("split", {})
    if split.get("by") in ("id", "label"):
        by = {row["text"]: row[split["by"]] for rows in case.rows.values() for row in rows}
        keys = [{by[text] for text, _ in rows} for rows in parts.values()]
        assert len(set().union(*keys)) == sum(map(len, keys)), "torn groups"
    if "folds" in split:
        other = rendered(made({**case.dataset, "split": {**split, "fold": 1 - split["fold"]}}))
        assert sorted(parts["test"] + other["test"]) == sorted(got.elements()), "folds do not divide the rows"


def experiment(dataset: Row) -> str:
    """Return the file of an experiment over the dataset."""
    lint = {code: {"level": "ignore", "reason": "generated"} for code in ALIKE}
    spec = {"defaults": ["config", "_self_"], "model": "tiny", "dataset": dataset, "lint": lint}
    return yaml.safe_dump(json.loads(json.dumps(spec)), sort_keys=False, allow_unicode=True)


def parsed(dataset: Row) -> Dataset:
    try:
        return Dataset.model_validate(dataset)
    except ValidationError as error:
        found = of_validation(error, dataset, shape_of(Dataset), ("dataset",))
        raise SpecError.many(problem for _, problem in found) from error


@pytest.mark.slow
def test_sources(tmp_path: Path, soak: Any) -> None:
    count = soak("sources")
    for folder in ("experiments", "data"):
        (tmp_path / folder).mkdir()
    project = Project(tmp_path)
    limits = RowRules(min_rows=1, advised_rows=0)

    def made(dataset: Row, cache: Path | None = tmp_path / "runs" / ".cache") -> Prepared:
        given = parsed(dataset)
        return prepare(given, Weights(), root=tmp_path, counter=CharEstimate(), cache=cache, format=limits)

    def planned(dataset: Row) -> Prepared:
        (project.experiments / "x.yaml").write_text(experiment(dataset), "utf-8")
        return make_plan(project, "x").runs[0].prepared

    for number, chance in count.rounds():
        case = generated(chance)
        for old in (tmp_path / "data").iterdir():
            old.unlink()
        for name, data in case.files.items():
            (tmp_path / "data" / name).write_bytes(data)
        shown = f"{experiment(case.dataset)}\n{ {n: d[:1500] for n, d in case.files.items()} }"
        prepared = None
        try:
            with count.case(shown):
                prepared = (made if number % WHOLE else planned)(case.dataset)
        except FtspecError as error:
            if case.right and not {problem.code for problem in error.problems} <= FEW:
                count.wrong.append(f"right rows were refused: {error}\n{shown}")
            count.refused(error.problems, tmp_path, shown)
            continue
        if prepared is None:
            continue
        count.valid += 1
        with count.case(shown):
            if case.right:
                right(case, prepared, made)
            assert digests(prepared) == digests(made(case.dataset, None)), "other bytes without the cache"
    count.finish()


def digests(prepared: Prepared) -> dict[str, str]:
    return {role: part.sha256 for role, part in prepared.parts.items()}
