"""`comment`: one sticky comment per pull request and key, found by marker and author, replaced in place, never stacked.

Nothing of `plan.json` chooses where it is posted: the pull request comes from the job's own event, and its head must
still be the commit that the plan describes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ftspec.forges.forge import Comment, Forge, Pull
from ftspec.forges.session import UnsureError
from ftspec.spec.errors import ProviderError, UsageError

Action = Literal["created", "updated", "same", "nothing", "stale", "none"]
_TRIES = 3


@dataclass(frozen=True)
class Head:
    """The head of a pull request as the event of the job tells it: commit, owner of the repository, branch."""

    commit: str
    owner: str
    branch: str


@dataclass(frozen=True)
class Post:
    """What is to be posted: the marker's beginning, the text, the commit that it describes, whether it is news."""

    marker: str
    body: str
    commit: str | None
    quiet: bool


@dataclass(frozen=True)
class Published:
    """What was done. `stale`: the pull request has moved on; `none`: no open pull request; `nothing`: no news."""

    action: Action
    number: int | None
    url: str
    removed: int = 0


def publish(forge: Forge, post: Post, *, number: int | None, head: Head | None) -> Published:
    """Post, or leave it. `head` is given by a job that has only a foreign job's file: then it decides, not `number`.

    Raises UsageError where nothing says which pull request, and what the forge raises.
    """
    if post.commit is None:
        fix = "commit, then: ftspec diff BASE HEAD --json > plan.json"
        raise UsageError("no_commit", "this plan describes a working tree, not a commit", fix=fix)
    pull = _find(forge, post.commit, number, head)
    if pull is None:
        return Published("none", number, "")
    me = forge.me()
    for tried in range(_TRIES):
        mine = [c for c in forge.comments(pull.number) if c.body.startswith(post.marker) and me.wrote(c)]
        now = forge.pull(pull.number)
        if now is None:
            return Published("none", pull.number, pull.url)
        if now.head != post.commit:
            return Published("stale", pull.number, pull.url)
        if post.quiet and not mine:
            return Published("nothing", pull.number, pull.url)
        try:
            return _write(forge, pull, post, mine)
        except UnsureError:
            # It may be there all the same: look again before anything is written a second time.
            if tried + 1 == _TRIES:
                raise
    raise ProviderError("forge_unreachable", "the comment could not be written")


def _find(forge: Forge, commit: str, number: int | None, head: Head | None) -> Pull | None:
    if head is None:
        if number is None:
            fix = "--pr NUMBER, or --head, --head-owner and --head-branch of the event"
            raise UsageError("which_pull", "say which pull request", fix=fix)
        return forge.pull(number)
    if head.commit != commit:
        message = "this plan was made for another commit than the one of the event; nothing is posted"
        raise UsageError("foreign_plan", message, fix="hand over the file of the same run")
    found = forge.pulls_of(head.commit, head.owner, head.branch)
    if len(found) > 1:
        found = [pull for pull in found if pull.number == number] or found
    if len(found) > 1:
        numbers = ", ".join(f"#{pull.number}" for pull in found)
        raise UsageError("which_pull", f"{numbers} have this head", fix="say which one: --pr NUMBER")
    return found[0] if found else None


def _write(forge: Forge, pull: Pull, post: Post, mine: Sequence[Comment]) -> Published:
    if not mine:
        made = forge.create(pull.number, post.body)
        return Published("created", pull.number, made.url or pull.url)
    first, *others = mine
    for extra in others:  # two jobs at once may both have found none
        forge.delete(pull.number, extra.id)
    if _same(first.body, post.body):
        return Published("same", pull.number, first.url or pull.url, len(others))
    made = forge.update(pull.number, first.id, post.body)
    return Published("updated", pull.number, made.url or pull.url, len(others))


def _same(one: str, other: str) -> bool:
    """Compare without line ends, which forges rewrite."""
    return one.replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()
