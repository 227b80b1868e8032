"""P4: many concurrent jobs, from upload to weights, through the real client and server; only the training is timed.

    python bench/p4_server.py [--jobs 1000] [--seconds 60] [--smoke]

Each job takes a seeded time between half of `--seconds` and all of it. The bars: wall at most 1.2 times the slowest
job, at most 400 MB resident, and polls a job bounded by the pace of an embedded provider (0.2 s growing to 2 s).
`--smoke` fails only where jobs are lost or made twice: on a loaded machine a figure says nothing.
"""

import argparse
import asyncio
import hashlib
import json
import math
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ftspec.providers.connect import connect
from ftspec.providers.jobs import TrainRequest, train
from ftspec.providers.pace import LOCAL
from ftspec.server.app import create_app
from ftspec.server.timed import TimedBases, TimedGenerator, TimedLauncher
from ftspec.spec.experiment import Provider
from ftspec.storage import BlobStore, read_log

ROWS = "".join(
    json.dumps({"messages": [{"role": "user", "content": str(i)}, {"role": "assistant", "content": "yes"}]}) + "\n"
    for i in range(20)
)
WALL_BAR, RSS_BAR = 1.2, 400.0


def seconds_of(job: dict[str, Any], longest: float) -> float:
    """Between half of the longest and all of it, by the job's seed."""
    return longest * (1.0 if job["seed"] == 0 else 0.5 + 0.5 * random.Random(job["seed"]).random())


def resident_mb() -> float:
    """The peak of this process, which is client and server in one."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


async def measure(root: Path, jobs: int, longest: float) -> dict[str, Any]:
    """Run all jobs at once; returns what was measured."""
    data = root / "train.jsonl"
    data.write_text(ROWS)
    sha256 = hashlib.sha256(ROWS.encode()).hexdigest()
    gets: Counter[str] = Counter()
    launcher = TimedLauncher(lambda job: seconds_of(job, longest), tick=1.0)
    app = create_app(root / "state", launcher=launcher, generate=TimedGenerator(), bases=TimedBases())

    def counting(_: Any) -> Any:
        async def counted(scope: Any, receive: Any, send: Any) -> None:
            if scope["method"] == "GET" and "/fine_tuning/jobs/ftjob-" in scope["path"]:
                gets[scope["path"].removeprefix("/v1/fine_tuning/jobs/").partition("/")[2] or "job"] += 1
            await app(scope, receive, send)

        return counted

    async with connect(Provider(), state=root / "unused", wrap=counting) as connection:
        blobs = BlobStore(root / "store")

        async def one(number: int) -> str:
            hyper = {"n_epochs": 1, "batch_size": 1}
            digest = hashlib.sha256(str(number).encode()).hexdigest()
            request = TrainRequest(
                subject=str(number),
                train_digest=digest,
                attempt_id=f"{digest[:12]}#001",
                model="tiny",
                method="supervised",
                hyperparameters=hyper,
                seed=number,
                suffix=None,
                metadata={},
                train_file=data,
                train_sha256=sha256,
                valid_file=None,
                valid_sha256=None,
            )
            attempt = root / "attempts" / str(number)
            return (await train(connection, request, attempt=attempt, blobs=blobs, emit=lambda event: None)).status

        await connection.client.models.list()  # the SDK is imported by now, and is no part of the jobs
        cpu, began = time.process_time(), time.monotonic()
        statuses = Counter(await asyncio.gather(*(one(number) for number in range(jobs))))
        wall, cpu = time.monotonic() - began, time.process_time() - cpu
    await app.state.close()
    log = [line for line in read_log(root / "state" / "access.jsonl") if line["event"] == "request"]
    created = sum(line["path"].endswith("/jobs") for line in log)
    return {"statuses": statuses, "wall": wall, "cpu": cpu, "gets": gets, "created": created}


def most_polls(seconds: float) -> int:
    """Polls that the pace allows in so long a time: growing waits, then one each `poll_last`, and the last look."""
    waits, wait, count = 0.0, LOCAL.poll_first, 0
    while wait < LOCAL.poll_last:
        waits, wait, count = waits + wait, wait * LOCAL.poll_growth, count + 1
    return count + math.ceil(max(0.0, seconds - waits) / LOCAL.poll_last) + 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--smoke", action="store_true", help="20 jobs of 2 s; no figure is judged")
    options = parser.parse_args()
    if options.smoke:
        options.jobs, options.seconds = 20, 2.0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 6 * options.jobs + 200  # locks, logs and journals of all jobs are open at once
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, needed), hard), hard))
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), options.jobs, options.seconds))
    ratio, rss = found["wall"] / options.seconds, resident_mb()
    polls, allowed = found["gets"]["job"] / options.jobs, most_polls(found["wall"])
    print(f"{options.jobs} jobs at once: {dict(found['statuses'])}, {found['created']} POSTs that create one")
    print(f"wall {found['wall']:.1f} s, slowest job {options.seconds:.1f} s: ratio {ratio:.2f} (bar {WALL_BAR})")
    print(f"peak resident, client and server in one process: {rss:.0f} MB (bar {RSS_BAR:.0f})")
    print(f"polls a job: {polls:.1f} (the pace allows {allowed}); other reads: {dict(found['gets'])}")
    print(f"CPU {found['cpu']:.1f} s, {1000 * found['cpu'] / options.jobs:.1f} ms a job; load {os.getloadavg()[0]:.1f}")
    works = found["statuses"] == {"succeeded": options.jobs} and found["created"] == options.jobs
    met = options.smoke or (ratio <= WALL_BAR and rss <= RSS_BAR and polls <= allowed)
    print("PASS" if works and met else "FAIL")
    return 0 if works and met else 1


if __name__ == "__main__":
    raise SystemExit(main())
