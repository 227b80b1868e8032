"""docs/weights.md shows what really happens: its files are written, its command is run, its table is the code's."""

import re
from pathlib import Path

import pytest

from ftspec.cli.main import main
from ftspec.data.dialects import DIALECTS
from ftspec.spec.aliases import ALIASES


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "weights.md").read_text("utf-8")


def test_the_example_runs_as_printed(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in re.findall(r"<!-- (\S+) -->\n```\w+\n(.*?)```", page, re.DOTALL):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    monkeypatch.chdir(tmp_path)
    ((command, printed),) = re.findall(r"```console\n\$ ftspec (.*?)\n(.*?)```", page, re.DOTALL)
    assert main(command.split()) == 0
    assert capsys.readouterr().out == printed


def test_the_table_of_dialects_is_the_code(page: str) -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| .*? \| .*? \| (.*?) ?\|$", page.split("## Other tools' words")[1], re.MULTILINE)
    )
    assert rows == {name: f"`{one.options}`" if one.options else "" for name, one in DIALECTS.items()}


def test_every_alias_is_named(page: str) -> None:
    strategies = {"masking_strategy", "train_target", "loss_scale", "train_on_what"}
    assert all(f"`{name}`" in page for name in ALIASES - strategies)
