"""Every command that documentation, help or output names exists, with its options."""

import re
from pathlib import Path

import click
import pytest

from ftspec.cli.main import cli

_COMMAND = re.compile(r"(?<![\w/.-])ftspec ([a-z]+)((?: +(?:--?[a-z-]+|[^\s`'\"|&;<>)]+))*)")
# Words after `ftspec` in prose that are no verb: "ftspec is", "ftspec needs" ...
_PROSE = re.compile(r"`ftspec ([a-z]+)|^\s*(?:\$ )?ftspec ([a-z]+)", re.MULTILINE)


def _texts(repository: Path) -> list[tuple[Path, str]]:
    paths = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md"), *(repository / "conf").rglob("*.yaml")]
    paths += list((repository / "ftspec").rglob("*.py"))
    return [(path, path.read_text("utf-8")) for path in paths]


def test_every_named_verb_exists(repository: Path) -> None:
    known = set(cli.list_commands(click.Context(cli)))
    missing = {}
    for path, text in _texts(repository):
        for match in _PROSE.finditer(text):
            verb = match[1] or match[2]
            if verb not in known and (path.suffix != ".py" or match[1]):
                missing[verb] = str(path.relative_to(repository))
    assert not missing


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_options_named_in_docs_exist(name: str, repository: Path) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    known = {option for parameter in command.params for option in parameter.opts}
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            known |= {option for parameter in sub.params for option in parameter.opts}
    for path, text in _texts(repository):
        if path.suffix != ".md":
            continue
        for match in re.finditer(rf"(?:`|^\s*\$? ?)ftspec {name}\b([^`\n|]*)", text, re.MULTILINE):
            named = set(re.findall(r"(?<!\S)(--[a-z-]+)", match[1]))
            assert named <= known | {"--help"}, f"{path}: {match[0]}"
