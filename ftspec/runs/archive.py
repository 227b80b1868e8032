"""Parcels as one tar file: a part of `runs/` that `tar xf` unpacks too. Equal parcels make equal bytes.

Names are sorted, times and owners zero. Each blob is stored once, under `.store/`; a run's file that is a blob is a
hard link to it. A *thin* archive leaves the blobs out and links to them all the same: what a store keeps apart.

Reading trusts nothing. All headers are looked at before anything is written: known names only, regular files, links
to blobs only, sizes within bounds, nothing cut off. Blobs are hashed on the way in, and sealed folders before they
are let into `runs/` (`ftspec.runs.admission`).
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ftspec.runs.parcels import BLOB, FILE, Parcel, blob_path, parcel_source
from ftspec.spec.errors import DataError, UnsafeError
from ftspec.storage import BlobStore, replacing

VERSION = 1
_MARK = "ftspec runs"  # stands in a global header, with the format's version and how many members follow
_BLOCK = 1 << 20
MAX_FILE_BYTES = 8 * 2**30
MAX_BYTES = 64 * 2**30
MAX_FILES = 1_000_000
Fetch = Callable[[str], None]


def write_archive(stream: BinaryIO, parcels: Iterable[Parcel], runs: Path, *, thin: bool = False) -> list[str]:
    """Write parcels; return the hex sha256 of blobs that are named but nowhere on this disk.

    Raises DataError `file_changed` where a file is no longer the one that was sealed.
    """
    store = BlobStore(runs / ".store")
    files: dict[str, str] = {}
    blobs: dict[str, Path] = {}
    wanted: set[str] = set()
    for parcel in parcels:
        files |= parcel.files
        wanted |= parcel.blobs
        for path, sha256 in parcel.files.items():
            if sha256 in parcel.blobs:
                blobs[sha256] = parcel_source(runs, store, path, sha256)
    blobs |= {sha256: store.path(sha256) for sha256 in wanted if store.has(sha256)}
    packed = sorted(blobs if not thin else ())
    mark = {"comment": f"{_MARK} {VERSION} {len(packed) + len(files)}"}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers=mark) as tar:
        for sha256 in packed:
            _add(tar, blob_path(sha256), blobs[sha256], sha256, 0o444)
        for path, sha256 in sorted(files.items()):
            if sha256 in wanted:
                tar.addfile(_member(path, 0o444, link=blob_path(sha256)))
            else:
                _add(tar, path, runs / path, sha256, 0o644)
    return sorted(wanted - blobs.keys())


def _member(name: str, mode: int, *, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode, member.linkname = mode, link
    member.type = tarfile.LNKTYPE if link else tarfile.REGTYPE
    return member


def _add(tar: tarfile.TarFile, name: str, source: Path, sha256: str, mode: int) -> None:
    member = _member(name, mode)
    with source.open("rb") as stream:
        member.size = os.fstat(stream.fileno()).st_size
        hashed = _Hashed(stream)
        try:
            tar.addfile(member, hashed)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno is not None:  # the disk's word; tarfile's own, of a file that became shorter, has none
                raise
            raise DataError("file_changed", "it changed while it was packed", file=str(source)) from error
    if hashed.sha256.hexdigest() != sha256:
        raise DataError("file_changed", "it is not what was sealed", file=str(source), fix="see `ftspec verify`")


class _Hashed:
    """A file that is hashed while it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.sha256 = stream, hashlib.sha256()

    def read(self, size: int) -> bytes:
        block = self.stream.read(size)
        self.sha256.update(block)
        return block


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold."""

    bytes: int = MAX_BYTES
    file_bytes: int = MAX_FILE_BYTES
    files: int = MAX_FILES


def read_archive(
    path: Path, target: Path, blobs: BlobStore, *, limits: Limits = Limits(), fetch: Fetch | None = None
) -> None:
    """Unpack an archive: blobs into the store, run files below `target`, a folder of its own that is not yet `runs/`.

    `fetch` brings a blob that a thin archive only names. Raises UnsafeError (a name that leads out, a link, a device,
    a size out of bounds), DataError (no archive of ours, cut off, a newer version, a blob with other bytes), before
    or without leaving anything but blobs that are what their names say.
    """
    with path.open("rb") as stream:
        members = _checked(stream, path, limits, thin=fetch is not None)
        stream.seek(0)
        tar, _ = _opened(stream, path)
        with tar:
            for member in members:
                if member.islnk():
                    sha256 = _sha256_of(member.linkname)
                    if fetch is not None and not blobs.has(sha256):
                        fetch(sha256)
                    blobs.link(sha256, target / member.name)
                    continue
                content = tar.extractfile(member)
                assert content is not None  # it is a regular file
                if member.name.startswith("."):
                    sha256 = _sha256_of(member.name)
                    if not blobs.has(sha256):
                        blobs.receive(sha256, content)
                else:
                    with replacing(target / member.name) as out:
                        while block := content.read(_BLOCK):
                            out.write(block)


def _sha256_of(name: str) -> str:
    match = BLOB.fullmatch(name)
    assert match is not None  # names were checked
    return match[1] + match[2]


def _checked(stream: BinaryIO, path: Path, limits: Limits, *, thin: bool) -> list[tarfile.TarInfo]:
    """Look at every header of an archive; nothing is written."""
    found: dict[str, tarfile.TarInfo] = {}
    total = 0
    tar, count = _opened(stream, path)
    with tar:
        for member in _members(tar, path):
            if member.name in found:
                raise UnsafeError("unsafe_archive", f"{member.name!r} is in it twice", file=str(path))
            if problem := _problem(member, found, thin):
                raise UnsafeError(
                    "unsafe_archive", problem, file=str(path), fix="it was not made by `ftspec runs pack`"
                )
            total += member.size
            if member.size > limits.file_bytes or total > limits.bytes or len(found) >= limits.files:
                message = f"more than {limits.bytes:,} bytes or {limits.files:,} files, or one of {member.size:,} bytes"
                raise UnsafeError("too_large", message, file=str(path), fix="--max-bytes raises the bound")
            found[member.name] = member
    if len(found) != count:
        raise DataError("cut_off", f"the archive is cut off: {len(found)} of {count} files", file=str(path))
    return list(found.values())


def _problem(member: tarfile.TarInfo, found: dict[str, tarfile.TarInfo], thin: bool) -> str:
    if not (FILE.fullmatch(member.name) or BLOB.fullmatch(member.name)):
        return f"{member.name!r} is not a name of a run's file"
    if member.issparse() or not (member.isreg() or member.islnk()):
        return f"{member.name!r} is a link, a device or another special file"
    if member.islnk() and not BLOB.fullmatch(member.linkname):
        return f"{member.name!r} links to {member.linkname!r}"
    if member.islnk() and not thin and member.linkname not in found:
        return f"{member.name!r} links to a blob that is not in it"
    return ""


class _Bounded:
    """A file of which no header can make us read more than a block at once."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.tell, self.seek = stream.tell, stream.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _BLOCK:
            raise tarfile.ReadError("a header is too large")
        return self.stream.read(size)


def _opened(stream: BinaryIO, path: Path) -> tuple[tarfile.TarFile, int]:
    """Open an archive of ours, of a version that is known; return it and how many members it says it has."""
    try:
        tar = tarfile.open(fileobj=_Bounded(stream), mode="r:")  # type: ignore[call-overload]  # noqa: SIM115
    except (tarfile.TarError, ValueError, OverflowError) as error:
        fix = "archives are made by `ftspec runs pack`; a compressed one is to be decompressed first"
        raise DataError("no_archive", f"not an archive of runs: {error}", file=str(path), fix=fix) from error
    match = re.fullmatch(rf"{_MARK} (\d{{1,9}}) (\d{{1,9}})", tar.pax_headers.get("comment", ""))
    if match is None:
        raise DataError("no_archive", "a tar file, but not one of runs", file=str(path))
    if int(match[1]) > VERSION:
        message = f"packed by a newer version (format {match[1]}, this one reads up to {VERSION})"
        raise DataError("newer_version", message, file=str(path), fix="install that version of ftspec")
    return tar, int(match[2])


def _members(tar: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    try:
        yield from tar
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise DataError("cut_off", f"the archive is damaged or cut off: {error}", file=str(path)) from error
