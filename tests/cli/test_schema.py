"""`ftspec schema`: the written schemas are current, describe what validates, and follow a project's own blocks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from ftspec.cli.main import main
from ftspec.spec.experiment import GROUPS
from ftspec.workflows import editor
from ftspec.workflows.start import start_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    start_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_committed_schemas_are_current(repository: Path) -> None:
    """Mend with `ftspec schema --write`."""
    assert [name for name in (editor.EXPERIMENT, *GROUPS) if editor.is_stale(name, repository / "conf")] == []


def test_init_writes_the_schema_and_names_it(project: Path) -> None:
    assert (project / "experiments" / "quickstart.yaml").read_text().startswith(editor.MODELINE + "\n")
    assert main(["schema", "--check"]) == 0
    assert (project / "conf" / "experiment.schema.json").is_file()


def test_a_new_block_makes_it_stale(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "conf" / "weights").mkdir()
    (project / "conf" / "weights" / "ours.yaml").write_text("train_on: from_data\n")
    assert main(["schema", "--check"]) == 4
    assert "ftspec schema --write" in capsys.readouterr().err
    assert main(["schema", "--write"]) == 0
    assert main(["schema", "--check"]) == 0
    written = json.loads((project / "conf" / "experiment.schema.json").read_text())
    assert "ours" in written["definitions"]["options of weights"]["anyOf"][0]["enum"]


def test_printed_and_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "weights"]) == 0
    assert "train_on" in json.loads(capsys.readouterr().out)["properties"]
    assert main(["schema", "weigths"]) == 64
    assert "weights" in capsys.readouterr().err


def _keywords(node: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            named = at.endswith(("/properties", "/patternProperties", "/definitions"))
            if not named:
                yield at, key
            yield from _keywords(value, f"{at}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _keywords(value, f"{at}/{number}")


@pytest.mark.parametrize("name", [editor.EXPERIMENT, *GROUPS])
def test_it_is_a_draft_7_overlay(name: str) -> None:
    made = editor.schema(name, None)
    jsonschema.Draft7Validator.check_schema(made)
    assert not [at for at, key in _keywords(made) if key == "required" or (key == "title" and at)]
    open_ = [at for at, key in _keywords(made) if key == "properties"]
    assert all(_at(made, at).get("additionalProperties") is not True for at in open_)


def _at(node: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        node = node[int(part)] if isinstance(node, list) else node[part]
    return node


def test_what_ships_conforms(repository: Path) -> None:
    for path in [*(repository / "conf").rglob("*.yaml"), *(repository / "experiments").glob("*.yaml")]:
        name = path.parent.name if path.parent.name in GROUPS else editor.EXPERIMENT
        jsonschema.Draft7Validator(editor.schema(name, None)).validate(yaml.safe_load(path.read_text()))
