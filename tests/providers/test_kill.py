"""SIGKILL at each step of a job's creation, then the same call twice: one job per key, one file per digest."""

import asyncio
import os
import random
import signal
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ftspec.providers.journal import Journal
from ftspec.server.records import Records


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_line(record: str, of: str | None, *, before: bool) -> Callable[[], None]:
    """Die before or after the journal's line of this kind is on disk."""

    def arm() -> None:
        append = Journal.append

        def deadly(self: Journal, name: str, **values: Any) -> None:
            hit = name == record and values.get("of") == of
            if hit and before:
                die()
            append(self, name, **values)
            if hit:
                die()

        Journal.append = deadly  # type: ignore[method-assign]

    return arm


def at_store(kind: str, *, before: bool) -> Callable[[], None]:
    """Die in the server, before or after it stored an object."""

    def arm() -> None:
        put = Records.put

        def deadly(self: Records, record: Any) -> None:
            if self.name == kind and before:
                die()
            put(self, record)
            if self.name == kind:
                die()

        Records.put = deadly  # type: ignore[method-assign]

    return arm


POINTS = {
    "K0 before the intent": at_line("intent", None, before=True),
    "K1 after the intent": at_line("intent", None, before=False),
    "K2 file posted, id not saved": at_line("answer", "file:train", before=True),
    "K3 file id saved": at_line("answer", "file:train", before=False),
    "K4 job posted, id not saved": at_line("answer", "job", before=True),
    "K5 job id saved": at_line("answer", "job", before=False),
    "S0 file received, not stored": at_store("file.json", before=True),
    "S1 file stored, not answered": at_store("file.json", before=False),
    "S2 job checked, not stored": at_store("job.json", before=True),
    "S3 job stored, not answered": at_store("job.json", before=False),
}


def in_child(work: Callable[[], Any]) -> int:
    """Run `work` in a forked process; return what waitpid says, as subprocess does (-9 after SIGKILL)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork in a process with threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("honoured", [True, False], ids=["key honoured", "key ignored"])
@pytest.mark.parametrize("stormy", [False, True], ids=["calm", "storm"])
@pytest.mark.parametrize("point", list(POINTS))
def test_killed_then_run_twice(
    play: Any, place: Any, weather: Any, fast: Any, point: str, stormy: bool, honoured: bool
) -> None:
    standing = () if honoured else ("no_idempotency", "filter_ignored")
    pace = replace(fast, retries=25, tries=12)

    def options(seed: str) -> dict[str, Any]:
        dice = random.Random(seed)
        faults = ["503", "commit_500", "cut", "409", "429", "html_502", "error_200"]

        def choose(method: str, path: str) -> str | None:
            return dice.choice(faults) if stormy and dice.random() < 0.6 else None

        return {"wrap": lambda app: weather(app, choose, standing), "pace": pace}

    async def scenario(p: Any, c: Any) -> Any:
        c.client.max_retries = 0
        return await p.train(c)

    def doomed() -> None:
        POINTS[point]()
        play(scenario, **options(f"{point} 0"))

    assert in_child(doomed) == -signal.SIGKILL
    first, second = (play(scenario, **options(f"{point} {n}")) for n in (1, 2))
    assert first.status == "succeeded"
    assert first.job == second.job
    assert first.artifacts == second.artifacts
    assert len(place.jobs()) == 1
    assert len(place.files()) == 1
    (intent,) = (record for record in place.journal() if record["record"] == "intent")
    assert [job["metadata"]["ftspec_key"] for job in place.jobs()] == [intent["key"]]


def test_two_processes_at_once_make_one_job(play: Any, place: Any) -> None:
    async def scenario(p: Any, c: Any) -> None:
        await p.train(c)

    def other() -> None:
        play(scenario, seconds=0.3)

    pids = []
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            code = 1
            try:
                other()
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0, 0]
    assert len(place.jobs()) == 1
    assert len(place.files()) == 1
    assert place.posts("/fine_tuning/jobs") == 1


def test_an_interrupted_training_goes_on_in_another_process(play: Any, place: Any) -> None:
    async def scenario(p: Any, c: Any) -> Any:
        return await p.train(c)

    async def killed(p: Any, c: Any) -> None:
        task = asyncio.create_task(p.train(c))
        while p.statuses() != ["running"]:
            await asyncio.sleep(0.01)
        die()
        await task

    assert in_child(lambda: play(killed, seconds=30)) == -signal.SIGKILL
    assert place.statuses() == ["running"]
    result = play(scenario, seconds=0.1)
    assert result.status == "succeeded"
    assert [m["step"] for m in result.metrics if m["name"] == "train_loss"] == [1, 2, 3, 4]
    assert place.posts("/fine_tuning/jobs") == 1
