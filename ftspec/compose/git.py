"""The one way git is called: without hooks, file watchers, replaced objects, prompts or any transport."""

import os
import subprocess
from pathlib import Path

from ftspec.spec.errors import UsageError

SAFE = ("-c", "protocol.allow=never", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
ENVIRONMENT = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    """Run git in a folder and wait for it. Raises UsageError `no_git`."""
    try:
        return subprocess.run(
            ["git", *SAFE, *arguments],
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            input=stdin,
            capture_output=True,
            timeout=120,
        )
    except FileNotFoundError as error:
        raise UsageError("no_git", "git is not installed", fix="install git 2.30 or newer") from error
