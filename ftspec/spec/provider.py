"""The `provider` block."""

from typing import Annotated

from pydantic import Field

from ftspec.spec.model import EnvRef, Strict


class Provider(Strict):
    """Where training happens. Names a profile (facts about a host) and fills in what only the team knows."""

    profile: str = "embedded"
    base_url: str | EnvRef | None = None
    auth: EnvRef | None = None
    concurrency: Annotated[int, Field(ge=1, le=256)] | None = None
