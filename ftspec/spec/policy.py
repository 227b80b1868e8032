"""`.ftspec/policy.yaml`: the gates of pull requests, read from the base revision, so that nobody loosens his own."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from ftspec.spec.model import Strict


class Policy(Strict):
    """What a pull request must keep. A gate that is not named does not exist; there is no gate by default.

    `max_usd` bounds the price of all runs to train; a price that is unknown counts as over it unless `accept_unknown`.
    `providers` and `models` are patterns (`*`) of what may train.
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

    @model_validator(mode="before")
    @classmethod
    def _no_grader_code(cls, value: Any) -> Any:
        if isinstance(value, dict) and "trusted_graders" in value:
            raise ValueError(
                "trusted_graders: no grader of this version runs code, so there is none to trust; remove it"
            )
        return value
