"""Files of a revision written into a private folder that composes as a project."""

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from ftspec.compose.blobs import MAX_DATA_BYTES, Blobs
from ftspec.compose.revision import FOLDERS, REGULAR, Revision, composing_files, is_inside, printable
from ftspec.compose.scan import MAX_BYTES
from ftspec.spec.errors import UnsafeError

MAX_LINE_BYTES = 1024 * 1024
MAX_CONFIGURATION_BYTES = 16 * 1024 * 1024  # YAML files of one revision together
LFS = b"version https://git-lfs.github.com/spec/v1\n"


def check_size(revision: Revision, blobs: Blobs) -> None:
    """Refuse more configuration than anybody writes, before it is read. Raises UnsafeError."""
    paths = [path for path in composing_files(revision) if path.endswith((".yaml", ".yml"))]
    if sum(blobs.size(revision, path) for path in paths) > MAX_CONFIGURATION_BYTES:
        message = f"{len(paths):,} configuration files hold more than {MAX_CONFIGURATION_BYTES >> 20} MiB"
        raise UnsafeError("limit", message)


def write_private(
    revision: Revision, paths: Iterable[str], blobs: Blobs, folder: Path, *, untrusted: bool = False
) -> dict[str, str]:
    """Write files of a revision into a folder of mode 0700 that composes as a project.

    Returns the sha256 of each file that is an LFS pointer: its rows are not in git, so nothing is written for it.
    Raises UnsafeError for a link, a path that leaves the folder, or a file over the limits.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    pointers: dict[str, str] = {}
    for path in paths:
        if not is_inside(path) or not _is_plain(revision, path, untrusted):
            shown = printable(path)
            raise UnsafeError("link", f"{shown} is no plain file", file=shown, fix="commit the file itself")
        target = folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        size = blobs.size(revision, path)
        if size < 1024 and (found := _pointer(blobs.read(revision, path))):
            pointers[path] = found
            continue
        with _open_new(target) as stream:
            if path.partition("/")[0] in FOLDERS and not path.endswith(".rows"):
                stream.write(blobs.read(revision, path, MAX_BYTES if path.endswith((".yaml", ".yml")) else 64 << 20))
            else:
                blobs.copy(
                    revision, path, stream, MAX_DATA_BYTES, MAX_LINE_BYTES if _is_lines(path, untrusted) else None
                )
    return pointers


def _is_plain(revision: Revision, path: str, untrusted: bool) -> bool:
    """Tell whether a path is a file itself. In the reader's own working tree a link is as good, unless `untrusted`."""
    if revision.disk is None:
        return revision.files[path].mode in REGULAR
    real = revision.disk / path
    return not untrusted or real.resolve() == revision.disk.resolve() / path


def _is_lines(path: str, untrusted: bool) -> bool:
    return untrusted and not path.endswith((".rows", ".parquet", ".zst"))


def _open_new(target: Path) -> IO[bytes]:
    return os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600), "wb")


def _pointer(content: bytes) -> str | None:
    """Return the sha256 that an LFS pointer names (git-lfs specification), None for any other file."""
    if not content.startswith(LFS):
        return None
    found = re.search(rb"^oid sha256:([0-9a-f]{64})$", content, re.MULTILINE)
    return found[1].decode() if found else None
