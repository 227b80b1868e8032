"""GitHub's REST API: pull requests and the comments of their issues.

https://docs.github.com/en/rest/issues/comments (list, create, update, delete; a body holds 65,536 characters, beyond
that 422), https://docs.github.com/en/rest/pulls/pulls (get one; list by `head=owner:branch`),
https://docs.github.com/en/rest/users/users#get-the-authenticated-user (403 for the token of a job).
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from ftspec.forges.forge import Author, Comment, Pull
from ftspec.forges.session import ForgeError, Session

# The token of a job is that of a GitHub App, which has no user to ask for: its comments are signed by this account.
# Brackets cannot stand in a person's login, so nobody else can sign so.
BOT = "github-actions[bot]"
FORBIDDEN = "the job needs `permissions: pull-requests: write`; for pull requests of forks use the two workflows"


def headers(token: str) -> dict[str, str]:
    """Return the headers of a request."""
    return {
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "Authorization": f"Bearer {token}",
    }


class GitHub:
    """One repository, `owner/name`."""

    name = "GitHub"

    def __init__(self, session: Session, repository: str, author: str = "") -> None:
        self._session, self._author = session, author
        self._at = "/repos/" + "/".join(quote(part, safe="") for part in repository.split("/"))

    def pull(self, number: int) -> Pull | None:
        """GET /repos/{owner}/{repo}/pulls/{pull_number}."""
        found = self._session.get(f"{self._at}/pulls/{number}")
        return None if found is None or found.get("state") != "open" else _pull(found)

    def pulls_of(self, head: str, owner: str, branch: str) -> Sequence[Pull]:
        """GET /repos/{owner}/{repo}/pulls?head=user:ref-name&state=open."""
        listed = self._session.pages(f"{self._at}/pulls", head=f"{owner}:{branch}", state="open")
        return [pull for pull in map(_pull, listed) if pull.head == head]

    def me(self) -> Author:
        """GET /user; the token of a job may not ask."""
        if self._author:
            return Author(None, self._author)
        try:
            found = self._session.get("/user")
        except ForgeError:
            found = None
        return Author(int(found["id"]), str(found["login"])) if found else Author(None, BOT)

    def comments(self, number: int) -> Iterator[Comment]:
        """GET /repos/{owner}/{repo}/issues/{issue_number}/comments, by ascending id."""
        for found in self._session.pages(f"{self._at}/issues/{number}/comments"):
            yield _comment(found)

    def create(self, number: int, body: str) -> Comment:
        """POST /repos/{owner}/{repo}/issues/{issue_number}/comments."""
        return _comment(self._session.create(f"{self._at}/issues/{number}/comments", {"body": body}))

    def update(self, number: int, comment: int, body: str) -> Comment:
        """PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}."""
        found = self._session.change("PATCH", f"{self._at}/issues/comments/{comment}", {"body": body})
        if found is None:
            raise ForgeError("forge_gone", "the comment was deleted while it was replaced", fix="run the job again")
        return _comment(found)

    def delete(self, number: int, comment: int) -> None:
        """DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}."""
        self._session.change("DELETE", f"{self._at}/issues/comments/{comment}")


def _pull(found: Any) -> Pull:
    return Pull(int(found["number"]), str((found.get("head") or {}).get("sha")), str(found.get("html_url") or ""))


def _comment(found: Any) -> Comment:
    user = found.get("user") or {}  # null where the account was deleted
    author = Author(int(user.get("id") or 0), str(user.get("login") or ""))
    return Comment(int(found["id"]), author, str(found.get("body") or ""), str(found.get("html_url") or ""))
