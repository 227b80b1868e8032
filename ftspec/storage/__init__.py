"""Atomic files, append-only logs, locks and content-addressed blobs: the only place that renames or fsyncs."""

from ftspec.storage.blobs import BlobStore
from ftspec.storage.files import read_json, replacing, require_writable, sha256_file, write_atomic, write_json
from ftspec.storage.hashing import Hashing
from ftspec.storage.locks import FileLock, is_locked
from ftspec.storage.logs import AppendLog, read_log

__all__ = [
    "AppendLog",
    "BlobStore",
    "FileLock",
    "Hashing",
    "is_locked",
    "read_json",
    "read_log",
    "replacing",
    "require_writable",
    "sha256_file",
    "write_atomic",
    "write_json",
]
