"""GitLab's REST API: merge requests and their notes.

https://docs.gitlab.com/api/notes/#merge-requests (list, create, modify, delete; a body holds 1,000,000 characters),
https://docs.gitlab.com/api/merge_requests/ (`sha` is the head), https://docs.gitlab.com/api/users/ (GET /user).
A CI job token may not write notes (https://docs.gitlab.com/ci/jobs/ci_job_token/): a project access token with the
scope `api` and the role Reporter may.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from ftspec.forges.forge import Author, Comment, Pull
from ftspec.forges.session import ForgeError, Session

FORBIDDEN = "the token needs the scope `api` and a role that may comment (Reporter); a CI job token has neither"


def headers(token: str) -> dict[str, str]:
    """Return the headers of a request."""
    return {"PRIVATE-TOKEN": token}


class GitLab:
    """One project, by id or path."""

    name = "GitLab"

    def __init__(self, session: Session, project: str) -> None:
        self._session = session
        self._at = f"/projects/{quote(project, safe='')}/merge_requests"

    def pull(self, number: int) -> Pull | None:
        """GET /projects/:id/merge_requests/:merge_request_iid."""
        found = self._session.get(f"{self._at}/{number}")
        return None if found is None or found.get("state") != "opened" else _pull(found)

    def pulls_of(self, head: str, owner: str, branch: str) -> Sequence[Pull]:
        """GET /projects/:id/merge_requests?source_branch=...; the commit tells forks apart."""
        listed = self._session.pages(self._at, source_branch=branch, state="opened")
        return [pull for pull in map(_pull, listed) if pull.head == head]

    def me(self) -> Author:
        """GET /user."""
        found = self._session.get("/user")
        if not found:
            raise ForgeError("forge_refused", "GitLab does not say whose token it is", fix=FORBIDDEN)
        return Author(int(found["id"]), str(found.get("username")))

    def comments(self, number: int) -> Iterator[Comment]:
        """GET /projects/:id/merge_requests/:merge_request_iid/notes, oldest first, without GitLab's own notes."""
        for found in self._session.pages(f"{self._at}/{number}/notes", sort="asc", order_by="created_at"):
            if not found.get("system"):
                yield self._comment(found)

    def create(self, number: int, body: str) -> Comment:
        """POST /projects/:id/merge_requests/:merge_request_iid/notes."""
        return self._comment(self._session.create(f"{self._at}/{number}/notes", {"body": body}))

    def update(self, number: int, comment: int, body: str) -> Comment:
        """PUT /projects/:id/merge_requests/:merge_request_iid/notes/:note_id."""
        found = self._session.change("PUT", f"{self._at}/{number}/notes/{comment}", {"body": body})
        if found is None:
            raise ForgeError("forge_gone", "the note was deleted while it was replaced", fix="run the job again")
        return self._comment(found)

    def delete(self, number: int, comment: int) -> None:
        """DELETE /projects/:id/merge_requests/:merge_request_iid/notes/:note_id."""
        self._session.change("DELETE", f"{self._at}/{number}/notes/{comment}")

    def _comment(self, found: Any) -> Comment:
        user = found.get("author") or {}
        author = Author(int(user.get("id") or 0), str(user.get("username") or ""))
        return Comment(int(found["id"]), author, str(found.get("body") or ""), "")


def _pull(found: Any) -> Pull:
    return Pull(int(found["iid"]), str(found.get("sha")), str(found.get("web_url") or ""))
