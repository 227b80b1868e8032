"""Reproducing on a host: drift under one name, a closed door, a host that is away, and a transfer. The host is real
(the embedded server with its timed engine, over TCP); that it behaves as OpenAI does is claimed by the profile alone.
"""

import asyncio
import datetime
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from ftspec.compose import Project
from ftspec.providers import connect
from ftspec.providers.pace import Pace
from ftspec.server.app import create_app
from ftspec.server.faults import Fault, FaultPlan, FaultyApp
from ftspec.server.quirks import Quirk
from ftspec.server.timed import TimedBase, TimedBases, TimedGenerator, TimedLauncher
from ftspec.workflows.locking import write_lock
from ftspec.workflows.plan import make_plan
from ftspec.workflows.reproduce import reproduce
from ftspec.workflows.reproduction import levels
from ftspec.workflows.reproduction.case import ReproduceOptions
from ftspec.workflows.reproduction.verdicts import Reproduction
from ftspec.workflows.results import collect
from ftspec.workflows.run import RunOptions, execute

MODEL = "gpt-4.1-nano-2025-04-14"
HOSTED = """\
defaults: [config, override evals: [exact], _self_]
provider: {profile: openai, base_url: "http://127.0.0.1:PORT/v1", auth: {env: TEAM_KEY}}
model: MODEL
dataset:
  sources: [{path: data/rows.jsonl}]
  messages: [{role: user, content: "{{ text }}"}, {role: assistant, content: "{{ label }}"}]
  split: {validation: 8, test: 12}
sweep: {grid: {hyperparameters.n_epochs: [1, 2]}, select: {by: exact.animal.accuracy}}
"""


LATER = """\
later:
  request: {params: {max_completion_tokens: 9}}
  graders: {animal: {type: label}}
"""


# As patient as towards a real host, but without its waits.
QUICK = Pace(
    poll_first=0.02, poll_last=0.1, looks=(0.05, 0.1), backoff=0.01, backoff_last=0.05, settle=0.2, warm_up=0.5
)


class _Bases(TimedBases):
    def names(self) -> tuple[str, ...]:
        return (MODEL,)

    def resolve(self, name: str) -> Any:
        return TimedBase(name, "0" * 64)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, FaultPlan]]:
    """A host on loopback that misbehaves as its plan says."""
    plan = FaultPlan(match=r"^POST .*/(jobs|completions)$")
    launcher = TimedLauncher(lambda _: 0.02, tick=0.01)
    app = create_app(tmp_path_factory.mktemp("host"), launcher=launcher, generate=TimedGenerator(), bases=_Bases())
    server = uvicorn.Server(uvicorn.Config(FaultyApp(app, plan), port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield server.servers[0].sockets[0].getsockname()[1], plan
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def trained(host: tuple[int, FaultPlan], build_demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A sweep trained and scored on the host, with its lock."""
    experiment = HOSTED.replace("PORT", str(host[0])).replace("MODEL", MODEL)
    demo = build_demo(tmp_path_factory.mktemp("hosted") / "project", experiment=experiment)
    project = Project(demo.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEAM_KEY", "sk-of-the-team")
        patch.setattr(connect, "pace_for", lambda _: QUICK)
        report = asyncio.run(execute(make_plan(project, "demo"), RunOptions(yes=True, accept_unknown=True)))
        assert not report.failed, report.failed
        write_lock(make_plan(project, "demo"))
        yield demo


@pytest.fixture
def sweep(trained: Any, host: tuple[int, FaultPlan], tmp_path: Path) -> Any:
    """A copy of it to work on, and a host that behaves."""
    host[1].quirks = frozenset()
    return type(trained)(Path(shutil.copytree(trained.root, tmp_path / "project", symlinks=True)))


def again(demo: Any, target: str, level: str, **options: Any) -> Reproduction:
    chosen = ReproduceOptions(level=level, yes=True, accept_unknown=True, **options)  # type: ignore[arg-type]
    return asyncio.run(reproduce(Project(demo.root), target, chosen))


def test_drift_under_one_name_is_told_and_is_no_failure(sweep: Any, host: Any) -> None:
    margin = sweep.root / "conf" / "evals" / "exact.yaml"
    margin.write_text(
        margin.read_text().replace("  graders:", "  compare: {margin: 0.3}\n  graders:")
    )  # 0.7**12 < 0.05
    quiet = again(sweep, "demo[epochs=1]", "equivalent").subjects[0]
    assert quiet.verdict.word == "reproduced"
    assert not any("drift" in note for note in quiet.notes)
    host[1].quirks = frozenset({Quirk.FINGERPRINT_MOVES})
    moved = again(sweep, "demo[epochs=1]", "equivalent").subjects[0]
    assert moved.verdict.word == "reproduced"
    assert any("drift in exact: fingerprints fp_" in note and "_moved now" in note for note in moved.notes)
    shutil.rmtree(sweep.root / "runs")
    alone = again(sweep, "demo", "conclusion").subjects[0]
    assert any("drift in exact/base: fingerprints fp_" in note for note in alone.notes), alone


def test_a_run_tells_that_its_base_was_asked_before_and_after_a_drift(sweep: Any, host: Any) -> None:
    project = Project(sweep.root)
    assert collect(make_plan(project, "demo")).drift == ()
    host[1].quirks = frozenset({Quirk.FINGERPRINT_MOVES})
    (sweep.root / "conf" / "evals" / "later.yaml").write_text(LATER)
    text = (sweep.root / "experiments" / "demo.yaml").read_text()
    (sweep.root / "experiments" / "demo.yaml").write_text(text.replace("[exact]", "[exact, later]"))
    asyncio.run(execute(make_plan(project, "demo"), RunOptions(yes=True, accept_unknown=True)))
    drift = collect(make_plan(project, "demo")).drift
    assert any(told.startswith(f"{MODEL} answered under 2 fingerprints") and "later/base" in told for told in drift)


def test_a_host_shows_no_bits(sweep: Any) -> None:
    found = again(sweep, "demo[epochs=1]", "bits").verdict
    assert (found.word, int(found.exit_code)) == ("impossible", 14)
    assert "shows no weights" in found.what[0]


def test_a_closed_host_is_impossible_since_its_day(sweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime.date):
        @classmethod
        def today(cls) -> "Later":
            return cls(2027, 2, 1)

    monkeypatch.setattr(levels, "date", Later)
    for level in ("equivalent", "conclusion"):
        found = again(sweep, "demo", level).verdict
        assert (found.shown, int(found.exit_code)) == ("impossible (since 2027-01-06)", 14)
        assert f"openai takes no new jobs of {MODEL}" in found.what[0]
    assert again(sweep, "demo", "scores").verdict.word == "reproduced"


def test_a_host_that_refuses_for_now_concludes_nothing(sweep: Any, host: Any) -> None:
    host[1].script[:] = [Fault.QUOTA]
    found = again(sweep, "demo[epochs=1]", "equivalent").verdict
    host[1].script.clear()
    assert (found.word, int(found.exit_code)) == ("inconclusive", 75)
    attempts = next((sweep.root / "runs" / "demo").glob("epochs=1.*")) / "attempts"
    assert len(list(attempts.glob("*/SEALED"))) == 1
    again(sweep, "demo[epochs=1]", "equivalent")
    assert sorted(p.name for p in attempts.iterdir()) == ["001", "002"]


@pytest.mark.slow
def test_another_provider_is_a_transfer(sweep: Any) -> None:
    changed = ("model=tiny", "++hyperparameters.n_epochs=3")
    found = again(sweep, "epochs=1", "equivalent", provider="embedded", overrides=changed)
    verdict = found.verdict
    assert verdict.transfer
    assert verdict.word == "inconclusive"
    assert verdict.to_json()["transfer"] is True
    assert any("a transfer to embedded: another training" in note for note in found.subjects[0].notes)
    runs = {Path(p.parent).name for p in (sweep.root / "runs" / "demo").glob("*/run.json")}
    assert len(runs) == 3
