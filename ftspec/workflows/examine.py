"""What `doctor` looks at: interpreter, packages, disk, the shipped base, keys, and the dates of hosted providers."""

import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Literal

from ftspec.providers.profiles import load_profile, profile_ids
from ftspec.spec.errors import FtspecError, StorageError
from ftspec.storage import require_writable

Status = Literal["ok", "warning", "failed", "info"]
_NEEDED = ("hydra-core", "omegaconf", "openai", "pydantic", "numpy", "msgspec", "splintr-rs")
_LOW_DISK = 500 * 2**20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    status: Status
    detail: str
    fix: str = ""


def examine(folder: Path, environ: Mapping[str, str], today: date) -> Iterator[Finding]:
    """Yield what was found; `folder` is where runs would be written, `today` decides which dates are past."""
    yield _python()
    yield from _packages()
    yield _disk(folder)
    yield _base()
    yield _git(folder)
    for profile in profile_ids():
        yield from _provider(profile, environ, today)


def _python() -> Finding:
    version = platform.python_version()
    return Finding("python", "ok", f"{version} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores")


def _packages() -> Iterator[Finding]:
    versions, missing = [], []
    for name in _NEEDED:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Finding("packages", "failed", f"missing: {', '.join(missing)}", "install ftspec again")
    yield Finding("packages", "ok", ", ".join(versions))


def _disk(folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        require_writable(existing)
    except StorageError as error:
        problem = error.problems[0]
        return Finding("disk", "failed", f"{existing}: {problem.message}", problem.fix)
    free = shutil.disk_usage(existing).free
    status: Status = "ok" if free > _LOW_DISK else "warning"
    return Finding(
        "disk", status, f"{free / 2**30:.1f} GiB free in {existing}", "" if status == "ok" else "free some space"
    )


def _base() -> Finding:
    from ftspec.engine.bases import resolve

    try:
        base = resolve("tiny")
    except FtspecError as error:
        return Finding("base model", "failed", str(error), "install ftspec again")
    return Finding("base model", "ok", f"tiny = {base.name}, weights {base.digest.removeprefix('sha256:')[:12]}")


def _git(folder: Path) -> Finding:
    if shutil.which("git") is None:
        return Finding("git", "warning", "not installed", "`run` works without it, but records no commit")
    from ftspec.runs.environment import git_state

    existing = next(path for path in (folder, *folder.parents) if path.exists())
    commit = git_state(existing)["commit"]
    return Finding("git", "ok" if commit else "info", f"commit {commit[:12]}" if commit else "no repository here")


def _provider(name: str, environ: Mapping[str, str], today: date) -> Iterator[Finding]:
    profile = load_profile(name)
    label = f"provider {name}"
    if profile.family == "embedded":
        yield Finding(label, "ok", "no key, no network; trains here")
        return
    variable = profile.address.key
    key = "no key needed" if variable is None else f"{variable} is {'set' if environ.get(variable) else 'not set'}"
    yield Finding(label, "info", f"{key}; {profile.label}")
    for row in profile.lifecycle:
        effect = row.effect.replace("_", " ")
        detail = f"{row.date} ({row.edge}): {effect} for {row.scope.replace('_', ' ')}: {', '.join(row.models)}"
        yield Finding(label, "warning" if row.date <= today else "info", detail)
