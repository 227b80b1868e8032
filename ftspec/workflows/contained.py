"""The child that composes what strangers wrote: no network where the system allows, no environment, bounded CPU and
memory, a private folder. Its answer is checked against the schema like any other file of unknown origin.

`python -I` (isolated mode: no PYTHON* variables, no user site, no current folder on sys.path) and `unshare -rn` (user
and network namespaces, util-linux); limits are those of setrlimit(2). Windows has neither: the plan says so.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ftspec.spec.errors import Exit, FtspecError, Problem, SpecError, UnsafeError
from ftspec.workflows.changes import MAX_BYTES, Changes, read_changes, to_json
from ftspec.workflows.compare_revisions import Job, compare

CPU_SECONDS = 20
MEMORY = 1 << 30
WALL_FACTOR = 6


def compare_contained(job: Job, private: Path) -> Changes:
    """Compare in a child. Raises UnsafeError when it goes over a limit, and what the child itself found wrong."""
    cut = _cuts_network()
    words = ["empty environment", f"{_cpu(job)} s of CPU", "1 GiB of memory"] if _resource() else ["empty environment"]
    words.insert(0, "no network" if cut else "network not cut off on this system")
    words += [] if _resource() else ["no CPU and memory limits on this system"]
    job = msgspec.structs.replace(job, limits=", ".join(words))
    (private / "job.json").write_bytes(msgspec.json.encode(job))
    command = [*cut, sys.executable, "-I", "-m", "ftspec.workflows.contained", str(private / "job.json")]
    try:
        done = subprocess.run(
            command,
            cwd=private,
            env={"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_cpu(job) * WALL_FACTOR,
        )
    except subprocess.TimeoutExpired:
        raise UnsafeError("limit", f"composing took more than {_cpu(job) * WALL_FACTOR} s") from None
    return _answer(done, private / "answer.json", job)


def _cpu(job: Job) -> int:
    return CPU_SECONDS + 2 * len(job.names)


def _resource() -> bool:
    return os.name == "posix"


def _cuts_network() -> list[str]:
    tool = shutil.which("unshare")
    if tool is None:
        return []
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([tool, "-rn", "true"], capture_output=True, timeout=5)
        if done.returncode == 0:
            return [tool, "-rn"]
    return []


def _answer(done: "subprocess.CompletedProcess[bytes]", path: Path, job: Job) -> Changes:
    if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES:
        content = path.read_bytes()
        if done.returncode == 0:
            found = read_changes(content)
            # Which revisions were read, and how, is not the child's to say.
            return msgspec.structs.replace(
                found,
                base=job.base.side,
                head=job.head.side,
                notices=_own(found, job),
                limits=job.limits,
                untrusted=True,
                gates=(),
                key=job.key,
                untouched=job.untouched,
            )
        with suppress(ValueError, KeyError, TypeError):
            raise _error(json.loads(content))
    if done.returncode < 0 or done.returncode > 128:
        raise UnsafeError("limit", f"composing went over its limits ({job.limits})")
    raise UnsafeError("child", f"the composing child ended with {done.returncode}")


def _own(found: Changes, job: Job) -> tuple[str, ...]:
    return (*job.notices, *(note for note in found.notices if note not in job.notices))


def _error(value: Any) -> FtspecError:
    kind = UnsafeError if value["exit"] == Exit.UNSAFE else SpecError
    return kind.many(Problem(**{key: one[key] for key in Problem.__dataclass_fields__}) for one in value["problems"])


def _limit(job: Job) -> None:
    if not _resource():
        return
    import resource

    seconds = _cpu(job)
    for kind, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 1 << 30),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def main(path: Path) -> int:
    """Entry of the child: limits first, then everything else. Writes `answer.json` beside the job."""
    job = msgspec.json.decode(path.read_bytes(), type=Job)
    _limit(job)
    answer = path.parent / "answer.json"
    try:
        value: Any = to_json(compare(job))
        code = 0
    except FtspecError as error:
        value = {"exit": int(error.exit_code), "problems": [problem.to_json() for problem in error.problems]}
        code = int(error.exit_code)
    except (MemoryError, RecursionError) as error:
        problem = Problem("limit", f"composing went over its limits: {type(error).__name__}")
        value, code = {"exit": int(Exit.UNSAFE), "problems": [problem.to_json()]}, int(Exit.UNSAFE)
    answer.write_text(json.dumps(value), "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
