"""Formats and places of source files: Parquet, zstd, URLs of fsspec, Hugging Face data sets; all of it offline."""

import csv
import datetime
import decimal
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ftspec.data import read_rows
from ftspec.data.remote import fetch
from ftspec.spec.dataset import Dataset, Source
from ftspec.spec.errors import DataError

MESSAGES = [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ a }}"}]
ROWS = [{"q": f"question {n} é", "a": f"answer {n}"} for n in range(40)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def of(path: str, **more: Any) -> dict[str, Any]:
    return {"sources": [{"path": path, **more}], "messages": MESSAGES}


def problems(project: Any, dataset: dict[str, Any]) -> list[Any]:
    with pytest.raises(DataError) as caught:
        project.prepare(dataset)
    return list(caught.value.problems)


def write_parquet(path: Path, rows: list[dict[str, Any]], **more: Any) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path, **more)


def test_parquet_gives_the_same_rows_as_json_lines(project: Any) -> None:
    write_parquet(project.root / "data/a.parquet", ROWS, row_group_size=7)
    project.raw(LINES, "data/a.jsonl")
    one, other = project.prepare(of("data/a.parquet")), project.prepare(of("data/a.jsonl"))
    assert one.parts["train"].sha256 == other.parts["train"].sha256
    assert [json.loads(line)["line"] for line in one.rows.read_text().splitlines()][:3] == [1, 2, 3]
    few = project.prepare(of("data/a.parquet", where={"a": ["answer 3", "answer 5"]}, schema={"required": ["q"]}))
    assert few.parts["train"].rows == 2


def test_parquet_holds_chats_whose_structs_have_all_keys(project: Any, make_chat: Any) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "content": "1", "tool_call_id": "c1"},
        {"role": "assistant", "content": "y", "weight": 1},
    ]
    rows = [{"messages": messages, "tools": None}, make_chat("a", "b")]
    write_parquet(project.root / "data/a.parquet", rows)
    project.rows([{"messages": messages}, make_chat("a", "b")])
    one = project.prepare({"sources": [{"path": "data/a.parquet"}]})
    assert one.parts["train"].sha256 == project.prepare().parts["train"].sha256


def test_values_of_parquet_become_plain_ones(project: Any) -> None:
    row = {
        "day": datetime.date(2026, 1, 2),
        "price": decimal.Decimal("1.50"),
        "data": b"\x00",
        "deep": {"at": datetime.datetime(2026, 1, 2, 3, 4, 5), "gone": None},
        "list": [1.5, 2.0],
    }
    write_parquet(project.root / "data/a.parquet", [row])
    content = "{{ day }} {{ price }} {{ data }} {{ deep }} {{ list }}"
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "b"}]
    done = project.prepare({"sources": [{"path": "data/a.parquet"}], "messages": messages})
    said = next(read_rows(done.parts["train"]))["messages"][0]["content"]
    assert said == '2026-01-02 1.50 AA== {"at":"2026-01-02T03:04:05"} [1.5,2]'


def test_another_parquet_schema_in_a_glob_is_refused(project: Any) -> None:
    write_parquet(project.root / "data/a.parquet", ROWS)
    write_parquet(project.root / "data/b.parquet", [{"q": "x", "a": 1, "more": 2}])
    write_parquet(project.root / "data/c.parquet", [{"q": "x"}])
    found = problems(project, of("data/*.parquet"))
    assert [(p.code, p.file) for p in found] == [
        ("parquet_columns", "data/b.parquet"),
        ("parquet_columns", "data/c.parquet"),
    ]
    assert "a column 'more' more" in found[0].message
    assert "'a' is int64, not string" in found[0].message
    assert "no column 'a'" in found[1].message


@pytest.mark.parametrize("keep", [0, 3, 100, 0.5, -1])
def test_truncated_and_broken_parquet(project: Any, keep: float) -> None:
    write_parquet(project.root / "data/a.parquet", ROWS)
    data = (project.root / "data/a.parquet").read_bytes()
    project.raw(data[: int(len(data) * keep) if isinstance(keep, float) else keep], "data/a.parquet")
    found = problems(project, of("data/a.parquet"))
    assert [(p.code, p.file) for p in found] == [("empty_file" if keep == 0 else "parquet", "data/a.parquet")]


def test_zstd_in_one_frame_and_in_several(project: Any) -> None:
    zstandard = pytest.importorskip("zstandard")
    compress = zstandard.ZstdCompressor().compress
    project.raw(LINES, "data/a.jsonl")
    project.raw(compress(LINES), "data/b.jsonl.zst")
    project.raw(compress(LINES[:500]) + compress(LINES[500:]), "data/c.jsonl.zst")
    rows = [",".join(["q", "a"]), *(f"{row['q']},{row['a']}" for row in ROWS)]
    project.raw(compress("\n".join(rows).encode()), "data/d.csv.zst")
    shas = {
        project.prepare(of(f"data/{name}")).parts["train"].sha256
        for name in ("a.jsonl", "b.jsonl.zst", "c.jsonl.zst", "d.csv.zst")
    }
    assert len(shas) == 1


def test_zstd_cut_off_or_broken_is_told(project: Any) -> None:
    zstandard = pytest.importorskip("zstandard")
    data = zstandard.ZstdCompressor().compress(os.urandom(5000).hex().encode() + b"\n")
    for cut in (3, 10, len(data) // 2, len(data) - 1):
        project.raw(data[:cut], "data/a.jsonl.zst")
        assert [p.code for p in problems(project, of("data/a.jsonl.zst"))][-1] == "truncated"
    project.raw(b"not zstd at all", "data/a.jsonl.zst")
    assert problems(project, of("data/a.jsonl.zst"))[0].code == "zstd"


def test_without_an_extra_the_error_says_what_to_install(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyarrow", "pyarrow.parquet", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    project.raw(b"PAR1", "data/a.parquet").raw(b"x", "data/a.jsonl.zst")
    assert "ftspec[parquet]" in problems(project, of("data/a.parquet"))[0].fix
    assert "ftspec[zstd]" in problems(project, of("data/a.jsonl.zst"))[0].fix


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"path": "hf:PolyAI/banking77"}, "needs its revision"),
        ({"path": "data/x.jsonl", "revision": "main"}, "belong to a data set of Hugging Face"),
        ({"path": "s3://key:secret@bucket/x.jsonl"}, "keys belong to the environment"),
        ({"path": "simplecache::s3://b/x.jsonl"}, "chain"),
        ({"path": "hf:./x", "format": "csv"}, "no format of its own"),
    ],
)
def test_addresses_that_make_no_sense(source: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Source.model_validate(source)


class Remote:
    """A project whose cache may hold fetched copies."""

    def __init__(self, project: Any, dataset: dict[str, Any]) -> None:
        project.cache = project.root / "cache"
        self.project, self.dataset = project, dataset
        self.said: list[str] = []

    def fetch(self) -> None:
        fetch(Dataset.model_validate(self.dataset), self.project.root, self.project.cache, self.said.append)


@pytest.fixture
def memory() -> Any:
    fsspec = pytest.importorskip("fsspec")
    system = fsspec.filesystem("memory")
    system.store.clear()
    with system.open("/b/x.jsonl", "wb") as stream:
        stream.write(LINES)
    return system


def test_a_url_is_fetched_once_and_read_from_its_copy(project: Any, memory: Any) -> None:
    project.raw(LINES, "data/a.jsonl")
    local = project.prepare(of("data/a.jsonl"))
    remote = Remote(project, of("memory://b/x.jsonl"))
    (missing,) = problems(project, remote.dataset)
    assert (missing.code, missing.path, missing.fix) == (
        "not_fetched",
        "dataset.sources[0].path",
        "ftspec run NAME --only data",
    )
    remote.fetch()
    memory.store.clear()
    remote.fetch()
    done = project.prepare(remote.dataset)
    assert done.parts["train"].sha256 == local.parts["train"].sha256
    assert remote.said == ["fetching memory://b/x.jsonl", f"fetched memory://b/x.jsonl: {len(LINES):,} bytes"]
    (source,) = done.sources
    assert (source.path, source.sha256) == ("memory://b/x.jsonl", local.sources[0].sha256)
    (warning,) = done.problems
    assert (warning.code, warning.fix) == ("unpinned_source", f"pin it: sha256: {source.sha256}")
    pinned = of("memory://b/x.jsonl", sha256=source.sha256)
    assert project.prepare(pinned).problems == ()
    assert problems(project, of("memory://b/x.jsonl", sha256="0" * 64))[0].code == "pin"


def test_fetched_bytes_must_be_the_pinned_ones(project: Any, memory: Any) -> None:
    remote = Remote(project, of("memory://b/x.jsonl", sha256="0" * 64))
    with pytest.raises(DataError) as caught:
        remote.fetch()
    assert caught.value.code == "pin"
    assert problems(project, remote.dataset)[0].code == "not_fetched"


def test_globs_and_file_urls(project: Any, memory: Any, tmp_path: Path) -> None:
    with memory.open("/b/y.jsonl", "wb") as stream:
        stream.write(b'{"q": "last", "a": "one"}\n')
    remote = Remote(project, of("memory://b/*.jsonl"))
    remote.fetch()
    assert [s.path for s in project.prepare(remote.dataset).sources] == ["memory:///b/x.jsonl", "memory:///b/y.jsonl"]
    (tmp_path / "z.csv").write_text("q,a\nx,y\n")
    remote = Remote(project, of(f"file://{tmp_path}/z.csv"))
    remote.fetch()
    assert project.prepare(remote.dataset).parts["train"].rows == 1


def test_what_cannot_be_fetched_is_told_at_once(project: Any, memory: Any) -> None:
    remote = Remote(project, {**of("memory://b/missing.jsonl"), "split": {"test": {"path": "nosuch://x/y.jsonl"}}})
    with pytest.raises(DataError) as caught:
        remote.fetch()
    assert [(p.code, p.path) for p in caught.value.problems] == [
        ("fetch", "dataset.sources[0].path"),
        ("fetch", "dataset.split.test.path"),
    ]


def test_errors_in_a_fetched_file_name_the_url_and_line(project: Any, memory: Any) -> None:
    with memory.open("/b/x.jsonl", "wb") as stream:
        stream.write(b'{"q": "x", "a": "y"}\n{"q": "x"}\n')
    remote = Remote(project, of("memory://b/x.jsonl"))
    remote.fetch()
    (problem,) = problems(project, remote.dataset)
    assert problem.site == "memory://b/x.jsonl:2"


@pytest.mark.slow
def test_a_hugging_face_folder_offline(project: Any) -> None:
    """In a process of its own: `datasets` leaves threads and caches behind."""
    pytest.importorskip("datasets")
    folder = project.root / "sets" / "queues"
    folder.mkdir(parents=True)
    with (folder / "train.csv").open("w", newline="") as out:
        writer = csv.DictWriter(out, ["q", "a"])
        writer.writeheader()
        writer.writerows(ROWS)
    project.raw(LINES, "data/a.jsonl")
    dataset = of("hf:./sets/queues", split="train")
    script = (
        "import json, sys; from pathlib import Path; from ftspec.data.remote import fetch;"
        "from ftspec.spec.dataset import Dataset; root = Path(sys.argv[1]);"
        "fetch(Dataset.model_validate(json.loads(sys.argv[2])), root, root / 'cache', print)"
    )
    home = {"HF_HOME": str(project.root / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script, str(project.root), json.dumps(dataset)],
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "fetched hf:./sets/queues" in done.stdout
    project.cache = project.root / "cache"
    prepared = project.prepare(dataset)
    assert prepared.parts["train"].sha256 == project.prepare(of("data/a.jsonl")).parts["train"].sha256


def test_a_csv_file_with_another_delimiter(project: Any) -> None:
    messages = [{"role": "user", "content": "{{ text }}"}, {"role": "assistant", "content": "{{ label }}"}]
    project.raw(b"text;label\na, b;x\n", "data/a.csv").raw(b"text\tlabel\na, b\tx\n", "data/a.tsv")
    for more in ({}, {"columns": ["text", "label"]}):
        with pytest.raises(DataError) as caught:
            project.prepare({"sources": [{"path": "data/a.csv", **more}], "messages": messages})
        (problem,) = caught.value.problems
        assert (problem.code, problem.file, problem.line) == ("csv", "data/a.csv", 1)
        assert "`text;label`: it looks separated by `;`, not by commas" in problem.message
        assert problem.fix == 'give the source its delimiter: {path: data/a.csv, delimiter: ";"}'
    for source in ({"path": "data/a.csv", "delimiter": ";"}, {"path": "data/a.tsv"}):
        done = project.prepare({"sources": [source], "messages": messages})
        assert [m["content"] for row in read_rows(done.parts["train"]) for m in row["messages"]] == ["a, b", "x"]
    project.raw(b"a;b\nx\n", "data/one.csv")
    messages = [{"role": "user", "content": '{{ ["a;b"] }}'}, {"role": "assistant", "content": "y"}]
    assert project.prepare({"sources": [{"path": "data/one.csv", "delimiter": ","}], "messages": messages})
