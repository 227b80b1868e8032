"""A child process for what strangers wrote: no network where the system allows, no environment, bounded CPU, memory
and files, and nothing it could start.

`python -I` (isolated mode: no PYTHON* variables, no user site, no current folder on sys.path), `unshare -rn` (user and
network namespaces, util-linux), setrlimit(2), and an audit hook (PEP 578) that refuses sockets and processes. The hook
is a second fence, not a sandbox: no code of the revision runs here in the first place. Windows has neither namespaces
nor limits, and the plan says so.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from ftspec.spec.errors import UnsafeError

MEMORY = 1 << 30
FILE_BYTES = 1 << 30
OPEN_FILES = 256
WALL_FACTOR = 6  # wall seconds a CPU second may take on a busy machine

# Looked up at every event, of which composing makes a hundred thousand.
_REFUSED = frozenset(
    (
        *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"),
        *("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn"),
    )
)


def confine(seconds: int) -> None:
    """Give up what composing does not need, for good: called first by the child itself."""
    if os.name == "posix":
        import resource

        for kind, most in (
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_AS, MEMORY),
            (resource.RLIMIT_NOFILE, OPEN_FILES),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_FSIZE, FILE_BYTES),
        ):
            with suppress(ValueError, OSError):
                resource.setrlimit(kind, (most, most))
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: Any) -> None:
    if event in _REFUSED:
        raise UnsafeError("confined", f"composing a strange revision tried {event}")


def limits(seconds: int) -> str:
    """Return in words what `run_confined` takes away on this system."""
    words = ["no network" if _network_cut() else "network not cut off on this system", "empty environment"]
    if os.name == "posix":
        words += [f"{seconds} s of CPU", f"{MEMORY >> 30} GiB of memory"]
    else:
        words.append("no CPU and memory limits on this system")
    return ", ".join(words)


def run_confined(
    code: str, arguments: Sequence[str], folder: Path, seconds: int
) -> "subprocess.CompletedProcess[bytes]":
    """Run Python code in a child that has no environment and no network; the code itself calls `confine` first.

    `folder` is its current folder. Raises UnsafeError `limit` when it takes too long.
    """
    package = Path(__file__).resolve().parents[2]
    # Behind everything else: where ftspec lies in a user's own site-packages, isolated mode would not find it.
    start = f"import sys; sys.path.append({str(package)!r}); {code}"
    try:
        return subprocess.run(
            [*_network_cut(), sys.executable, "-I", "-c", start, *arguments],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=seconds * WALL_FACTOR,
        )
    except subprocess.TimeoutExpired:
        raise UnsafeError("limit", f"composing took more than {seconds * WALL_FACTOR} s") from None


def _environment() -> dict[str, str]:
    kept = {"SYSTEMROOT": os.environ["SYSTEMROOT"]} if "SYSTEMROOT" in os.environ else {}
    return {"LC_ALL": "C.UTF-8"} | kept


@cache
def _network_cut() -> tuple[str, ...]:
    """Return the command that starts a process without network, nothing where there is none that works."""
    tool = shutil.which("unshare")
    if tool is not None:
        with suppress(OSError, subprocess.TimeoutExpired):
            if subprocess.run([tool, "-rn", "true"], capture_output=True, timeout=5).returncode == 0:
                return tool, "-rn"
    return ()
