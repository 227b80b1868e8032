import asyncio
import json

import openai
import pytest

from ftspec.server.faults import TRANSIENT, CutConnectionError, Fault, FaultPlan, FaultyApp
from ftspec.server.quirks import Quirk
from ftspec.storage import read_json
from ftspec.wire.errors import BadAnswer, ErrorClass, ExceptionKind, classify, read_error
from ftspec.wire.responses import Event, Job
from ftspec.wire.results_csv import parse_results

COMMITS = {Fault.COMMIT_500, Fault.COMMIT_HANG, Fault.CUT_BODY, Fault.LATE_COMMIT}
CLASSES = {
    Fault.QUOTA: ErrorClass.HUMAN,
    Fault.BILLING_LIMIT: ErrorClass.HUMAN,
    Fault.BILLING_INACTIVE: ErrorClass.HUMAN,
    Fault.ORGANIZATION_LIMIT: ErrorClass.HUMAN,
    Fault.PROJECT_LIMIT: ErrorClass.HUMAN,
    Fault.DAILY_LIMIT: ErrorClass.PARK,
}


async def meet(client, **body):
    """What a client with a deadline makes of one create: a job, or the class of the failure."""
    try:
        async with asyncio.timeout(0.2):
            return Job.read(await client.fine_tuning.jobs.create(model="tiny", **body))
    except TimeoutError:
        return classify(kind=ExceptionKind.TIMEOUT)
    except BadAnswer as error:
        return classify(200, error.code, ExceptionKind.BAD_ANSWER)
    except openai.APIStatusError as error:
        return classify(error.status_code, *read_error(error.body)[:1], ExceptionKind.STATUS, str(error))
    except (openai.APIError, json.JSONDecodeError):
        return classify(kind=ExceptionKind.BAD_ANSWER)


@pytest.mark.parametrize("fault", list(Fault))
def test_each_fault_has_its_class_and_commits_or_not(play, helpers, fault):
    plan = FaultPlan(script=[None, fault, None], lag=0.05)

    async def scenario(s):
        file = await helpers.upload(s)
        client = openai.AsyncOpenAI(
            base_url="http://embedded/v1", api_key="none", http_client=s.client._client, max_retries=0
        )
        assert await meet(client, training_file=file) is CLASSES.get(fault, ErrorClass.TRANSIENT)
        await asyncio.sleep(0.1)
        jobs = [job async for job in s.client.fine_tuning.jobs.list()]
        assert len(jobs) == helpers.posts(s.state, "/jobs") == (fault in COMMITS)
        assert isinstance(await meet(client, training_file=file), Job)

    play(scenario, wrap=lambda app: FaultyApp(app, plan), seconds=30)
    assert plan.hits == [("POST /v1/fine_tuning/jobs", fault)]


def test_the_sdk_obeys_waits_and_headers(play, helpers):
    plan = FaultPlan(script=[None, Fault.RATE_LIMIT_200, Fault.RATE_LIMIT_1])

    async def scenario(s):
        file = await helpers.upload(s)
        client = s.client.with_options(max_retries=2)
        with pytest.raises(openai.RateLimitError):
            await client.fine_tuning.jobs.create(model="tiny", training_file=file)
        assert len(plan.hits) == 1  # 200 s is longer than it waits
        assert (await client.fine_tuning.jobs.create(model="tiny", training_file=file)).id
        assert helpers.posts(s.state, "/jobs") == 1

    play(scenario, wrap=lambda app: FaultyApp(app, plan), seconds=30)


def test_a_storm_is_the_same_for_the_same_seed():
    drawn = []
    for seed in (1, 1, 2):
        plan = FaultPlan(rate=0.6, seed=seed)
        drawn.append([plan.draw("POST /v1/files") for _ in range(200)])
        assert plan.draw("GET /v1/files") is None
        assert 0.4 < sum(fault is not None for fault in drawn[-1]) / 200 < 0.8
        assert set(drawn[-1]) - {None} == set(TRANSIENT)
    assert drawn[0] == drawn[1] != drawn[2]


def quirky(*quirks, **more):
    plan = FaultPlan(quirks=frozenset(quirks), **more)
    return lambda app: FaultyApp(app, plan)


def test_quirks_of_real_jobs_pass_the_tolerant_models(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        body = {"model": "tiny", "training_file": file, "method": {"type": "supervised"}, "metadata": {"k": "v"}}
        raw = (await s.http.post("fine_tuning/jobs", json=body)).json()
        assert raw["error"] == {"code": None, "message": None, "param": None}
        assert raw["hyperparameters"] is None
        job = Job.read(raw)
        assert (job.error, job.status, job.known, job.terminal) == (None, "pending", False, False)
        assert job.hyperparameters["n_epochs"] == "auto"
        await helpers.until(s, job.id)
        raw = (await s.http.get(f"fine_tuning/jobs/{job.id}")).json()
        job = Job.read(raw)
        assert job.terminal
        plain = (await s.http.get(f"files/{job.result_files[0]}/content")).content
        assert plain.startswith(b"step,")
        assert parse_results(plain)
        page = (await s.http.get(f"fine_tuning/jobs/{job.id}/events", params={"limit": 2})).json()
        assert "has_more" not in page
        assert all(event["id"].startswith("ft-event-") for event in page["data"])
        more = (
            await s.http.get(f"fine_tuning/jobs/{job.id}/events", params={"limit": 2, "after": page["data"][-1]["id"]})
        ).json()
        assert not {Event.read(e).id for e in page["data"]} & {Event.read(e).id for e in more["data"]}

    wrap = quirky(
        Quirk.NULL_ERROR,
        Quirk.NULL_HYPERPARAMETERS,
        Quirk.UNKNOWN_STATUS,
        Quirk.PLAIN_CSV,
        Quirk.NO_HAS_MORE,
        Quirk.OTHER_EVENT_IDS,
    )
    play(scenario, wrap=wrap)


def test_a_host_without_key_filter_or_metadata(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        body = {"model": "tiny", "training_file": file, "metadata": {"k": "v"}}
        ids = []
        for _ in range(2):
            answer = await s.http.post("fine_tuning/jobs", json=body, headers={"Idempotency-Key": "one"})
            assert "metadata" not in answer.json()
            ids.append(answer.json()["id"])
        assert ids[0] != ids[1]
        page = (await s.http.get("fine_tuning/jobs", params={"metadata[k]": "other", "limit": 1})).json()
        assert page["data"][0]["id"] == ids[1]
        again = (await s.http.get("fine_tuning/jobs", params={"limit": 1, "after": ids[1]})).json()
        assert again["data"][0]["id"] == ids[1]  # a naive client would go round for ever
        assert read_json(s.state / "jobs" / ids[0] / "job.json")["fault"] == "mask_ignored"

    wrap = quirky(Quirk.KEY_IGNORED, Quirk.METADATA_UNSUPPORTED, Quirk.AFTER_IGNORED, Quirk.MASK_IGNORED)
    play(scenario, wrap=wrap, seconds=30)


def test_listings_lag(play, helpers):
    async def scenario(s):
        file = await helpers.upload(s)
        job = await s.client.fine_tuning.jobs.create(model="tiny", training_file=file)
        assert (await s.http.get("fine_tuning/jobs")).json()["data"] == []
        assert (await s.http.get(f"fine_tuning/jobs/{job.id}")).json()["id"] == job.id
        await asyncio.sleep(2.1)
        assert len((await s.http.get("fine_tuning/jobs")).json()["data"]) == 1

    play(scenario, wrap=quirky(Quirk.LISTING_LAGS, lag=1.0), seconds=30)


def test_a_cut_body_reaches_the_server_as_an_error(play, helpers):
    plan = FaultPlan(script=[Fault.CUT_BODY], match="^GET .*/models$")

    async def scenario(s):
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "path": "/v1/models", "headers": [], "query_string": b""}
        with pytest.raises(CutConnectionError):
            await FaultyApp(s.app, plan)(scope, receive, send)
        length = int(dict(sent[0]["headers"])[b"content-length"])
        assert 0 < len(sent[1]["body"]) < length
        assert sent[1]["more_body"]

    play(scenario)
