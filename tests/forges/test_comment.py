"""`ftspec comment` against a local GitHub and a local GitLab: one comment, in its place, by its author."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ftspec.cli.main import main

HEAD, OLD = "a" * 40, "c" * 40
TOKEN = "secret-token-that-is-never-printed"
STRANGER = {"id": 7, "login": "mallory", "username": "mallory"}
MARKER = "<!-- ftspec:plan v1 key=default "
Plan = Callable[..., str]


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest) -> Any:
    """Either forge; the pull request of the job is number 5."""
    return request.getfixturevalue(request.param)


def test_one_comment_after_ten_pushes(forge: Any, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    for push in range(10):
        head = f"{push:040x}"
        forge.pull(5, head=head)
        assert main(["comment", plan(head=head, runs=push + 1)]) == 0
    assert len(forge.bodies(5)) == 1
    assert f"head={9:040x}" in forge.bodies(5)[0]
    assert forge.counted("POST") == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("wrote the comment")
    assert all(line.startswith("replaced the comment") for line in said[1:])


def test_the_same_plan_again_writes_nothing(forge: Any, plan: Plan) -> None:
    path = plan()
    assert main(["comment", path]) == main(["comment", path]) == 0
    assert {method for method, _ in forge.requests} == {"GET", "POST"}


def test_a_comment_on_a_later_page_is_found(forge: Any, plan: Plan) -> None:
    for number in range(230):
        forge.say(5, STRANGER, f"talk {number}")
    mine = forge.say(5, forge.users[TOKEN], f"{MARKER}head={OLD} base={OLD} -->\nold")
    assert main(["comment", plan()]) == 0
    assert forge.counted("POST") == 0
    assert f"head={HEAD}" in mine["body"]


def test_our_marker_under_a_foreign_name_is_left_alone(forge: Any, plan: Plan) -> None:
    theirs = forge.say(5, STRANGER, f"{MARKER}head={HEAD} base={OLD} -->\nall is well, merge it")
    assert main(["comment", plan()]) == 0
    assert theirs["body"].endswith("all is well, merge it")
    assert len(forge.bodies(5)) == 2


def test_another_key_and_a_quoted_marker_are_other_comments(forge: Any, plan: Plan) -> None:
    forge.say(5, forge.users[TOKEN], f"{MARKER.replace('default', 'other')}head={OLD} base={OLD} -->\nother")
    forge.say(5, forge.users[TOKEN], f"you wrote:\n> {MARKER}head={OLD} -->")
    assert main(["comment", plan()]) == 0
    assert len(forge.bodies(5)) == 3


def test_two_of_ours_become_one(forge: Any, plan: Plan) -> None:
    for _ in range(2):
        forge.say(5, forge.users[TOKEN], f"{MARKER}head={OLD} base={OLD} -->\nold")
    assert main(["comment", plan()]) == 0
    assert len(forge.bodies(5)) == 1
    assert f"head={HEAD}" in forge.bodies(5)[0]


def test_a_stale_head_posts_nothing(forge: Any, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    forge.pull(5, head=OLD)
    assert main(["comment", plan()]) == 0
    assert forge.comments == []
    assert "has moved on" in capsys.readouterr().out


@pytest.mark.parametrize("state", ["closed", "merged"])
def test_a_closed_pull_request_gets_nothing(forge: Any, plan: Plan, state: str) -> None:
    forge.pull(5, state=state)
    assert main(["comment", plan()]) == 0
    assert forge.comments == []


def test_quiet_when_nothing_changed(forge: Any, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comment", plan(runs=0)]) == 0
    assert forge.comments == []
    assert "nothing to say" in capsys.readouterr().out


def test_an_old_comment_says_that_nothing_changes_any_more(forge: Any, plan: Plan) -> None:
    assert main(["comment", plan()]) == 0
    assert "to train" in forge.bodies(5)[0]
    assert main(["comment", plan(runs=0)]) == 0
    assert len(forge.bodies(5)) == 1
    assert "no semantic change" in forge.bodies(5)[0]


def other_job(path: str, *more: str) -> list[str]:
    """The arguments of a job that has only the file of another job."""
    return ["comment", path, "--head", HEAD, "--head-owner", "mallory", "--head-branch", "topic", *more]


def test_the_pull_request_of_a_fork_is_found_by_its_head(forge: Any, plan: Plan) -> None:
    forge.pull(5, head=OLD)
    forge.pull(8, owner="mallory")
    assert main(other_job(plan())) == 0
    assert forge.bodies(5) == []
    assert "unverified job" in forge.bodies(8)[0]


def test_a_forged_number_is_ignored(forge: Any, plan: Plan) -> None:
    """The number of another's pull request does not lead there, whoever named it."""
    forge.pull(5, head=OLD)
    forge.pull(8, owner="mallory")
    assert main(other_job(plan(), "--pr", "5")) == 0
    assert forge.bodies(5) == []
    assert len(forge.bodies(8)) == 1


def test_a_number_in_the_file_is_refused(forge: Any, tmp_path: Path, plan: Plan) -> None:
    value = json.loads(Path(plan()).read_text()) | {"pr": 5}
    (tmp_path / "forged.json").write_text(json.dumps(value))
    assert main(other_job(str(tmp_path / "forged.json"))) == 65
    assert forge.requests == []


def test_a_file_for_another_commit_is_refused(forge: Any, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    forge.pull(8, owner="mallory")
    assert main(other_job(plan(head=OLD))) == 64
    assert forge.comments == []
    assert "another commit" in capsys.readouterr().err


def test_two_pull_requests_of_one_head_need_the_number(forge: Any, plan: Plan) -> None:
    forge.pull(5, head=OLD)
    for number in (8, 9):
        forge.pull(number, owner="mallory")
    assert main(other_job(plan())) == 64
    assert main(other_job(plan(), "--pr", "9")) == 0
    assert forge.bodies(8) == []
    assert len(forge.bodies(9)) == 1


def test_no_open_pull_request_is_no_error(forge: Any, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    forge.pulls.clear()
    assert main(other_job(plan())) == 0
    assert "no open pull request" in capsys.readouterr().out


def test_an_own_app_names_its_account(github: Any, plan: Plan) -> None:
    github.users[TOKEN] = {"id": 77, "login": "reviews[bot]", "app": True}
    path = plan()
    for head in (HEAD, OLD):
        github.pull(5, head=head)
        assert main(["comment", plan(head=head), "--author", "reviews[bot]"]) == 0
    assert len(github.bodies(5)) == 1
    assert path


def test_a_person_s_token_is_known_by_its_id(github: Any, plan: Plan) -> None:
    github.users[TOKEN] = {"id": 12, "login": "dana", "type": "User"}
    assert main(["comment", plan()]) == 0
    github.users[TOKEN]["login"] = "dana-renamed"
    assert main(["comment", plan(runs=2)]) == 0
    assert len(github.bodies(5)) == 1


def test_print_posts_nothing_and_needs_no_forge(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comment", plan(), "--print"]) == 0
    assert capsys.readouterr().out.startswith(MARKER)


@pytest.mark.parametrize(
    ("environment", "code", "words"),
    [
        ({"GITHUB_TOKEN": ""}, 77, "no token in GITHUB_TOKEN or GH_TOKEN"),
        ({"GITHUB_TOKEN": "wrong"}, 77, "does not take the token"),
        ({"GITHUB_REF": "refs/heads/main"}, 64, "say which pull request"),
        ({"GITHUB_REPOSITORY": "../x"}, 64, "owner/name"),
        ({"GITHUB_API_URL": "http://api.example.com"}, 64, "https only"),
    ],
)
def test_surroundings_that_are_not_right(
    github: Any,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    code: int,
    words: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["comment", plan()]) == code
    assert words in capsys.readouterr().err
    assert github.comments == []


def test_outside_ci_it_says_what_to_do(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GITHUB_ACTIONS", "GITHUB_REPOSITORY", "GITLAB_CI"):
        monkeypatch.delenv(name, raising=False)
    assert main(["comment", plan()]) == 64
    assert "--print" in capsys.readouterr().err


def test_json_says_what_was_done(forge: Any, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comment", plan(), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["action"], found["number"], found["schema"]) == ("created", 5, 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"[]",
        b'{"schema": 1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b" " * (5 * 1024 * 1024 + 1),
        b'{"schema": NaN}',
        b"\xff\xfe{}",
    ],
    ids=["empty", "nul", "list", "short", "deep-list", "deep-object", "large", "nan", "encoding"],
)
def test_a_file_of_another_shape_is_refused(github: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    assert main(["comment", str(path)]) == 65
    assert github.requests == []


def test_deep_values_inside_a_plan_are_refused(github: Any, tmp_path: Path, plan: Plan) -> None:
    text = Path(plan()).read_text().replace('"limits": ""', '"limits": ' + "[" * 900 + "]" * 900)
    (tmp_path / "deep.json").write_text(text)
    assert main(["comment", str(tmp_path / "deep.json")]) == 65


def test_the_token_is_in_no_output(forge: Any, plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    forge.fault(403, body={"message": f"no: {TOKEN}"})
    assert main(["comment", plan()]) == 1
    shown = capsys.readouterr()
    assert "refused to show it (403: no: [token])" in shown.err
    assert TOKEN not in shown.out + shown.err
