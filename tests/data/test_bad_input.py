"""Files no one wants: endless lines, bombs, other encodings, files that change meanwhile. Coded, placed, bounded."""

import gzip
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ftspec.data import read_rows, readers
from ftspec.data.compression import ReadError
from ftspec.data.sources import MAX_LINE
from ftspec.spec.errors import DataError

CHAT = b'{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "b"}]}\n'
MESSAGES = [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ a }}"}]
ENDLESS = 2**31
LONG = 2**28

PREPARE = """
import json, sys, time
from pathlib import Path
from ftspec.data import CharEstimate, RowRules, prepare
from ftspec.spec.dataset import Dataset, Weights
from ftspec.spec.errors import DataError
before = time.process_time()
dataset = {"sources": [{"path": sys.argv[2]}], "messages": json.loads(sys.argv[3])}
try:
    prepare(Dataset.model_validate(dataset), Weights(), root=Path(sys.argv[1]), counter=CharEstimate(), cache=None,
            format=RowRules(min_rows=1))
except DataError as error:
    print(json.dumps([[p.code, p.file, p.line] for p in error.problems] + [time.process_time() - before]))
"""


def prepare_within(megabytes: int, root: Path, name: str) -> list[Any]:
    """Prepare one file in a process that may not have more address space than that; return its problems and CPU s."""
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, str(root), name, json.dumps(MESSAGES)],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20)),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.ndjson"])
def test_a_line_of_two_gibibytes_is_refused_before_it_is_read(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as out:
        out.truncate(ENDLESS)
    *problems, seconds = prepare_within(700, tmp_path, name)
    assert problems == [["huge_line", name, 1]]
    assert seconds < 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "head", "code", "line"),
    [
        ("a.jsonl", b'{"q": "x", "a": "y"}\n', "huge_line", 2),
        ("a.csv", b"q,a\nx,y\n", "huge_line", 3),
        ("a.json", b"[", "huge_file", 0),
    ],
)
def test_an_endless_line_after_good_ones(tmp_path: Path, name: str, head: bytes, code: str, line: int) -> None:
    with (tmp_path / name).open("wb") as out:
        out.write(head)
        out.truncate(LONG + 2)
    *problems, _ = prepare_within(1000, tmp_path, name)
    assert problems == [[code, name, line]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_compression_bomb_of_one_line(tmp_path: Path, name: str) -> None:
    """256 MB of zeros in a small file."""
    zeros = bytes(1 << 20)
    if name.endswith(".gz"):
        with gzip.open(tmp_path / name, "wb", compresslevel=1) as out:
            for _ in range(256):
                out.write(zeros)
    else:
        zstandard = pytest.importorskip("zstandard")
        (tmp_path / name).write_bytes(zstandard.ZstdCompressor().compress(zeros * 256))
    *problems, _ = prepare_within(1000, tmp_path, name)
    assert problems == [["huge_line", name, 1]]


def problems(project: Any, dataset: dict[str, Any] | None = None) -> list[tuple[str, str, int]]:
    with pytest.raises(DataError) as caught:
        project.prepare(dataset)
    return [(p.code, p.file, p.line) for p in caught.value.problems]


def test_the_longest_line_that_is_read(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_LINE", 1000)
    fits = CHAT % (b"x" * (1000 - len(CHAT % b"") + 1))
    project.raw(fits * 3)
    assert project.prepare().parts["train"].rows == 3
    project.raw(fits + CHAT % (b"x" * 2000) + fits)
    assert problems(project) == [("huge_line", "data/rows.jsonl", 2)]
    monkeypatch.setattr(readers, "_BLOCK", 300)
    assert problems(project) == [("huge_line", "data/rows.jsonl", 2)]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_other_encodings(project: Any, encoding: str) -> None:
    project.raw((CHAT % "é".encode()).decode().encode(encoding))
    assert problems(project)[0] in [("not_utf8", "data/rows.jsonl", 1), ("nul", "data/rows.jsonl", 1)]
    project.raw("q,a\né,b\n".encode(encoding), "data/rows.csv")
    found = problems(project, {"sources": [{"path": "data/rows.csv"}], "messages": MESSAGES})[0]
    assert (found[0] in ("not_utf8", "nul", "csv"), found[1]) == (True, "data/rows.csv")


@pytest.mark.parametrize("at", [0, 2, 12, -9, -4, -1])
def test_gzip_cut_anywhere(project: Any, at: int) -> None:
    data = gzip.compress(b"".join(CHAT % os.urandom(8).hex().encode() for _ in range(200)))
    project.raw(data[:at], "data/rows.jsonl.gz")
    found = problems(project, {"sources": [{"path": "data/rows.jsonl.gz"}]})
    assert found[-1] == ("empty_file" if at == 0 else "truncated", "data/rows.jsonl.gz", 0)


def test_gzip_damaged_inside(project: Any) -> None:
    data = bytearray(gzip.compress(b"".join(CHAT % os.urandom(8).hex().encode() for _ in range(200))))
    data[len(data) // 2] ^= 0xFF
    project.raw(bytes(data), "data/rows.jsonl.gz")
    found = problems(project, {"sources": [{"path": "data/rows.jsonl.gz"}]})
    assert {code for code, *_ in found} & {"gzip", "truncated", "json", "not_utf8", "nul"}


def test_crlf_blank_lines_and_a_missing_newline_at_the_end_change_nothing(project: Any) -> None:
    lines = [CHAT % b"1", CHAT % b"2", CHAT % b"3"]
    plain = project.raw(b"".join(lines)).prepare()
    odd = project.raw(b"\xef\xbb\xbf" + b"\r\n\r\n".join(line.rstrip() for line in lines)).prepare()
    assert odd.parts["train"].sha256 == plain.parts["train"].sha256
    assert [json.loads(line)["line"] for line in odd.rows.read_text().splitlines()] == [1, 3, 5]


def test_separators_inside_of_strings_are_text(project: Any) -> None:
    text = "a\u2028b\u2029c\u0085d\x0b"
    project.rows([{"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "\x1f"}]}])
    project.raw(json.dumps(json.loads((project.root / "data/rows.jsonl").read_text()), ensure_ascii=False).encode())
    assert next(read_rows(project.prepare().parts["train"]))["messages"][0]["content"] == text


class Growing:
    """A file that grows once its digest was taken."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from ftspec.data import sources

        taken = sources._digest

        def digest(real: Path, cache: Any) -> Any:
            found = taken(real, cache)
            with path.open("ab") as out:
                out.write(CHAT % b"late")
            return found

        monkeypatch.setattr(sources, "_digest", digest)


def test_a_file_that_changes_after_its_digest_is_refused(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.raw(CHAT % b"1")
    with monkeypatch.context() as patch:
        Growing(project.root / "data/rows.jsonl", patch)
        assert problems(project) == [("file_changed", "data/rows.jsonl", 0)]
    assert project.prepare().parts["train"].rows == 2


def test_a_file_that_changes_while_it_is_read_is_refused(project: Any) -> None:
    from ftspec.data.cache import Cache
    from ftspec.data.sources import find_inputs
    from ftspec.spec.dataset import Dataset

    project.raw(CHAT % b"1" + CHAT % b"2")
    dataset = Dataset.model_validate({"sources": [{"path": "data/rows.jsonl"}]})
    (source,) = find_inputs(dataset, project.root, Cache(None))
    rows = readers.read(source)
    next(rows)
    with (project.root / "data/rows.jsonl").open("ab") as out:
        out.write(CHAT % b"3")
    with pytest.raises(ReadError) as caught:
        list(rows)
    assert caught.value.problem.code == "file_changed"


def test_a_file_replaced_in_one_step_is_read_as_it_was_opened(project: Any) -> None:
    project.raw(CHAT % b"1")
    before = project.prepare()
    other = project.root / "data" / "new"
    other.write_bytes(CHAT % b"2")
    os.replace(other, project.root / "data/rows.jsonl")
    after = project.prepare()
    assert before.parts["train"].sha256 != after.parts["train"].sha256


def test_the_limit_is_above_any_row() -> None:
    assert MAX_LINE >= 64 << 20
