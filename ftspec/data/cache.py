"""A disposable cache by content: `<kind>/<id>/manifest.json` names the entry's files; without it there is no entry.

Files get fresh names and the manifest is written last in one step, so that readers and two writers never meet half an
entry. A folder that cannot be written is replaced by a temporary one for this process, never by a failure.
"""

import atexit
import hashlib
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from ftspec.spec.errors import DataError, StorageError
from ftspec.storage import read_json, write_atomic


def content_id(kind: str, parts: Any) -> str:
    """Return 32 hex: sha256 of `ftspec/<kind>/1` and the canonical JSON of the parts that decide the content."""
    import rfc8785

    return hashlib.sha256(f"ftspec/{kind}/1\n".encode() + rfc8785.dumps(parts)).hexdigest()[:32]


class Entry:
    """One entry being written: ask `path` for file names, then `commit`, or `abandon`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._token = secrets.token_hex(4)
        self._files: dict[str, Path] = {}

    def path(self, name: str) -> Path:
        """Return a fresh path for the file known as `name`."""
        self._files[name] = self.folder / f"{self._token}.{name}"
        return self._files[name]

    def commit(self, body: Any) -> dict[str, Path]:
        """Make the entry visible with `body` (plain JSON) and the files written so far; return their paths."""
        import json

        files = {name: [path.name, path.stat().st_size] for name, path in self._files.items() if path.exists()}
        text = json.dumps({"files": files, "body": body}, ensure_ascii=True, separators=(",", ":"))
        sealed = hashlib.sha256(text.encode()).hexdigest()
        write_atomic(self.folder / "manifest.json", f"{text}\n{sealed}\n")
        return {name: self._files[name] for name in files}

    def abandon(self) -> None:
        """Remove what was written."""
        for path in self._files.values():
            with suppress(OSError):
                path.unlink()
        with suppress(OSError):
            self.folder.rmdir()


class Cache:
    """Entries below one folder; `folder` None keeps everything in a temporary folder that ends with the process."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._temporary: Path | None = None

    def find(self, kind: str, name: str) -> tuple[Any, dict[str, Path]] | None:
        """Return body and files of a complete entry, or None: missing, torn and shortened entries do not count."""
        import json

        for root in (self._folder, self._temporary):
            if root is None:
                continue
            folder = root / kind / name
            try:
                text, sealed, _ = (folder / "manifest.json").read_text("utf-8").split("\n")
                if hashlib.sha256(text.encode()).hexdigest() != sealed:
                    continue
                manifest = json.loads(text)
                files = {key: folder / path for key, (path, _) in manifest["files"].items()}
                if all(files[key].stat().st_size == size for key, (_, size) in manifest["files"].items()):
                    return manifest["body"], files
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                continue
        return None

    def create(self, kind: str, name: str) -> Entry:
        """Return an entry to write: in the cache, or in a temporary folder where the cache cannot be written."""
        for root in (self._folder, None):
            folder = (root or self._temporary_root()) / kind / name
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".{secrets.token_hex(4)}.probe"
                probe.touch(exist_ok=False)
                probe.unlink()
                return Entry(folder)
            except OSError as error:
                if root is None:
                    raise StorageError.of(error, folder) from error
        raise AssertionError("unreachable")

    def _temporary_root(self) -> Path:
        if self._temporary is None:
            try:
                self._temporary = Path(tempfile.mkdtemp(prefix="ftspec-data-"))
            except OSError as error:
                raise StorageError.of(error, Path(tempfile.gettempdir())) from error
            atexit.register(shutil.rmtree, self._temporary, ignore_errors=True)
        return self._temporary

    def remember(self, kind: str, name: str, value: Any) -> None:
        """Keep a small value; a cache that cannot be written forgets it."""
        from ftspec.storage import write_json

        if self._folder is not None:
            with suppress(StorageError):
                write_json(self._folder / kind / f"{name}.json", value)

    def recall(self, kind: str, name: str) -> Any:
        """Return a small value kept before, or None."""
        if self._folder is None:
            return None
        try:
            return read_json(self._folder / kind / f"{name}.json")
        except (OSError, DataError):
            return None
