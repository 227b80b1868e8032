"""docs/spec.md is what the models say, knows every key, and each of its examples composes as it says."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from ftspec.compose import Project, load
from ftspec.compose.shape import ROOT, leaves
from ftspec.spec.keys import WORDS
from ftspec.spec.reference import example, markdown, models, own_keys

EXAMPLES = [(model, key) for model, words in WORDS.items() for key in words.keys]


def test_the_page_is_current(repository: Path) -> None:
    """Mend with `ftspec schema --docs > docs/spec.md`."""
    assert (repository / "docs" / "spec.md").read_text() == markdown()


def test_every_key_has_words_and_an_example() -> None:
    said = {(model, key) for model, key in EXAMPLES}
    known = {(name, key) for name, model in models().items() for key in own_keys(model)}
    assert said == known
    assert {path[-1] for path in leaves(ROOT)} <= {key for _, key in known}
    assert all(meaning and text for words in WORDS.values() for meaning, text in words.keys.values())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("examples")
    for name, content in {"data/tools.json": "[]", "prompts/route.md": "Route.\n"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "experiments").mkdir()
    return Project(root)


def holds(value: Any, wanted: Any) -> bool:
    """Whether every key of `wanted` stands in `value`; texts of files are read by then."""
    if isinstance(wanted, dict) and "file" in wanted:
        return value is not None
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(holds(value.get(key), item) for key, item in wanted.items())
    if isinstance(wanted, list):
        return isinstance(value, list) and all(holds(a, b) for a, b in zip(value, wanted, strict=True))
    # PyYAML reads a day as a date, specs as text (OmegaConf).
    return bool(value == (wanted.isoformat() if isinstance(wanted, date) else wanted))


@pytest.mark.parametrize("model", WORDS)
def test_each_example_composes_and_is_kept(project: Project, model: str) -> None:
    for key in WORDS[model].keys:
        given = example(model, key)
        body = {"defaults": ["config", "_self_"], "model": "tiny", "dataset": {"sources": [{"path": "x.jsonl"}]}}
        (project.experiments / "x.yaml").write_text(yaml.safe_dump({**body, **given}, sort_keys=False))
        composed = load(project, "x")
        assert holds(composed.config, given), f"{model}.{key}"
