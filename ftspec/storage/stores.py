"""A place outside `runs/` where objects are kept by name: a folder, or an object store by its URL.

An object appears whole or not at all, and is never changed: equal names hold equal bytes, so that any number of
machines may put at once. Nothing here deletes.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ftspec.spec.errors import DataError, StorageError, UsageError
from ftspec.spec.stores import SCHEMES, split_address
from ftspec.storage.files import replacing

_OWN_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_S3_CONFIG = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 4, "mode": "standard"}}


class Store(Protocol):
    """Objects by name. All methods raise StorageError where the store cannot be reached or says no."""

    url: str

    def names(self, prefix: str) -> set[str]:
        """Return the names below `prefix`, a folder of names ending in `/`; empty where there is none."""

    def has(self, name: str) -> bool:
        """Whether an object of that name is there."""

    def put(self, name: str, source: Path) -> None:
        """Put a file's bytes under a name."""

    def get(self, name: str, target: Path) -> None:
        """Write an object's bytes to a file. Raises DataError `missing_object` where there is none."""


def open_store(address: str, root: Path) -> Store:
    """Open a store; a folder's path is relative to `root`. Raises UsageError for an address that is none."""
    try:
        found = split_address(address)
    except ValueError as error:
        raise UsageError("bad_store", f"{address}: {error}") from error
    if found is None:
        return FolderStore(root / Path(address).expanduser())
    return ObjectStore(address, *found)


class FolderStore:
    """A folder: a mounted share, a disk that travels."""

    def __init__(self, folder: Path) -> None:
        self.url, self._folder = str(folder), folder

    def names(self, prefix: str) -> set[str]:
        """Return the names below a prefix."""
        top = self._folder / prefix
        try:
            if not top.is_dir():
                return set()
            paths = (path for path in top.rglob("*") if path.is_file() and not path.name.startswith("."))
            return {path.relative_to(self._folder).as_posix() for path in paths}
        except OSError as error:
            raise self._unreadable(error) from error

    def has(self, name: str) -> bool:
        """Whether the file is there."""
        try:
            return (self._folder / name).is_file()
        except OSError as error:
            raise self._unreadable(error) from error

    def put(self, name: str, source: Path) -> None:
        """Copy a file, in one step for whoever looks."""
        with source.open("rb") as content, replacing(self._folder / name) as target:
            shutil.copyfileobj(content, target, 1 << 20)

    def get(self, name: str, target: Path) -> None:
        """Copy a file out."""
        try:
            with (self._folder / name).open("rb") as content, replacing(target) as out:
                shutil.copyfileobj(content, out, 1 << 20)
        except FileNotFoundError as error:
            raise _missing(self.url, name) from error

    def _unreadable(self, error: OSError) -> StorageError:
        return StorageError(
            "store_refused", f"{self.url} cannot be read: {error.strerror}", fix="look at its permissions"
        )


class ObjectStore:
    """An object store, through fsspec; credentials are those its own tools find (environment, profile, role)."""

    def __init__(self, url: str, scheme: str, place: str) -> None:
        self.url, self._place = url, place
        try:
            import fsspec

            options = {"config_kwargs": _S3_CONFIG} if scheme == "s3" else {}
            self._files: Any = fsspec.filesystem(scheme, use_listings_cache=False, **options)
        except ImportError as error:
            package = SCHEMES[scheme]
            fix = "pip install 'ftspec[store]'" if scheme == "s3" else f"pip install {package}"
            raise UsageError("missing_package", f"{url} needs the package {package}", fix=fix) from error

    def names(self, prefix: str) -> set[str]:
        """Return the names below a prefix."""
        with self._calling():
            self._files.invalidate_cache()
            found = self._files.find(f"{self._place}/{prefix}")
        return {path.removeprefix(f"{self._place}/") for path in found}

    def has(self, name: str) -> bool:
        """Whether the object is there."""
        with self._calling():
            return bool(self._files.exists(f"{self._place}/{name}"))

    def put(self, name: str, source: Path) -> None:
        """Upload a file; the object is there when all of it is."""
        with self._calling():
            self._files.put_file(str(source), f"{self._place}/{name}")

    def get(self, name: str, target: Path) -> None:
        """Download an object."""
        with self._calling():
            try:
                self._files.get_file(f"{self._place}/{name}", str(target))
            except FileNotFoundError as error:
                raise _missing(self.url, name) from error

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Word whatever a client library raises: each has a tree of its own."""
        try:
            yield
        except DataError:
            raise
        except FileNotFoundError as error:
            raise StorageError("no_store", f"{self.url}: {error}", fix="make the bucket first") from error
        except PermissionError as error:
            fix = "give the credentials that its own tools use the right to list, read and write there"
            raise StorageError("store_refused", f"{self.url} refuses: {error}", fix=fix) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _OWN_DISK:
                raise StorageError.of(error, Path(error.filename or ".")) from error
            fix = "check address, network and credentials, then give the same command again: nothing is lost"
            said = f"{self.url} cannot be reached: {type(error).__name__}: {error}"
            raise StorageError("store_unreachable", said, fix=fix) from error


def _missing(url: str, name: str) -> DataError:
    return DataError("missing_object", f"{name} is not in {url}")
