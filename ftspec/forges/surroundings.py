"""Which forge a CI job runs for, out of the variables that it sets. Tokens come from the environment only.

https://docs.github.com/en/actions/reference/workflows-and-actions/variables and
https://docs.gitlab.com/ci/variables/predefined_variables/.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ftspec.forges import github, gitlab
from ftspec.forges.forge import Forge
from ftspec.forges.session import Patience, Session
from ftspec.spec.errors import MissingKeyError, UsageError

GITHUB_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
GITLAB_TOKENS = ("FTSPEC_GITLAB_TOKEN", "GITLAB_TOKEN")


@dataclass(frozen=True)
class Surroundings:
    """The forge (`github`, `gitlab`), its API, the repository, the pull request of this job, and its page."""

    forge: str
    api: str
    repository: str
    number: int | None
    job_url: str
    token: str = field(repr=False, default="")

    @classmethod
    def of(cls, environment: Mapping[str, str], forge: str | None = None) -> "Surroundings":
        """Read the environment. Raises UsageError where it names no forge."""
        known = forge or _known(environment)
        if known == "github":
            return _github(environment)
        if known == "gitlab":
            return _gitlab(environment)
        fix = "--print writes the comment; elsewhere set GITHUB_REPOSITORY=owner/name (with --github) and GITHUB_TOKEN"
        raise UsageError("no_forge", "this is no job of GitHub Actions or GitLab CI", fix=fix)


def _known(environment: Mapping[str, str]) -> str | None:
    if environment.get("GITHUB_ACTIONS") or environment.get("GITHUB_REPOSITORY"):
        return "github"
    return "gitlab" if environment.get("GITLAB_CI") else None


def _github(environment: Mapping[str, str]) -> Surroundings:
    repository = environment.get("GITHUB_REPOSITORY", "")
    if not re.fullmatch(r"[A-Za-z0-9-]+/[A-Za-z0-9_.-]*[A-Za-z0-9_-]", repository):
        raise UsageError("no_repository_name", "GITHUB_REPOSITORY is not owner/name")
    server, run = environment.get("GITHUB_SERVER_URL", "https://github.com"), environment.get("GITHUB_RUN_ID", "")
    merge = re.fullmatch(r"refs/pull/(\d{1,9})/(?:merge|head)", environment.get("GITHUB_REF", ""))
    return Surroundings(
        forge="github",
        api=environment.get("GITHUB_API_URL", "https://api.github.com").rstrip("/"),
        repository=repository,
        number=int(merge[1]) if merge else None,
        job_url=f"{server}/{repository}/actions/runs/{run}" if run.isdecimal() else "",
        token=_first(environment, GITHUB_TOKENS),
    )


def _gitlab(environment: Mapping[str, str]) -> Surroundings:
    project = environment.get("CI_MERGE_REQUEST_PROJECT_ID") or environment.get("CI_PROJECT_ID", "")
    if not project:
        raise UsageError("no_repository_name", "CI_PROJECT_ID is not set")
    iid = environment.get("CI_MERGE_REQUEST_IID", "")
    return Surroundings(
        forge="gitlab",
        api=environment.get("CI_API_V4_URL", "https://gitlab.com/api/v4").rstrip("/"),
        repository=project,
        number=int(iid) if iid.isdecimal() and len(iid) < 10 else None,
        job_url=environment.get("CI_JOB_URL", ""),
        token=_first(environment, GITLAB_TOKENS),
    )


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((environment[name].strip() for name in names if environment.get(name, "").strip()), "")


def open_forge(found: Surroundings, *, author: str = "", patience: Patience = Patience()) -> tuple[Forge, Session]:
    """Return a forge and the session to close. Raises MissingKeyError without a token."""
    names = GITHUB_TOKENS if found.forge == "github" else GITLAB_TOKENS
    if not found.token:
        fix = "in GitHub Actions: env: {GITHUB_TOKEN: ${{ github.token }}}"
        if found.forge == "gitlab":
            fix = "make a project access token (scope api, role Reporter) and store it as a masked CI/CD variable"
        raise MissingKeyError("no_forge_token", f"no token in {' or '.join(names)}", fix=fix)
    if not found.token.isascii() or not found.token.isprintable():
        raise MissingKeyError("no_forge_token", f"what {' or '.join(names)} holds is no token")
    if found.forge == "github":
        session = Session(found.api, github.headers(found.token), github.FORBIDDEN, patience)
        return github.GitHub(session, found.repository, author), session
    session = Session(found.api, gitlab.headers(found.token), gitlab.FORBIDDEN, patience)
    return gitlab.GitLab(session, found.repository), session
