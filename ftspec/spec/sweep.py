"""The `sweep` block: which points an experiment trains, and by which rule its winner is chosen."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ftspec.spec.model import Strict

# A list is one point per item; a string is Hydra's sweep syntax: "1,2,3", "choice(a, b)", "range(1, 4)".
Axis = list[Any] | str


class Select(Strict):
    """`by: valid_loss` (lower is better) or `<suite>.<grader>.<metric>`; `tie` settles equal values."""

    by: str = "valid_loss"
    tie: Literal["fewest_epochs", "first"] = "fewest_epochs"


class Sweep(Strict):
    """`grid` is the product of its axes, the first axis slowest, as in Hydra."""

    grid: dict[str, Axis] = {}
    max_runs: Annotated[int, Field(ge=1)] = 2000
    select: Select = Select()
