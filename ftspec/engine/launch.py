"""Starting a worker: detached from its parent, pinned, without keys in its environment. Imports no numpy."""

import os
import sys
from pathlib import Path

from ftspec.engine.environment import environment
from ftspec.engine.job import Job, slots
from ftspec.spec.errors import StorageError
from ftspec.storage import is_locked

_children: set[int] = set()


def launch(job_dir: Path) -> None:
    """Start a worker on a job and return at once.

    The worker has its own process group, so that Ctrl-C reaches the parent alone, and outlives it. Nothing is started
    where every slot is taken: a worker looks for queued jobs after it has given its slot back, so it finds this one.
    job.json must be on disk before the call. Raises StorageError where the job folder cannot be written.
    """
    _reap()
    job = Job(job_dir)
    if not job.cancel_asked and all(is_locked(slot.path) for slot in slots(job.root)):
        return
    try:
        log = os.open(job_dir / "stderr.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StorageError.of(error, job_dir) from error
    try:
        null = os.open(os.devnull, os.O_RDWR)
        command = [sys.executable, "-m", "ftspec.engine.worker", str(job_dir.absolute())]
        streams = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
        _children.add(os.posix_spawn(sys.executable, command, environment(), file_actions=streams, setpgroup=0))
        os.close(null)
    finally:
        os.close(log)


def _reap() -> None:
    """Take note of children that have ended, so that they leave the process table. Threads may do so at once."""
    for pid in list(_children):
        try:
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            ended = True
        if ended:
            _children.discard(pid)
