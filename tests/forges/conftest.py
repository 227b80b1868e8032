"""Local GitHub and GitLab: real HTTP servers on loopback that keep pull requests and comments.

Written from https://docs.github.com/en/rest/issues/comments, .../rest/pulls/pulls,
.../rest/using-the-rest-api/using-pagination-in-the-rest-api and .../rate-limits-for-the-rest-api, and from
https://docs.gitlab.com/api/notes/, .../api/merge_requests/ and .../api/rest/#pagination. No real host was reached.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from ftspec.workflows.review.changes import SCHEMA, Changes, Run, Side, to_json

HEAD, BASE, OLD = "a" * 40, "b" * 40, "c" * 40
TOKEN = "secret-token-that-is-never-printed"


@dataclass(frozen=True)
class Fault:
    """What one request is answered instead; `commit` does what was asked before."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    commit: bool = False
    only: str = ""


@dataclass
class Fake:
    """One repository of a forge. `users` maps tokens to an account; an `app` token may not ask who it is."""

    kind: str
    url: str = ""
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    most: int = 65_536

    def pull(self, number: int, head: str = HEAD, owner: str = "acme", branch: str = "topic", state: str = "") -> None:
        """Open a pull request."""
        self.pulls[number] = {"head": head, "owner": owner, "branch": branch, "state": state}

    def say(self, number: int, user: dict[str, Any], body: str, **more: Any) -> dict[str, Any]:
        """Write a comment as somebody."""
        made = {"id": 1000 + len(self.comments), "number": number, "user": user, "body": body, **more}
        self.comments.append(made)
        return made

    def fault(self, status: int, *, only: str = "", commit: bool = False, body: Any = None, **headers: str) -> None:
        """Answer the next request (of one method) so; headers are written with `_` for `-`."""
        named = {key.replace("_", "-"): text for key, text in headers.items()}
        self.faults.append(Fault(status, named, body, commit, only))

    def bodies(self, number: int) -> list[str]:
        """The texts under a pull request."""
        return [comment["body"] for comment in self.comments if comment["number"] == number]

    def counted(self, method: str) -> int:
        """How many requests of one method arrived."""
        return sum(1 for one, _ in self.requests if one == method)


APP = {"id": 41898282, "login": "github-actions[bot]", "type": "Bot"}
STRANGER = {"id": 7, "login": "mallory", "type": "User"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Fake

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""

    def handle_one(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/api/v4")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.fake.requests.append((self.command, self.path))
        fault = next((f for f in self.fake.faults if f.only in ("", self.command)), None)
        if fault is not None:
            self.fake.faults.remove(fault)
            if fault.commit:
                self.answer(path, query, body)
            self.reply(fault.status, {"message": "fault"} if fault.body is None else fault.body, fault.headers)
            return
        status, value, headers = self.answer(path, query, body)
        self.reply(status, value, headers)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one

    def reply(self, status: int, value: Any, headers: dict[str, str]) -> None:
        if status == 0:  # hang up without an answer
            self.close_connection = True
            return
        content = b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for key, text in headers.items():
            self.send_header(key, text)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def user(self) -> dict[str, Any] | None:
        bearer = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        token = bearer if self.fake.kind == "github" else self.headers.get("private-token") or ""
        self.fake.tokens.append(token)
        return self.fake.users.get(token)

    def answer(self, path: str, query: dict[str, str], body: Any) -> tuple[int, Any, dict[str, str]]:
        user = self.user()
        if user is None:
            return 401, {"message": "Bad credentials" if self.fake.kind == "github" else "401 Unauthorized"}, {}
        github = self.fake.kind == "github"
        if path == "/user":
            if user.get("app"):
                return 403, {"message": "Resource not accessible by integration", "status": "403"}, {}
            return 200, user, {}
        at = "/repos/acme/models" if github else "/projects/42"
        if not path.startswith(at):
            return 404, {"message": "Not Found"}, {}
        return (self.github if github else self.gitlab)(path.removeprefix(at), query, body, user)

    def page(self, found: list[Any], query: dict[str, str], default: int) -> tuple[int, Any, dict[str, str]]:
        size, number = min(100, int(query.get("per_page", default))), int(query.get("page", 1))
        headers = {}
        if number * size < len(found):
            kept = "&".join(f"{k}={v}" for k, v in query.items() if k != "page")
            address = f"{self.fake.url}{urlsplit(self.path).path.removeprefix('/api/v4')}?{kept}&page={number + 1}"
            headers["link"] = f'<{address}>; rel="next"'
        return 200, found[(number - 1) * size : number * size], headers

    def github(self, path: str, query: dict[str, str], body: Any, user: Any) -> tuple[int, Any, dict[str, str]]:
        if match := re.fullmatch(r"/pulls/(\d+)", path):
            number = int(match[1])
            return (200, self.github_pull(number), {}) if number in self.fake.pulls else (404, {"message": "no"}, {})
        if path == "/pulls":
            listed = [
                self.github_pull(number)
                for number, pull in self.fake.pulls.items()
                if query.get("head") in (None, f"{pull['owner']}:{pull['branch']}") and pull["state"] in ("", "open")
            ]
            return self.page(listed, query, 30)
        if match := re.fullmatch(r"/issues/(\d+)/comments", path):
            number = int(match[1])
            if self.command == "POST":
                return self.post(number, body, user)
            return self.page([self.shown(c) for c in self.fake.comments if c["number"] == number], query, 30)
        match = re.fullmatch(r"/issues/comments/(\d+)", path)
        return self.change(int(match[1]), body) if match else (404, {"message": "Not Found"}, {})

    def gitlab(self, path: str, query: dict[str, str], body: Any, user: Any) -> tuple[int, Any, dict[str, str]]:
        if match := re.fullmatch(r"/merge_requests/(\d+)", path):
            number = int(match[1])
            return (200, self.gitlab_pull(number), {}) if number in self.fake.pulls else (404, {"message": "no"}, {})
        if path == "/merge_requests":
            branch = query.get("source_branch")
            listed = [self.gitlab_pull(n) for n, pull in self.fake.pulls.items() if pull["branch"] == branch]
            return self.page([one for one in listed if one["state"] == "opened"], query, 20)
        if match := re.fullmatch(r"/merge_requests/(\d+)/notes", path):
            number = int(match[1])
            if self.command == "POST":
                return self.post(number, body, user)
            found = [self.shown(c) for c in self.fake.comments if c["number"] == number]
            return self.page(found if query.get("sort") == "asc" else found[::-1], query, 20)
        match = re.fullmatch(r"/merge_requests/\d+/notes/(\d+)", path)
        return self.change(int(match[1]), body) if match else (404, {"message": "404 Not found"}, {})

    def github_pull(self, number: int) -> dict[str, Any]:
        pull = self.fake.pulls[number]
        head = {"sha": pull["head"], "ref": pull["branch"], "label": f"{pull['owner']}:{pull['branch']}"}
        return {"number": number, "state": pull["state"] or "open", "head": head, "html_url": f"https://gh/{number}"}

    def gitlab_pull(self, number: int) -> dict[str, Any]:
        pull = self.fake.pulls[number]
        return {
            "iid": number,
            "state": pull["state"] or "opened",
            "sha": pull["head"],
            "web_url": f"https://gl/{number}",
        }

    def shown(self, comment: dict[str, Any]) -> dict[str, Any]:
        if self.fake.kind == "github":
            return {"id": comment["id"], "body": comment["body"], "user": comment["user"], "html_url": "https://gh/c"}
        system = bool(comment.get("system"))
        return {"id": comment["id"], "body": comment["body"], "author": comment["user"], "system": system}

    def post(self, number: int, body: Any, user: Any) -> tuple[int, Any, dict[str, str]]:
        if len(body["body"]) > self.fake.most:
            return 422, {"message": "Validation Failed", "errors": [{"message": "body is too long"}]}, {}
        return 201, self.shown(self.fake.say(number, user, body["body"])), {}

    def change(self, number: int, body: Any) -> tuple[int, Any, dict[str, str]]:
        found = next((c for c in self.fake.comments if c["id"] == number), None)
        if found is None:
            return 404, {"message": "Not Found"}, {}
        if self.command == "DELETE":
            self.fake.comments.remove(found)
            return 204, None, {}
        found["body"] = body["body"]
        return 200, self.shown(found), {}


@pytest.fixture
def start() -> Iterator[Callable[[str], Fake]]:
    """Start a forge; it ends with the test."""
    servers = []

    def begin(kind: str) -> Fake:
        fake = Fake(kind)
        handler = type("Bound", (Handler,), {"fake": fake})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        fake.url = f"http://127.0.0.1:{server.server_port}" + ("/api/v4" if kind == "gitlab" else "")
        return fake

    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def github(start: Callable[[str], Fake], monkeypatch: pytest.MonkeyPatch) -> Fake:
    """GitHub as a job of Actions for pull request 5 sees it."""
    fake = start("github")
    fake.users[TOKEN] = APP | {"app": True}
    fake.pull(5)
    _environment(
        monkeypatch,
        GITHUB_ACTIONS="true",
        GITHUB_API_URL=fake.url,
        GITHUB_REPOSITORY="acme/models",
        GITHUB_SERVER_URL="https://github.example",
        GITHUB_RUN_ID="99",
        GITHUB_REF="refs/pull/5/merge",
        GITHUB_TOKEN=TOKEN,
    )
    return fake


@pytest.fixture
def gitlab(start: Callable[[str], Fake], monkeypatch: pytest.MonkeyPatch) -> Fake:
    """GitLab as a merge-request pipeline of !5 sees it."""
    fake = start("gitlab")
    fake.users[TOKEN] = {"id": 31, "username": "project_42_bot"}
    fake.most = 1_000_000
    fake.pull(5)
    _environment(
        monkeypatch,
        GITLAB_CI="true",
        CI_API_V4_URL=fake.url,
        CI_PROJECT_ID="42",
        CI_MERGE_REQUEST_IID="5",
        FTSPEC_GITLAB_TOKEN=TOKEN,
    )
    return fake


def _environment(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    import os

    for name in list(os.environ):
        if name.startswith(("GITHUB_", "GITLAB_", "CI_", "GH_", "FTSPEC_GITLAB")):
            monkeypatch.delenv(name)
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def changes(head: str = HEAD, runs: int = 1, key: str = "default", **more: Any) -> Changes:
    """A small plan: some runs to retrain."""
    run = Run(
        experiment="support",
        label="epochs=1",
        kind="retrain",
        reasons=("epochs",),
        old_name=None,
        train_old="sha256:1",
        train_new="sha256:2",
        rows_old=10,
        rows_new=10,
        learned_old=5,
        learned_new=5,
        usd_old=1.0,
        usd_new=2.0,
    )
    return msgspec.structs.replace(
        Changes(
            schema=SCHEMA,
            ftspec="0",
            key=key,
            base=Side(name=BASE[:12], commit=BASE, tree=""),
            head=Side(name=head[:12], commit=head, tree=""),
            untrusted=True,
            limits="",
            untouched=2,
            experiments=(),
            runs=tuple(msgspec.structs.replace(run, label=f"epochs={n}") for n in range(runs)),
            fields=(),
            data=(),
            suites=(),
            overlaps=(),
            known=(),
            notices=(),
            troubles=(),
            gates=(),
            prices_as_of="",
        ),
        **more,
    )


@pytest.fixture
def plan(tmp_path: Path) -> Callable[..., str]:
    """Write a plan.json and return its path."""

    def write(**options: Any) -> str:
        path = tmp_path / "plan.json"
        path.write_text(json.dumps(to_json(changes(**options))))
        return str(path)

    return write
