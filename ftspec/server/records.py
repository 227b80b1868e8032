"""Documents that are written once, `<root>/<id>/<name>.json`, and found again by any process on the same folder."""

import os
import re
from bisect import insort
from pathlib import Path
from typing import Any

from ftspec.storage import read_json, write_json
from ftspec.storage.files import sync_folder

Record = dict[str, Any]
_SAFE_ID = re.compile(r"^[A-Za-z0-9_-]{1,128}$")


def _age(record: Record) -> tuple[int, str]:
    return record["created_ns"], record["id"]


class Records:
    """One kind of document. Each has `id` and `created_ns`; none ever changes, so what was read stays in memory."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        self._by_id: dict[str, Record] = {}
        self._in_order: list[Record] = []

    def folder(self, identifier: str) -> Path:
        """Where the document and what belongs to it lies."""
        return self.root / identifier

    def put(self, record: Record) -> None:
        """Store a new document; it is durable when this returns. Files beside it must be there before."""
        write_json(self.folder(record["id"]) / self.name, record)
        sync_folder(self.root)
        self._remember(record)

    def get(self, identifier: str) -> Record | None:
        """Return the document, or None where there is none (an unsafe id is none)."""
        if not _SAFE_ID.match(identifier):
            return None
        path = self.folder(identifier) / self.name
        if not path.exists():
            self._forget(identifier)
            return None
        if identifier not in self._by_id:
            self._remember(read_json(path))
        return self._by_id[identifier]

    def newest_first(self) -> list[Record]:
        """Return all documents, those of other processes included."""
        try:
            names = set(os.listdir(self.root))
        except FileNotFoundError:
            names = set()
        for identifier in [known for known in self._by_id if known not in names]:
            self._forget(identifier)
        for identifier in names - self._by_id.keys():
            self.get(identifier)
        return self._in_order[::-1]

    def drop(self, identifier: str) -> None:
        """Remove a document with everything beside it; the document goes first, so that a crash leaves none of it."""
        folder = self.folder(identifier)
        (folder / self.name).unlink(missing_ok=True)
        sync_folder(folder)
        self._forget(identifier)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

    def _remember(self, record: Record) -> None:
        self._by_id[record["id"]] = record
        insort(self._in_order, record, key=_age)

    def _forget(self, identifier: str) -> None:
        record = self._by_id.pop(identifier, None)
        if record is not None:
            self._in_order.remove(record)
