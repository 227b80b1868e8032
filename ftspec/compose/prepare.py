"""Between Hydra's plain result and the strict models: null means "not set", and `{file: path}` becomes its text.

The one place where a null is dropped: the base configuration names every key so that plain overrides need no `+`, and
null there says that the schema's default holds. A null is kept where the schema gives it a meaning of its own, and in
free mappings (a row's fields, a JSON schema).
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import Any

from pydantic import BaseModel

from ftspec.compose.shape import ROOT, Shape, chosen, keys_of
from ftspec.compose.sources import MAX_TEXT_BYTES, Disk, Snapshot
from ftspec.spec.errors import Problem

Path = tuple[str | int, ...]

_PATH = re.compile(r"(?!.*\.\.)\w[\w. -]*(/[\w. -]+)*\.[A-Za-z][A-Za-z0-9]{0,7}")
_LONGEST_PATH = 200


@dataclass
class Texts:
    """Reads the files that `{file: path}` names; each problem is found once per path."""

    snapshot: Snapshot
    read: dict[tuple[str, bool], Any] = field(default_factory=dict)
    paths: dict[Path, str] = field(default_factory=dict)  # texts that are the paths of files
    _folders: dict[str, list[str]] = field(default_factory=dict)

    def get(self, name: str, as_text: bool) -> Any:
        """Return a file's text, or its JSON where the schema wants a value. Returns a Problem when it cannot."""
        key = (name, as_text)
        if key not in self.read:
            self.read[key] = self._get(name, as_text)
        return self.read[key]

    def _get(self, name: str, as_text: bool) -> Any:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\\" in name or (len(name) > 1 and name[1] == ":"):
            return Problem("outside", f"{name} leaves the project", fix="give a path relative to the project's folder")
        root = self.snapshot.root
        if isinstance(root, Disk) and not root.inside(name):
            return Problem("outside", f"{name} is a link that leaves the project", fix="copy the file into the project")
        content = self.snapshot.text(name)
        if content is None:
            near = get_close_matches(path.name, [entry.rstrip("/") for entry in self._beside(path)], n=1)
            meant = f"did you mean {path.with_name(near[0])}? " if near else ""
            fix = f"{meant}paths are relative to the project's folder"
            return Problem("no_file", f"there is no file {name}", fix=fix)
        if len(content) > MAX_TEXT_BYTES:
            return Problem("limit", f"{name} is larger than {MAX_TEXT_BYTES // 1024} KiB")
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            return Problem("encoding", f"{name} is not UTF-8", fix="save it as UTF-8")
        if as_text:
            return text
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            return Problem("json", f"{name} is no valid JSON: {error}")

    def note_path(self, at: Path, text: str) -> None:
        """Take down a text that is the path of a file, where a file could be named."""
        if len(text) <= _LONGEST_PATH and _PATH.fullmatch(text):
            path = PurePosixPath(text)
            if path.name in self._beside(path):
                self.paths[at] = text

    def _beside(self, path: PurePosixPath) -> list[str]:
        folder = str(path.parent)
        if folder not in self._folders:
            self._folders[folder] = self.snapshot.root.list(folder) or []
        return self._folders[folder]


Report = Callable[[Path, Problem], None]


def prepare(value: Any, texts: Texts, report: Report, shape: Shape = ROOT, at: Path = ()) -> Any:
    """Return a copy of `value` for validation: nulls that mean "not set" left out, files read."""
    if isinstance(value, dict):
        if shape.file and value.keys() == {"file"} and isinstance(value["file"], str) and value["file"]:
            read = texts.get(value["file"], shape.text)
            if isinstance(read, Problem):
                report(at, read)
                return value
            return read
        models = chosen(shape, value)
        if models:
            return _prepared_model(value, models, texts, report, at)
        if shape.value:
            return {key: prepare(item, texts, report, shape.value, (*at, key)) for key, item in value.items()}
    elif isinstance(value, list) and shape.item:
        inner = shape.item
        return [prepare(item, texts, report, inner, (*at, number)) for number, item in enumerate(value)]
    elif shape.file and isinstance(value, str):
        texts.note_path(at, value)
    return value


def _prepared_model(
    value: dict[str, Any], models: tuple[type[BaseModel], ...], texts: Texts, report: Report, at: Path
) -> dict[str, Any]:
    kept = {}
    for name, item in value.items():
        key = next((keys_of(model)[name] for model in models if name in keys_of(model)), None)
        if key is None:
            kept[name] = item
        elif item == "???":
            # Hydra's "must be given": neither the files nor an override did.
            report((*at, name), Problem("missing_value", f"must be given: {key.shape.words}"))
        elif item is not None or key.shape.nullable:
            kept[name] = prepare(item, texts, report, key.shape, (*at, name))
    return kept


def plain(value: Any) -> Any:
    """Return a validated model as plain data: every value written out, in the schema's order, aliases as in YAML.

    A null that is also the default is left out. Validating the result again gives an equal model.
    """
    if isinstance(value, BaseModel):
        written = {}
        for key in keys_of(type(value)).values():
            item = getattr(value, key.attribute)
            if item is not None or key.default is not None:
                written[key.name] = plain(item)
        return written
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
