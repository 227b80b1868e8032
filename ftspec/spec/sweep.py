"""The `sweep` block: which points an experiment trains, and by which rule its winner is chosen."""

from typing import Annotated, Any, Literal

from pydantic import Field

from ftspec.spec.model import Strict

# A list is one point per item; a text is Hydra's sweep grammar: "1,2,3", "choice(a, b)", "range(1, 4)", "glob(*)", or
# "logrange(0.02, 0.2, 4)". null removes an inherited axis.
Axis = list[Any] | str
Axes = dict[str, Axis | None]


# What runs cannot differ in: it changes neither what is trained nor what is asked, or counts runs itself.
NOT_SWEPT = (
    "baselines",
    "budget",
    "description",
    "judge",
    "keep_until",
    "lint",
    "metadata",
    "repeats",
    "store",
    "suffix",
    "sweep",
    "tags",
    "tracking",
)


VALID_LOSS = "valid_loss"


class Select(Strict):
    """`by: valid_loss` (lower is better) or `<suite>.<grader>.<metric>`; `tie` settles equal values."""

    by: str = VALID_LOSS
    tie: Literal["fewest_epochs", "first"] = "fewest_epochs"


class Block(Strict):
    """A set of points: the product of `grid` and of each entry of `zip`, then the further blocks of `union`.

    The first axis of `grid` is slowest, as in Hydra. An entry of `zip` is one axis of several keys of equal length. A
    point falls out when it holds all pairs of an entry of `exclude`. `random` keeps so many points, those of the lowest
    sha256 of the experiment's seed and the point. `exclude` and `random` look at the whole block, `union` included.
    """

    grid: Axes = {}
    zip: list[Annotated[Axes, Field(min_length=1)]] = []
    union: list["Block"] = []
    exclude: list[Annotated[dict[str, Any], Field(min_length=1)]] = []
    random: Annotated[int, Field(ge=1)] | None = None


class Sweep(Block):
    """The experiment's own block, with the limit on its size and the rule that chooses the winner."""

    max_runs: Annotated[int, Field(ge=1, le=100_000)] = 2000
    select: Select = Select()
