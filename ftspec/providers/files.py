"""Training files at a host: found by name, size and purpose, uploaded once for all runs that share their bytes."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ftspec.providers.connect import Connection, Reply
from ftspec.providers.creation import create_once
from ftspec.providers.failures import CallFailed
from ftspec.providers.journal import Journal
from ftspec.providers.paging import items_of
from ftspec.spec.errors import DataError
from ftspec.storage import FileLock, read_json, sha256_file, write_json
from ftspec.wire.errors import ErrorClass
from ftspec.wire.responses import File

BOM = b"\xef\xbb\xbf"
PURPOSE = "fine-tune"
_LOCK_POLL = 0.1
_GONE = ("error", "deleted")
_SOON = 86_400.0


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock between processes without stopping this one's other work while waiting for it."""
    lock = FileLock(path)
    while not lock.acquire():
        await asyncio.sleep(_LOCK_POLL)
    try:
        yield
    finally:
        lock.release()


async def ensure_file(
    connection: Connection, source: Path, sha256: str, *, role: str, journal: Journal, store: Path
) -> str:
    """Return the host's id of a file with these bytes; `sha256` is the digest of the data without a BOM.

    One upload at a time for an account and digest, across processes. Raises DataError where the file has other bytes,
    CallFailed.
    """
    if sha256_file(source) != sha256:
        raise DataError("altered_file", f"{source.name} is not what was planned", file=str(source))
    upload = _Upload(connection, source, role, journal, store)
    async with locked(store / "locks" / f"upload-{upload.mark}.lock"):
        return await upload.ensure()


class _Upload:
    """One file on its way to one account."""

    def __init__(self, connection: Connection, source: Path, role: str, journal: Journal, store: Path) -> None:
        self.connection, self.source, self.journal = connection, source, journal
        self.what = f"file:{role}"
        # A BOM is added to the bytes on the wire, so name and size are those of what is sent.
        self.prefix = BOM if connection.profile.data.bom else b""
        self.sha256, self.size = _sha256_and_size(source, self.prefix)
        self.name = f"ftspec-{self.sha256[:16]}.jsonl"
        self.mark = hashlib.sha256(f"{connection.identity}\n{self.sha256}".encode()).hexdigest()[:32]
        self.ledger = store / "uploads" / f"{self.mark}.json"

    async def ensure(self) -> str:
        known = await self._still_there()
        if known is None:
            created = await create_once(self.connection, self.find, self.post, doubt=True)
            known, adopted = created.thing, created.adopted
            self.journal.answer(self.what, known.id, known.model_dump(mode="json"), adopted=adopted)
            write_json(self.ledger, {"identity": self.connection.identity, "sha256": self.sha256, "id": known.id})
        elif self.journal.of(self.what).id != known.id:
            self.journal.answer(self.what, known.id, known.model_dump(mode="json"), adopted=True)
        return known.id

    async def _still_there(self) -> File | None:
        """The file that an earlier run uploaded, if the host still has it."""
        try:
            identifier = read_json(self.ledger)["id"]
        except (FileNotFoundError, DataError, KeyError, TypeError):
            return None
        try:
            file = await self.connection.steady(
                "reading a file",
                lambda client: client.files.with_raw_response.retrieve(identifier),
                _read_file,
            )
        except CallFailed as error:
            if error.error_class is ErrorClass.MISSING:
                return None
            raise
        return file if self._fits(file) else None

    def _fits(self, file: File) -> bool:
        if file.filename != self.name or file.purpose not in (None, PURPOSE) or file.status in _GONE:
            return False
        if file.expires_at is not None and file.expires_at < time.time() + _SOON:
            return False
        return file.bytes is None or file.bytes == self.size

    async def find(self) -> File | None:
        """Look through the account's files; the oldest fitting one wins, so that all who look find the same."""
        found: list[File] = []

        async def fetch(client: Any, query: dict[str, Any]) -> Any:
            return await client.files.with_raw_response.list(purpose=PURPOSE, **query)

        async for raw in items_of(self.connection, "listing files", fetch):
            if self._fits(file := File.read(raw)):
                found.append(file)
        return min(found, key=lambda file: (file.created_at or 0, file.id), default=None)

    async def post(self) -> File:
        """Send the bytes once."""
        about = {"filename": self.name, "purpose": PURPOSE, "bytes": self.size, "sha256": self.sha256}
        self.journal.request(self.what, "/files", about)
        # Repeating the upload of one content is harmless, and a host that honours the key makes it one file.
        headers = {"Idempotency-Key": f"ftspec-file-{self.mark}"}
        try:
            with self.source.open("rb") as stream:
                content = self.prefix + stream.read() if self.prefix else stream

                async def send(client: Any) -> Any:
                    return await client.files.with_raw_response.create(
                        file=(self.name, content), purpose=PURPOSE, extra_headers=headers
                    )

                file: File = await self.connection.post_once(
                    "uploading a file", send, _read_file, timeout=self.connection.pace.upload_timeout
                )
        except CallFailed as error:
            self.journal.failed(self.what, error.failure)
            raise
        return file


def forget(connection: Connection, source: Path, store: Path) -> None:
    """Forget an upload that the host no longer has."""
    prefix = BOM if connection.profile.data.bom else b""
    sha256, _ = _sha256_and_size(source, prefix)
    mark = hashlib.sha256(f"{connection.identity}\n{sha256}".encode()).hexdigest()[:32]
    (store / "uploads" / f"{mark}.json").unlink(missing_ok=True)


def _read_file(reply: Reply) -> File:
    return reply.read(File)[0]


def _sha256_and_size(source: Path, prefix: bytes) -> tuple[str, int]:
    digest, size = hashlib.sha256(prefix), len(prefix)
    with source.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size
