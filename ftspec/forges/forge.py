"""What a comment on a pull request needs of the place where it lives. A merge request is called a pull request here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Pull:
    """An open pull request: its number, the commit at its head, and its address for people."""

    number: int
    head: str
    url: str


@dataclass(frozen=True)
class Author:
    """An account: its id, or, where the token may not ask for its own, the name that no person can take."""

    id: int | None
    name: str

    def wrote(self, comment: "Comment") -> bool:
        """Tell whether a comment is this account's."""
        return comment.author.id == self.id if self.id is not None else comment.author.name == self.name


@dataclass(frozen=True)
class Comment:
    """One comment as it stands."""

    id: int
    author: Author
    body: str
    url: str


class Forge(Protocol):
    """Every call may raise ProviderError (unreachable, busy), MissingKeyError (401) or ForgeError (refused)."""

    name: str

    def pull(self, number: int) -> Pull | None:
        """Return an open pull request, None where there is none of that number or it is closed."""

    def pulls_of(self, head: str, owner: str, branch: str) -> Sequence[Pull]:
        """Return the open pull requests whose head is this commit, on this branch of this owner's repository."""

    def me(self) -> Author:
        """Return whose token it is."""

    def comments(self, number: int) -> Iterator[Comment]:
        """Yield all comments of a pull request, all pages, oldest first."""

    def create(self, number: int, body: str) -> Comment:
        """Write a comment. Sent once: whoever calls looks for it before trying again."""

    def update(self, number: int, comment: int, body: str) -> Comment:
        """Replace a comment's text."""

    def delete(self, number: int, comment: int) -> None:
        """Remove a comment; none is fine."""
