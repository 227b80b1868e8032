"""`ftspec comment`: a plan as one sticky comment on its pull request."""

import re
from typing import TYPE_CHECKING, BinaryIO

import click

from ftspec.cli.arguments import echo_json, json_option
from ftspec.spec.errors import Exit, UsageError

if TYPE_CHECKING:
    from ftspec.workflows.publish import Head

_PAGE = re.compile(r"https://[A-Za-z0-9._~:/?#@%=&+-]{1,500}")
_WORDS = {
    "created": "wrote the comment",
    "updated": "replaced the comment",
    "same": "the comment says it already",
    "nothing": "nothing changed, so there is nothing to say",
    "stale": "the pull request has moved on: nothing posted, the job of its newest commit will",
    "none": "no open pull request has this head: nothing posted",
}


@click.command(
    help="Post PLAN, the output of `ftspec diff BASE HEAD --json`, as one comment on its pull request, replaced in "
    "place. GitHub or GitLab and the repository are those of the CI job; the token is read from GITHUB_TOKEN or "
    "FTSPEC_GITLAB_TOKEN."
)
@click.argument("plan", type=click.File("rb"))
@click.option("--print", "only_print", is_flag=True, help="Write the Markdown for a step summary; post nothing.")
@click.option("--pr", "number", type=click.IntRange(1), help="The pull request. Default: that of the CI job.")
@click.option("--head", metavar="SHA", help="Head commit of the event, where PLAN comes from another, unverified job.")
@click.option("--head-owner", metavar="OWNER", help="Owner of the head's repository, with --head.")
@click.option("--head-branch", metavar="BRANCH", help="The head's branch, with --head.")
@click.option("--github", "forge", flag_value="github", help="Post to GitHub. Default: by the CI job.")
@click.option("--gitlab", "forge", flag_value="gitlab", help="Post to GitLab.")
@click.option("--author", metavar="LOGIN", default="", help="Account of a GitHub App's token, like `reviews[bot]`.")
@click.option("--link", metavar="URL", default="", help="Page with the whole summary, where a comment is shortened.")
@json_option
def command(
    plan: BinaryIO,
    only_print: bool,
    number: int | None,
    head: str | None,
    head_owner: str | None,
    head_branch: str | None,
    forge: str | None,
    author: str,
    link: str,
    as_json: bool,
) -> int:
    """Read the plan as a file of unknown origin, render it here, post it."""
    import os

    from ftspec.report.markdown.comment import comment, marker_start, summary
    from ftspec.workflows.review.changes import MAX_BYTES, read_changes

    changes = read_changes(plan.read(MAX_BYTES + 1))
    origin = _head(head, head_owner, head_branch)
    if only_print:
        click.echo(summary(changes, unverified=origin is not None), nl=False)
        return Exit.OK
    from ftspec.forges import Surroundings, open_forge
    from ftspec.workflows.publish import Post, publish

    if link and not _PAGE.fullmatch(link):
        raise UsageError("link", "--link is an https address")
    found = Surroundings.of(os.environ, forge)
    body = comment(changes, unverified=origin is not None, link=link or found.job_url)
    post = Post(marker_start(changes), body, changes.head.commit, changes.quiet)
    opened, session = open_forge(found, author=author)
    try:
        done = publish(opened, post, number=number or (None if origin else found.number), head=origin)
    finally:
        session.close()
    if as_json:
        echo_json({"schema": 1, "action": done.action, "number": done.number, "url": done.url, "removed": done.removed})
        return Exit.OK
    where = f"   {opened.name} #{done.number} {done.url}".rstrip() if done.number else ""
    click.echo(f"{_WORDS[done.action]}{where}")
    return Exit.OK


def _head(commit: str | None, owner: str | None, branch: str | None) -> "Head | None":
    from ftspec.workflows.publish import Head

    if commit is None and owner is None and branch is None:
        return None
    if not commit or not owner or not branch:
        raise UsageError("half_head", "--head, --head-owner and --head-branch go together")
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise UsageError("head_commit", "--head is a whole commit id of 40 hexadecimal digits")
    return Head(commit, owner, branch)
