"""Each thing that goes wrong at a host: what a job makes of it, and how many POSTs the server counted."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from ftspec.providers.failures import CallFailed, lines_named
from ftspec.spec.errors import Exit
from ftspec.spec.events import Notice
from ftspec.wire.errors import ErrorClass

JOBS = ("POST", "/fine_tuning/jobs")
FILES = ("POST", "/files")


def first(n: int, fault: str, *where: tuple[str, str]) -> Any:
    """The fault on the first `n` requests of each kind."""
    left = dict.fromkeys(where or (JOBS, FILES), n)

    def choose(method: str, path: str) -> str | None:
        if left.get((method, path), 0) > 0:
            left[method, path] -= 1
            return fault
        return None

    return choose


@pytest.mark.parametrize("honoured", [True, False])
@pytest.mark.parametrize(
    "fault", ["503", "commit_500", "commit_hang", "cut", "409", "429", "429_date", "html_502", "html_200", "error_200"]
)
def test_one_bad_answer_makes_one_job(play: Any, place: Any, weather: Any, fault: str, honoured: bool) -> None:
    standing = () if honoured else ("no_idempotency", "filter_ignored")
    result = play(lambda p, c: p.train(c), wrap=lambda app: weather(app, first(1, fault), standing))
    assert result.status == "succeeded"
    assert len(place.jobs()) == 1
    assert len(place.files()) == 1
    committed = fault in ("commit_500", "commit_hang", "cut")
    assert place.posts("/fine_tuning/jobs") == 1
    records = [(r["record"], r.get("adopted")) for r in place.journal() if r.get("of") == "job"]
    failures = [("request", None), ("failure", None)]
    again = [] if committed else [("request", None)]
    assert records == [*failures, *again, ("answer", committed)]


@pytest.mark.parametrize("fault", ["503", "html_502", "html_200", "error_200", "cut", "429", "409"])
def test_reading_goes_on_through_bad_answers(play: Any, place: Any, weather: Any, fast: Any, fault: str) -> None:
    dice = random.Random(7)

    def choose(method: str, path: str) -> str | None:
        return fault if method == "GET" and dice.random() < 0.4 else None

    async def patient(p: Any, c: Any) -> Any:
        c.client.max_retries = 0  # the SDK's own waits between retries are half a second and more
        return await p.train(c)

    result = play(patient, wrap=lambda app: weather(app, choose), pace=replace(fast, retries=12))
    assert result.status == "succeeded"
    assert place.posts("/fine_tuning/jobs") == 1
    assert "weights" in result.artifacts


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("standing", [(), ("no_idempotency", "filter_ignored", "lag")])
def test_a_storm_of_everything_makes_one_job(
    play: Any, place: Any, weather: Any, fast: Any, seed: int, standing: tuple[str, ...]
) -> None:
    dice = random.Random(seed)
    faults = ["503", "commit_500", "commit_hang", "cut", "409", "429", "html_502", "html_200", "error_200"]

    def choose(method: str, path: str) -> str | None:
        mixed = faults if method == "POST" else [fault for fault in faults if fault != "commit_hang"]
        return dice.choice(mixed) if dice.random() < 0.6 else None

    pace = replace(fast, retries=25, tries=12, looks=(0.04, 0.04))

    async def stormy(p: Any, c: Any) -> Any:
        c.client.max_retries = 0
        return await p.train(c)

    result = play(stormy, wrap=lambda app: weather(app, choose, standing), pace=pace)
    assert result.status == "succeeded"
    assert sum(status != "cancelled" for status in place.statuses()) == 1
    assert len(place.jobs()) == 1
    assert len(place.files()) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "code", "exit_code", "posts"),
    [
        ("insufficient_quota", ErrorClass.HUMAN, "insufficient_quota", Exit.PARKED, 1),
        ("billing_hard_limit_reached", ErrorClass.HUMAN, "billing_hard_limit_reached", Exit.PARKED, 1),
        ("billing_not_active", ErrorClass.HUMAN, "billing_not_active", Exit.PARKED, 1),
        ("organization_spend_limit_exceeded", ErrorClass.HUMAN, "organization_spend_limit_exceeded", Exit.PARKED, 1),
        ("project_spend_limit_exceeded", ErrorClass.HUMAN, "project_spend_limit_exceeded", Exit.PARKED, 1),
        ("401", ErrorClass.HUMAN, "invalid_api_key", Exit.PARKED, 1),
        ("403", ErrorClass.HUMAN, "not_permitted", Exit.PARKED, 1),
        ("reused", ErrorClass.HUMAN, "idempotency_key_reused", Exit.PARKED, 1),
        ("daily", ErrorClass.PARK, "daily_rate_limit_exceeded", Exit.PARKED, 1),
        ("400", ErrorClass.DATA, "invalid_value", Exit.INVALID, 1),
        ("413", ErrorClass.DATA, "invalid_request", Exit.INVALID, 1),
        ("429_200", ErrorClass.TRANSIENT, "rate_limit_exceeded", Exit.PARKED, 1),
        ("503", ErrorClass.TRANSIENT, "unreachable", Exit.PARKED, 4),
        ("not_ready", ErrorClass.TRANSIENT, "unreachable", Exit.PARKED, 4),
    ],
)
def test_what_stays_wrong_is_told(
    play: Any, place: Any, weather: Any, fault: str, kind: ErrorClass, code: str, exit_code: Exit, posts: int
) -> None:
    with pytest.raises(CallFailed) as caught:
        play(lambda p, c: p.train(c), wrap=lambda app: weather(app, first(99, fault, JOBS)))
    error = caught.value
    assert (error.error_class, error.code, error.exit_code) == (kind, code, exit_code)
    assert error.problems[0].fix
    assert sum(r["record"] == "request" and r["of"] == "job" for r in place.journal()) == posts
    assert len(place.jobs()) == 0
    # The same call goes on as soon as the host does.
    assert play(lambda p, c: p.train(c)).status == "succeeded"
    assert len(place.jobs()) == 1


def test_a_day_limit_says_when(play: Any, place: Any, weather: Any) -> None:
    play(lambda p, c: p.train(c))
    other = place.request(attempt_id="abababababab#002")
    with pytest.raises(CallFailed, match="next slot opens about 20"):
        play(lambda p, c: p.train(c, other, "002"), wrap=lambda app: weather(app, first(9, "daily", JOBS)))


def test_a_closed_host_tells_its_calendar(play: Any, weather: Any) -> None:
    from ftspec.providers.profiles import load_profile

    openai = {name: getattr(load_profile("openai"), name) for name in ("lifecycle", "title")}
    with pytest.raises(CallFailed) as caught:
        play(lambda p, c: p.train(c), wrap=lambda app: weather(app, first(9, "403", JOBS)), profile=openai)
    assert "2027-01-06" in caught.value.problems[0].fix


def test_a_late_commit_leaves_one_job_alive(play: Any, place: Any, weather: Any) -> None:
    def wrap(app: Any) -> Any:
        return weather(app, first(1, "late_commit", JOBS), ("no_idempotency",))

    result = play(lambda p, c: p.train(c), wrap=wrap, seconds=1.0)
    assert result.status == "succeeded"
    assert place.statuses() == ["cancelled", "succeeded"]
    notices = [event for event in place.events if isinstance(event, Notice) and event.code == "duplicate_job"]
    assert len(notices) == 1
    assert result.job in notices[0].message
    assert any(record["record"] == "duplicate" and record["kept"] == result.job for record in place.journal())


def test_a_late_commit_under_an_honoured_key_is_the_same_job(play: Any, place: Any, weather: Any) -> None:
    result = play(lambda p, c: p.train(c), wrap=lambda app: weather(app, first(1, "late_commit", JOBS)), seconds=0.8)
    assert result.status == "succeeded"
    assert place.statuses() == ["succeeded"]


def test_metadata_that_is_refused_is_left_out(play: Any, place: Any, weather: Any) -> None:
    unsure = {"job": place_job("unknown")}

    async def twice(p: Any, c: Any) -> Any:
        return await p.train(c), await p.train(c)

    one, two = play(twice, wrap=lambda app: weather(app, first(1, "no_metadata", JOBS)), profile=unsure)
    assert one.job == two.job
    (job,) = place.jobs()
    assert job["metadata"] == {}


def test_metadata_that_is_dropped_leaves_the_suffix(play: Any, place: Any, weather: Any) -> None:
    def wrap(app: Any) -> Any:
        return weather(app, first(1, "commit_500", JOBS), ("metadata_dropped", "no_idempotency"))

    result = play(lambda p, c: p.train(c), wrap=wrap, profile={"job": place_job("unknown")})
    assert result.status == "succeeded"
    assert len(place.jobs()) == 1


def place_job(metadata: str) -> Any:
    from ftspec.providers.profiles import load_profile

    return load_profile("embedded").job.model_copy(update={"metadata": metadata})


def test_a_file_that_is_gone_is_uploaded_again(play: Any, place: Any) -> None:
    async def gone(p: Any, c: Any) -> Any:
        await p.train(c)
        (folder,) = (path.parent for path in p.files())
        await c.client.files.delete(folder.name)
        return await p.train(c, p.request(attempt_id="abababababab#002"), "002")

    assert play(gone).status == "succeeded"
    assert place.posts("/files") == 2


def test_a_create_call_that_names_a_lost_file_uploads_it_again(play: Any, place: Any, weather: Any) -> None:
    result = play(lambda p, c: p.train(c), wrap=lambda app: weather(app, first(1, "no_file", JOBS)))
    assert result.status == "succeeded"
    assert ("lost", "file:train") in [(r["record"], r.get("of")) for r in place.journal()]
    assert len(place.jobs()) == 1


@pytest.mark.parametrize(
    "standing",
    ["unknown_status", "null_error", "null_hyperparameters", "plain_csv", "other_event_ids", "no_has_more", "lag"],
)
def test_oddities_of_hosts_change_nothing(play: Any, place: Any, weather: Any, standing: str) -> None:
    result = play(lambda p, c: p.train(c), wrap=lambda app: weather(app, standing=(standing,)), seconds=0.2)
    assert result.status == "succeeded"
    assert result.error is None
    assert result.resolved["n_epochs"] == 2
    assert [m["step"] for m in result.metrics if m["name"] == "train_loss"] == [1, 2, 3, 4]
    notices = [event.code for event in place.events if isinstance(event, Notice)]
    assert notices == (["unknown_status"] if standing == "unknown_status" else [])
    if standing == "plain_csv":
        assert result.results_csv is not None
        assert result.results_csv.startswith(b"step,")


def test_an_unreachable_host_leaves_the_job_alone(play: Any, place: Any, weather: Any, fast: Any) -> None:
    def choose(method: str, path: str) -> str | None:
        return "503" if method == "GET" and path.startswith("/fine_tuning/jobs/") else None

    async def away(p: Any, c: Any) -> Any:
        c.client.max_retries = 0
        return await p.train(c)

    with pytest.raises(CallFailed) as caught:
        play(away, wrap=lambda app: weather(app, choose), pace=replace(fast, patience=0.2, retries=2))
    assert caught.value.code == "unreachable"
    assert play(lambda p, c: p.train(c)).status == "succeeded"
    assert place.posts("/fine_tuning/jobs") == 1


def test_a_job_that_stands_still_is_left_alone(play: Any, place: Any, fast: Any) -> None:
    from ftspec.spec.errors import ProviderError

    with pytest.raises(ProviderError) as caught:
        play(lambda p, c: p.train(c), seconds=30, pace=replace(fast, patience=0.3))
    assert caught.value.code == "no_progress"
    assert caught.value.exit_code is Exit.PARKED
    assert place.posts("/cancel") == 0


def test_lines_that_a_host_names() -> None:
    assert lines_named("Example 7: no assistant message") == [7]
    assert lines_named("Flagged lines: 4, 13") == [4, 13]
    assert lines_named("rows 3 and 12, 9 were flagged; Line 40 too") == [3, 9, 12, 40]
    assert lines_named("The job failed with 500") == []


def test_timeouts_never_kill_a_worker(play: Any, place: Any, weather: Any) -> None:
    async def slow(p: Any, c: Any) -> Any:
        result = await p.train(c)
        await asyncio.sleep(0)
        return result

    assert play(slow, wrap=lambda app: weather(app, first(2, "commit_hang", JOBS)), seconds=0.6).status == "succeeded"
    assert place.statuses() == ["succeeded"]
