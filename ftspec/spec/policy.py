"""`.ftspec/policy.yaml`: the gates of pull requests, read from the base revision, so that nobody loosens his own."""

from typing import Annotated

from pydantic import Field

from ftspec.spec.model import Strict

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Policy(Strict):
    """What a pull request must keep. A gate that is not named does not exist; there is no gate by default.

    `max_usd` bounds the price of all runs to train; a price that is unknown counts as over it unless `accept_unknown`.
    `providers` and `models` are patterns (`*`) of what may train. `trusted_graders` are sha256 of grader code.
    """

    max_usd: Annotated[float, Field(ge=0)] | None = None
    accept_unknown: bool = False
    max_runs: Annotated[int, Field(ge=0)] | None = None
    required_suites: list[str] = []
    no_shrinking_eval: bool = False
    no_new_overlap: bool = False
    no_row_without_target: bool = False
    lock_current: bool = False
    eval_change_needs_baselines: bool = False
    providers: Annotated[list[str], Field(min_length=1)] | None = None
    models: Annotated[list[str], Field(min_length=1)] | None = None
    trusted_graders: list[Sha256] | None = None
