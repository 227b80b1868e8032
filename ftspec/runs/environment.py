"""What a run was made with: interpreter, packages, machine, and the state of git. Never environment variables."""

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ftspec.runs.scrub import scrub

PATCH_BYTES = 256 * 1024

# Packages whose version can change what is composed, rendered, trained or scored.
PACKAGES = (
    "ftspec",
    "hydra-core",
    "omegaconf",
    "numpy",
    "openai",
    "msgspec",
    "pydantic",
    "rfc8785",
    "splintr-rs",
    "regex",
    "rapidfuzz",
    "jsonschema",
)


def package_facts(name: str) -> dict[str, str] | None:
    """Return version and the sha256 over the installer's RECORD (file names and hashes), or None if not installed."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    record = found.read_text("RECORD") or ""
    lines = sorted(line for line in record.splitlines() if not line.split(",")[0].endswith((".pyc", "RECORD")))
    facts = {"version": found.version, "record": hashlib.sha256("\n".join(lines).encode()).hexdigest()}
    return facts | {"source": own_source()} if name == "ftspec" else facts


@cache
def own_source() -> str:
    """Return the sha256 over ftspec's own modules: an editable checkout changes without changing its RECORD."""
    package = Path(__file__).resolve().parents[1]
    state = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda p: p.relative_to(package).as_posix()):
        state.update(f"{path.relative_to(package).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return state.hexdigest()


def environment(fingerprint: Any = None) -> dict[str, Any]:
    """Return the contents of env.json; `fingerprint` is the engine's numerics fingerprint where it has one."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "os": platform.system(),
        "os_release": platform.release(),
        "machine": platform.machine(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "byteorder": sys.byteorder,
        "packages": {name: facts for name in PACKAGES if (facts := package_facts(name))},
        "numerics": fingerprint,
    }


@cache
def cpu_model() -> str:
    """Return the processor's own name, empty where the system does not tell."""
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Processor", "Hardware"):
                return value.strip()
    except OSError:
        pass
    return platform.processor()


def _git(root: Path, *arguments: str) -> str | None:
    """Run one git command on the folder; None where there is no git or no repository."""
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=20, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def dirty_patch(root: Path) -> tuple[str, bool] | None:
    """Return what the tree differs in from its commit, scrubbed of secrets, and whether it was cut at PATCH_BYTES.

    None where nothing differs, or without a repository. New files that git does not know are not in it.
    """
    text = _git(root, "diff", "HEAD", "--no-color", "--no-ext-diff", "--no-textconv", "--", ".")
    if not text:
        return None
    clean = scrub(text + "\n")
    data = clean.encode("utf-8", "replace")
    cut = len(data) > PATCH_BYTES
    return (data[:PATCH_BYTES].decode("utf-8", "ignore") if cut else clean), cut


def blob_oid(content: bytes, commit: str) -> str:
    """Return the id that git gives these bytes, before filters, in the object format of the repository of `commit`.

    sha1 or sha256 over `blob SIZE NUL bytes` (git-hash-object(1), gitformat-hash-function-transition(5)).
    """
    algorithm = "sha256" if len(commit) == 64 else "sha1"
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def git_state(root: Path) -> dict[str, Any]:
    """Return commit and whether the tree is dirty; `run` needs no git, so its absence is recorded, not refused."""
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return {"commit": None}
    status = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return {"commit": commit, "dirty": bool(status)}
