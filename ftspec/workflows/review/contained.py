"""Comparing two revisions in a confined child. Its answer is checked like any other file of unknown origin, and what it
cannot know (which revisions, which limits) is not taken from it.
"""

import json
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from ftspec.spec.errors import Exit, FtspecError, Problem, SpecError, UnsafeError
from ftspec.workflows.review.changes import MAX_BYTES, Changes, shaped, to_json
from ftspec.workflows.review.confined import confine, limits, run_confined
from ftspec.workflows.review.job import Job

CPU_SECONDS = 20
SECONDS_PER_EXPERIMENT = 2

_CHILD = "from ftspec.workflows.review.contained import main; sys.exit(main(sys.argv[1]))"


def compare_contained(job: Job, private: Path) -> Changes:
    """Compare in a child. Raises UnsafeError when it goes over a limit, and what the child itself found wrong."""
    seconds = CPU_SECONDS + SECONDS_PER_EXPERIMENT * len(job.names)
    job = msgspec.structs.replace(job, limits=limits(seconds))
    (private / "job.json").write_bytes(msgspec.json.encode(job))
    done = run_confined(_CHILD, [str(private / "job.json")], private, seconds)
    return _answer(done, private / "answer.json", job)


def _answer(done: "subprocess.CompletedProcess[bytes]", path: Path, job: Job) -> Changes:
    if done.returncode < 0 or done.returncode > 128:
        raise UnsafeError("limit", f"composing went over its limits ({job.limits})")
    content = _read(path)
    if done.returncode == 0 and content is not None:
        found = shaped(content)
        own = (*job.notices, *(note for note in found.notices if note not in job.notices))
        return msgspec.structs.replace(
            found,
            base=job.base.side,
            head=job.head.side,
            notices=own,
            limits=job.limits,
            untrusted=True,
            gates=(),
            policy=None,
            beside=(),
            key=job.key,
            untouched=job.untouched,
        )
    if content is not None:
        with suppress(ValueError, KeyError, TypeError):
            raise _error(json.loads(content))
    raise UnsafeError("child", f"the composing child ended with {done.returncode}")


def _read(path: Path) -> bytes | None:
    if not path.is_file() or path.is_symlink():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise UnsafeError("limit", f"the plan is larger than {MAX_BYTES >> 20} MiB: change less at once")
    return path.read_bytes()


def _error(value: Any) -> FtspecError:
    kind = UnsafeError if value["exit"] == Exit.UNSAFE else SpecError
    return kind.many(Problem(**{key: one[key] for key in Problem.__dataclass_fields__}) for one in value["problems"])


def main(path: str) -> int:
    """Entry of the child: limits first, then everything else. Writes `answer.json` beside the job."""
    content = Path(path).read_bytes()
    confine(CPU_SECONDS + SECONDS_PER_EXPERIMENT * len(json.loads(content)["names"]))
    from ftspec.workflows.review.compare_revisions import compare

    try:
        value: Any = to_json(compare(msgspec.json.decode(content, type=Job)))
        code = 0
    except FtspecError as error:
        value = {"exit": int(error.exit_code), "problems": [problem.to_json() for problem in error.problems]}
        code = int(error.exit_code)
    except (MemoryError, RecursionError) as error:
        problem = Problem("limit", f"composing went over its limits: {type(error).__name__}")
        value, code = {"exit": int(Exit.UNSAFE), "problems": [problem.to_json()]}, int(Exit.UNSAFE)
    (Path(path).parent / "answer.json").write_text(json.dumps(value), "utf-8")
    return code
