"""Bounded patience: rate limits, faults, answers that were lost after the comment was written."""

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ftspec.forges import Surroundings, open_forge
from ftspec.forges.session import ForgeError, Session
from ftspec.spec.errors import ProviderError
from ftspec.workflows.publish import Post, Published, publish

HEAD = "a" * 40
MARKER = "<!-- ftspec:plan v1 key=default "
POST = Post(MARKER, f"{MARKER}-->\nnews", HEAD, quiet=False)


class Opened:
    """A forge whose waiting is counted instead of done."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.forge, self.session = open_forge(Surroundings.of(os.environ))
        self.session.sleep = self.waits.append

    def publish(self, post: Post = POST) -> Published:
        return publish(self.forge, post, number=5, head=None)


@pytest.fixture(params=["github", "gitlab"])
def fake(request: pytest.FixtureRequest) -> Any:
    """Either forge; the pull request of the job is number 5."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The client of the forge that the test asks for."""
    request.getfixturevalue("fake" if "fake" in request.fixturenames else "github")
    made = Opened()
    yield made
    made.session.close()


@pytest.mark.parametrize("status", [500, 502, 503, 0])
def test_a_fault_is_tried_again(fake: Any, opened: Opened, status: int) -> None:
    fake.fault(status)
    fake.fault(status)
    assert opened.publish().action == "created"
    assert opened.waits == [1.0, 2.0]


def test_retry_after_is_obeyed(fake: Any, opened: Opened) -> None:
    fake.fault(429, retry_after="17")
    assert opened.publish().action == "created"
    assert opened.waits == [17.0]


def test_githubs_limits(github: Any, opened: Opened) -> None:
    github.fault(403, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(time.time()) + 30))
    github.fault(403, body={"message": "You have exceeded a secondary rate limit."})
    assert opened.publish().action == "created"
    assert 28 < opened.waits[0] <= 31
    assert opened.waits[1] == 60.0


def test_waiting_is_bounded(fake: Any, opened: Opened) -> None:
    fake.fault(429, retry_after="3600")
    with pytest.raises(ProviderError, match="asks to wait 3,600 s") as raised:
        opened.publish()
    assert raised.value.exit_code == 75
    assert opened.waits == []


def test_tries_are_bounded(fake: Any, opened: Opened) -> None:
    for _ in range(9):
        fake.fault(503)
    with pytest.raises(ProviderError, match="after 5 tries"):
        opened.publish()
    assert len(fake.requests) == 5


@pytest.mark.parametrize("status", [500, 502, 0])
def test_an_answer_lost_after_the_comment_was_written_makes_no_second_one(
    fake: Any, opened: Opened, status: int
) -> None:
    fake.fault(status, only="POST", commit=True)
    assert opened.publish().action in ("same", "updated")
    assert len(fake.bodies(5)) == 1
    assert fake.counted("POST") == 1


def test_a_comment_that_was_not_written_is_written_once(fake: Any, opened: Opened) -> None:
    fake.fault(502, only="POST")
    assert opened.publish().action == "created"
    assert len(fake.bodies(5)) == 1
    assert fake.counted("POST") == 2


def test_a_limit_on_writing_is_waited_for(fake: Any, opened: Opened) -> None:
    fake.fault(429, only="POST", retry_after="3")
    assert opened.publish().action == "created"
    assert opened.waits == [3.0]


def test_an_unclear_writing_ends(fake: Any, opened: Opened) -> None:
    for _ in range(5):
        fake.fault(500, only="POST")
    with pytest.raises(ProviderError, match="no clear answer"):
        opened.publish()
    assert fake.counted("POST") == 3


@pytest.mark.parametrize(("status", "words"), [(403, "permissions|scope"), (404, "refused"), (422, "refused")])
def test_a_refusal_is_not_tried_again(fake: Any, opened: Opened, status: int, words: str) -> None:
    fake.fault(status, only="POST", body={"message": "no"})
    with pytest.raises(ForgeError, match=words) as raised:
        opened.publish()
    assert raised.value.exit_code == 1
    assert fake.counted("POST") == 1


def test_a_body_over_the_forge_s_limit_says_so(github: Any, opened: Opened) -> None:
    with pytest.raises(ForgeError, match="422: Validation Failed"):
        opened.publish(Post(MARKER, MARKER + "x" * 70_000, HEAD, quiet=False))


def test_a_moved_repository_is_not_followed(fake: Any, opened: Opened) -> None:
    fake.fault(301, location="http://127.0.0.1:1/elsewhere")
    with pytest.raises(ForgeError, match="has moved"):
        opened.publish()


def test_a_next_page_elsewhere_gets_no_token(fake: Any) -> None:
    session = Session(fake.url, {"Authorization": "Bearer secret"})
    fake.fault(200, body=[], link='<https://elsewhere.example/notes?page=2>; rel="next"')
    with pytest.raises(ForgeError, match="another host"):
        list(session.pages("/repos/acme/models/pulls"))
    session.close()


def test_endless_pages_end(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ftspec.forges.session.MAX_PAGES", 5)
    session = Session(fake.url, {})
    for _ in range(6):
        fake.fault(200, body=[{}], link=f'<{fake.url}/again>; rel="next"')
    with pytest.raises(ForgeError, match="given up"):
        list(session.pages("/again"))
    session.close()


@pytest.mark.parametrize("body", [b"<html>", b'{"id"', b"[" * 50_000])
def test_an_answer_that_is_no_json(fake: Any, opened: Opened, body: bytes) -> None:
    for _ in range(3):
        fake.fault(200, body=body)
    with pytest.raises(ProviderError, match="no JSON"):
        opened.publish()


def test_a_deleted_comment_is_said(fake: Any, opened: Opened) -> None:
    fake.say(5, fake.users[next(iter(fake.users))], f"{MARKER}-->\nold")
    fake.fault(404, only="PATCH" if fake.kind == "github" else "PUT")
    with pytest.raises(ForgeError, match="deleted while"):
        opened.publish()
