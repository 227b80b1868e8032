"""Opening providers: keys, addresses, what leaves for other hosts, and that nothing is left open."""

import asyncio
import gc
import json
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from ftspec.providers.connect import connect
from ftspec.providers.failures import CallFailed
from ftspec.providers.paging import PagingLoop, items_of
from ftspec.spec.errors import Exit, MissingKeyError, ProviderError, SpecError
from ftspec.spec.experiment import Provider
from ftspec.spec.model import EnvRef


def opened(provider: Provider, tmp_path: Path, environ: dict[str, str]) -> Any:
    async def main() -> Any:
        async with connect(provider, state=tmp_path, environ=environ) as connection:
            return connection.identity, connection.base_url, connection.client

    return asyncio.run(main())


def test_a_missing_key_names_its_variable(tmp_path: Path) -> None:
    with pytest.raises(MissingKeyError, match=r"\$OPENAI_API_KEY is not set") as caught:
        opened(Provider(profile="openai"), tmp_path, {})
    assert caught.value.exit_code is Exit.MISSING_KEY
    with pytest.raises(MissingKeyError, match=r"\$TEAM_KEY is not set"):
        opened(Provider(profile="openai", auth=EnvRef(env="TEAM_KEY")), tmp_path, {"OPENAI_API_KEY": "x"})
    with pytest.raises(MissingKeyError, match=r"\$AZURE_URL, which is not set"):
        opened(Provider(profile="azure", base_url=EnvRef(env="AZURE_URL")), tmp_path, {"AZURE_OPENAI_API_KEY": "x"})


def test_addresses(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match="missing_base_url"):
        opened(Provider(profile="azure"), tmp_path, {"AZURE_OPENAI_API_KEY": "x"})
    with pytest.raises(ProviderError, match="invalid_base_url"):
        opened(Provider(profile="azure", base_url="ftp://x"), tmp_path, {"AZURE_OPENAI_API_KEY": "x"})
    with pytest.raises(SpecError, match="unknown_profile"):
        opened(Provider(profile="nowhere"), tmp_path, {})


def test_identity_is_address_and_project_without_secrets(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": "sk-secret", "OPENAI_PROJECT_ID": "proj_1"}
    identity, base_url, client = opened(Provider(profile="openai"), tmp_path, environ)
    assert identity == "https://api.openai.com/v1#proj_1"
    assert client.project == "proj_1"
    provider = Provider(profile="openai_compatible", base_url="https://me:pass@example.com:8443/v1/?token=1#x")
    identity, base_url, _ = opened(provider, tmp_path, {"FTSPEC_API_KEY": "sk-secret"})
    assert identity == base_url == "https://example.com:8443/v1"
    assert opened(Provider(), tmp_path, {})[0] == "embedded"


def test_openai_variables_do_not_leave_for_other_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "https://leak.example.com/v1" if name.endswith("URL") else "leak")
    provider = Provider(profile="openai_compatible", base_url="https://example.com/v1")
    _, _, client = opened(provider, tmp_path, {"FTSPEC_API_KEY": "mine"})
    assert "leak" not in repr(client.default_headers)
    assert "leak" not in repr(client.auth_headers)
    assert str(client.base_url) == "https://example.com/v1/"


def test_nothing_is_left_open(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(Provider(), tmp_path, {})
        opened(Provider(profile="openai"), tmp_path, {"OPENAI_API_KEY": "x"})
        gc.collect()


def test_chat_is_raw_and_classified(play: Any, place: Any, weather: Any) -> None:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}

    async def asked(p: Any, c: Any) -> Any:
        answer = json.loads(await c.post_chat(body))
        with pytest.raises(CallFailed) as caught:
            await c.post_chat(body | {"model": "nobody"})
        return answer, caught.value

    answer, error = play(asked)
    assert answer["choices"][0]["message"]["content"] == "1 messages"
    assert (error.code, error.failure.status) == ("model_not_found", 404)


def test_a_model_just_made_may_be_unknown_for_a_while(play: Any, weather: Any) -> None:
    body = {"model": "ft:new", "messages": [{"role": "user", "content": "hi"}]}
    asked: list[str] = []

    def choose(method: str, path: str) -> str | None:
        asked.append(path)
        return None

    async def fresh(p: Any, c: Any) -> float:
        c.expect("ft:new")
        started = time.monotonic()
        with pytest.raises(CallFailed):
            await c.post_chat(body)
        return time.monotonic() - started

    assert play(fresh, wrap=lambda app: weather(app, choose)) >= 0.5
    assert len(asked) > 3


def test_a_hanging_answer_ends(play: Any, weather: Any, fast: Any) -> None:
    from dataclasses import replace

    async def hung(p: Any, c: Any) -> None:
        with pytest.raises(CallFailed) as caught:
            await c.post_chat({"model": "tiny", "messages": [{"role": "user", "content": "hi"}]})
        assert caught.value.failure.kind == "timeout"

    play(hung, wrap=lambda app: weather(app, lambda m, p: "commit_hang"), pace=replace(fast, call_timeout=0.1))


@pytest.mark.parametrize("count", [0, 1, 5, 6, 15])
@pytest.mark.parametrize("standing", [(), ("no_has_more",)])
def test_pages(play: Any, place: Any, weather: Any, rows: Any, count: int, standing: tuple[str, ...]) -> None:
    async def listed(p: Any, c: Any) -> list[str]:
        for seed in range(count):
            await c.client.files.create(file=(f"{seed}.jsonl", rows(1, seed)), purpose="fine-tune")

        async def fetch(client: Any, query: dict[str, Any]) -> Any:
            return await client.files.with_raw_response.list(**query)

        return [raw["filename"] async for raw in items_of(c, "listing files", fetch, limit=5)]

    names = play(listed, wrap=lambda app: weather(app, standing=standing))
    assert names == [f"{seed}.jsonl" for seed in reversed(range(count))]


@pytest.mark.parametrize(
    "standing", [("after_ignored",), ("after_ignored", "always_more"), ("after_ignored", "no_has_more")]
)
def test_a_host_that_ignores_after_ends_with_an_error(
    play: Any, weather: Any, rows: Any, standing: tuple[str, ...]
) -> None:
    async def looped(p: Any, c: Any) -> None:
        for seed in range(7):
            await c.client.files.create(file=(f"{seed}.jsonl", rows(1, seed)), purpose="fine-tune")

        async def fetch(client: Any, query: dict[str, Any]) -> Any:
            return await client.files.with_raw_response.list(**query)

        with pytest.raises(PagingLoop, match="came twice"):
            async for _ in items_of(c, "listing files", fetch, limit=5):
                pass

    play(looped, wrap=lambda app: weather(app, standing=standing))


def test_events_come_once_while_new_ones_arrive(play: Any, place: Any) -> None:
    request = place.request(hyperparameters={"n_epochs": 50})  # 100 steps, so the tail pages
    result = play(lambda p, c: p.train(c, request), seconds=0.5)
    ids = [event["id"] for event in result.events]
    assert len(ids) == len(set(ids)) > 100
    assert [m["step"] for m in result.metrics if m["name"] == "train_loss"] == list(range(1, 101))
    from ftspec.spec.events import TrainStep

    assert [event.step for event in place.events if isinstance(event, TrainStep)] == list(range(1, 101))


def test_events_that_cannot_be_paged_cost_no_training(play: Any, place: Any, weather: Any) -> None:
    from ftspec.spec.events import Notice

    request = place.request(hyperparameters={"n_epochs": 50})
    result = play(
        lambda p, c: p.train(c, request), seconds=0.2, wrap=lambda app: weather(app, standing=("after_ignored",))
    )
    assert result.status == "succeeded"
    assert [e.code for e in place.events if isinstance(e, Notice)].count("paging_loop") == 1


def test_a_bom_is_transport(play: Any, place: Any) -> None:
    from ftspec.providers.profiles import load_profile

    facts = load_profile("embedded").data.model_copy(update={"bom": True})

    async def sent(p: Any, c: Any) -> bytes:
        with pytest.raises(Exception):  # noqa: B017 - the timed engine takes it or not; only the upload matters
            await p.train(c, p.request(model="nobody"))
        (folder,) = (path.parent for path in p.files())
        return (folder / "content").read_bytes()

    request = place.request()
    assert play(sent, profile={"data": facts}) == b"\xef\xbb\xbf" + request.train_file.read_bytes()


def test_polls_slow_down(play: Any, place: Any, weather: Any) -> None:
    made: list[Any] = []

    def wrap(app: Any) -> Any:
        made.append(weather(app))
        return made[-1]

    result = play(lambda p, c: p.train(c), wrap=wrap, seconds=1.0)
    polls = made[0].counts[f"GET /fine_tuning/jobs/{result.job}"]
    assert polls <= 35  # a second at 0.05 s between polls, and the quick ones at the start and after each change
