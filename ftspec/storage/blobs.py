"""Content-addressed blobs: `<root>/sha256/ab/cdef...`, mode 0444, shared by hard links and never overwritten."""

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ftspec.spec.errors import DataError, StorageError
from ftspec.storage.files import replacing, sha256_file, sync_folder, write_atomic

if TYPE_CHECKING:
    from _typeshed import SupportsRead

_BLOCK = 1 << 20

# A link can fail across file systems, under protected_hardlinks, at the link limit, or where links do not exist.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES, errno.ENOSYS}


class BlobStore:
    """Blobs under one root folder, named by the hex sha256 of their bytes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, sha256: str) -> Path:
        """Return where the blob lies, whether or not it exists."""
        return self.root / "sha256" / sha256[:2] / sha256[2:]

    def has(self, sha256: str) -> bool:
        """Whether the blob is in the store (its bytes are not checked: see `check`)."""
        return self.path(sha256).exists()

    def put_bytes(self, data: bytes) -> str:
        """Store `data`, return its hex sha256. An existing blob is success."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self._fresh(sha256):
            write_atomic(self.path(sha256), data, mode=0o444)
        return sha256

    def put_file(self, source: Path) -> str:
        """Store a copy of a file's bytes, return their hex sha256. Raises DataError where it changes meanwhile."""
        sha256 = sha256_file(source)
        if not self._fresh(sha256):
            with source.open("rb") as stream:
                try:
                    self.receive(sha256, stream)
                except DataError as error:
                    message = f"{source} changed while it was being copied"
                    raise DataError("file_changed", message, file=str(source)) from error
        return sha256

    def receive(self, sha256: str, stream: "SupportsRead[bytes]") -> None:
        """Store what a stream gives. Raises DataError `altered_blob`, keeping nothing, unless it is that blob."""
        found = hashlib.sha256()
        with replacing(self.path(sha256), mode=0o444) as target:
            while block := stream.read(_BLOCK):
                found.update(block)
                target.write(block)
            if found.hexdigest() != sha256:
                raise DataError("altered_blob", f"blob {sha256[:12]} came with other bytes", file=str(self.root))

    def _fresh(self, sha256: str) -> bool:
        """Whether the blob is there; its time is renewed, so that `runs gc` leaves what is about to be named alone."""
        path = self.path(sha256)
        if not path.exists():
            return False
        with suppress(OSError):
            os.utime(path)
        return True

    def read(self, sha256: str) -> bytes:
        """Return the bytes. Raises DataError where the blob is missing or no longer has its name's digest."""
        try:
            data = self.path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise DataError("missing_blob", f"blob {sha256[:12]} is not in {self.root}") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DataError("altered_blob", f"blob {sha256[:12]} was altered", file=str(self.path(sha256)))
        return data

    def link(self, sha256: str, target: Path) -> None:
        """Make `target` a hard link to the blob, or a copy where links fail. An equal existing file is success."""
        source = self.path(sha256)
        if target.exists():
            if sha256_file(target) == sha256:
                return
            raise StorageError("file_exists", f"{target} exists with other bytes", file=str(target))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, target)
            except OSError as error:
                if error.errno not in _NO_LINK:
                    raise
                write_atomic(target, source.read_bytes(), mode=0o444)
            sync_folder(target.parent)
        except OSError as error:
            raise StorageError.of(error, target) from error
