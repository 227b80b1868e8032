"""Schemas for editors, with the options of one project's own groups, and the files they are written to."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ftspec.compose.project import builtin_conf
from ftspec.spec.editor import Schema, experiment_schema, group_schema
from ftspec.spec.errors import UsageError
from ftspec.spec.experiment import GROUPS
from ftspec.storage import write_atomic

EXPERIMENT = "experiment"
# First line of an experiment; an editor with yaml-language-server then completes and checks it.
MODELINE = "# yaml-language-server: $schema=../conf/experiment.schema.json"


@dataclass(frozen=True)
class WrittenSchema:
    """One schema file: its path, and whether it had to be changed."""

    path: Path
    changed: bool


def options(conf: Path | None) -> dict[str, list[str]]:
    """Return the names that each group offers, in a project's `conf/` and the built-in one."""
    folders = [builtin_conf(), *([conf] if conf is not None else [])]
    found = {}
    for group in GROUPS:
        files = [(folder / group, path) for folder in folders for path in (folder / group).rglob("*.yaml")]
        found[group] = sorted({path.relative_to(home).with_suffix("").as_posix() for home, path in files})
    return found


def schema(name: str, conf: Path | None) -> Schema:
    """Return the schema of experiments or of one group's files. Raises UsageError for another name."""
    if name == EXPERIMENT:
        return experiment_schema(options(conf))
    if name not in GROUPS:
        known = ", ".join((EXPERIMENT, *GROUPS))
        raise UsageError("unknown_schema", f"there is no schema {name!r}", fix=f"one of: {known}")
    return group_schema(name, options(conf))


def as_text(made: Schema) -> str:
    """Return a schema as it stands in its file."""
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


def schema_file(name: str, conf: Path) -> Path:
    """Return where the schema of experiments or of a group lies."""
    return conf / f"{name}.schema.json"


def write_schemas(conf: Path, names: tuple[str, ...] = (EXPERIMENT, *GROUPS)) -> Iterator[WrittenSchema]:
    """Write schemas beside the blocks they describe; a file that is right already is left alone."""
    for name in names:
        path, text = schema_file(name, conf), as_text(schema(name, conf)).encode()
        stale = is_stale(name, conf)
        if stale:
            write_atomic(path, text)
        yield WrittenSchema(path, stale)


def is_stale(name: str, conf: Path) -> bool:
    """Tell whether a schema is missing or other than what would be written now."""
    try:
        return schema_file(name, conf).read_text("utf-8") != as_text(schema(name, conf))
    except (OSError, UnicodeDecodeError):
        return True
