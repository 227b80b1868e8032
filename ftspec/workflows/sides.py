"""One experiment at one revision, as facts that can be compared: runs, data, suites. Built from a plan, or, where data
lies outside git, from the committed lock and rows.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec

from ftspec.compose.points import identity
from ftspec.spec.suite import Arm, Suite
from ftspec.workflows.plan import Plan, PlannedRun, PlannedSuite

_sorted = msgspec.json.Encoder(order="sorted").encode


class RowFact(msgspec.Struct, frozen=True):
    """One rendered row: keys of content and prompt, mask of weights, where it came from, its number in its part."""

    part: str
    row: str
    prompt: str
    weights: str
    source: str = ""
    line: int = 0
    i: int = 0
    learned: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class PartFacts:
    """Totals of one rendered part; `path` is its file, None where only a lock tells about it."""

    sha256: str
    rows: int
    messages: int
    learned_messages: int
    tokens: int
    learned_tokens: int
    path: Path | None


@dataclass(frozen=True)
class DataSide:
    """A data set. `digest` is its `data` digest; `rows` is None where nothing tells them."""

    digest: str
    parts: Mapping[str, PartFacts]
    sources: Mapping[str, tuple[str, int]]
    counter: str
    policy: str
    rows_path: Path | None
    kept_rows: tuple[RowFact, ...] | None = None

    @cached_property
    def rows(self) -> tuple[RowFact, ...] | None:
        """Records of the rendered rows in file order."""
        if self.rows_path is None:
            return self.kept_rows
        decode = msgspec.json.Decoder(RowFact).decode
        with self.rows_path.open("rb") as lines:
            return tuple(decode(line) for line in lines)

    @property
    def train(self) -> PartFacts:
        """The part that is trained on."""
        return self.parts["train"]


@dataclass(frozen=True)
class SuiteSide:
    """A suite at one revision; `items` maps item ids to a hash of their content, empty where only a lock tells."""

    name: str
    digest: str
    n_items: int
    items: Mapping[str, str]
    projection: Mapping[str, Any]
    baselines: tuple[str, ...]
    samples: int
    trained_arms: int
    part: str = ""
    planned: PlannedSuite | None = None
    parts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunSide:
    """One run at one revision."""

    experiment: str
    label: str
    coordinates: Mapping[str, Any]
    config: Mapping[str, Any]
    train: str
    data: DataSide
    suites: Mapping[str, SuiteSide]
    usd: float | None

    @property
    def name(self) -> str:
        """`experiment/label`."""
        return f"{self.experiment}/{self.label}"

    @cached_property
    def point(self) -> str:
        """Equal for equal coordinates."""
        return identity(self.coordinates)


@dataclass(frozen=True)
class ExperimentSide:
    """One experiment at one revision."""

    name: str
    config: Mapping[str, Any]
    runs: tuple[RunSide, ...]
    lock: str = "none"
    notes: tuple[str, ...] = ()
    warnings: tuple[Any, ...] = field(default=())

    @cached_property
    def distinct(self) -> tuple[RunSide, ...]:
        """One run for each combination of data and suites: few, where a sweep is over other things."""
        found: dict[Any, RunSide] = {}
        for run in self.runs:
            found.setdefault((run.data.digest, frozenset((n, s.digest) for n, s in run.suites.items())), run)
        return tuple(found.values())


def of_plan(plan: Plan) -> ExperimentSide:
    """Return the facts of a plan."""
    sides = _Sides(plan)
    return ExperimentSide(
        name=plan.name,
        config=plan.composed.config,
        runs=tuple(sides.run(run) for run in plan.runs),
        warnings=plan.warnings,
    )


def data_sides(plan: Plan) -> list[DataSide]:
    """Return the distinct data sets of a plan."""
    sides = _Sides(plan)
    return list({data.digest: data for data in map(sides.data, plan.runs)}.values())


class _Sides:
    """Shares data and suites between the runs of one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._select = (plan.composed.config.get("sweep") or {}).get("select")
        self._data: dict[tuple[int, str], DataSide] = {}
        self._suites: dict[tuple[str, str], SuiteSide] = {}

    def run(self, run: PlannedRun) -> RunSide:
        config = dict(run.point.config)
        if self._select:
            config["sweep"] = {"select": self._select}
        return RunSide(
            experiment=self._plan.name,
            label=run.label,
            coordinates=run.point.coordinates,
            config=config,
            train=run.train_digest,
            data=self.data(run),
            suites={suite.name: self._suite(suite) for suite in run.suites},
            usd=run.usd,
        )

    def data(self, run: PlannedRun) -> DataSide:
        """Return the data set of a run, once."""
        key = (id(run.prepared), run.data_digest)
        if key not in self._data:
            prepared = run.prepared
            parts = {
                role: PartFacts(p.sha256, p.rows, p.messages, p.learned_messages, p.tokens, p.learned_tokens, p.path)
                for role, p in prepared.parts.items()
            }
            sources = {source.path: (source.sha256, source.rows) for source in prepared.sources}
            policy = policy_name(run.point.config.get("weights") or {})
            self._data[key] = DataSide(run.data_digest, parts, sources, prepared.counter, policy, prepared.rows)
        return self._data[key]

    def _suite(self, suite: PlannedSuite) -> SuiteSide:
        key = (suite.name, suite.eval_digest)
        if key not in self._suites:
            from ftspec.evals.suites import projection

            resolved = suite.suite
            items = {
                item.id: hashlib.sha256(_sorted([item.cluster, item.fields])).hexdigest() for item in resolved.items
            }
            self._suites[key] = SuiteSide(
                name=suite.name,
                digest=suite.eval_digest,
                n_items=len(items),
                items=items,
                projection=projection(resolved),
                baselines=tuple(resolved.baseline_arms),
                samples=resolved.suite.samples,
                trained_arms=len(resolved.trained_arms),
                part=part_of(resolved.suite),
                planned=suite,
            )
        return self._suites[key]


def part_of(suite: Suite) -> str:
    """Return the part of the data whose rows are a suite's items: `test`, `valid`, or empty for a file."""
    if suite.data.path is not None:
        return ""
    return "valid" if suite.data.part == "validation" else "test"


def asked_models(run: RunSide) -> list[str]:
    """Return the model a run trains and those that the arms of its suites ask by name."""
    arms = [arm for suite in (run.config.get("evals") or {}).values() for arm in (suite.get("arms") or {}).values()]
    arms += (run.config.get("baselines") or {}).values()
    named = [str(arm.get("model")) for arm in arms]
    return [str(run.config.get("model")), *(name for name in named if not name.startswith("@"))]


def policy_name(weights: Mapping[str, Any]) -> str:
    """Return the weight policy as people name it."""
    rules = len(weights.get("rules") or ())
    name = str(weights.get("train_on", "assistant"))
    return f"{name} + {rules} rule{'s' if rules != 1 else ''}" if rules else name


class Turn(msgspec.Struct, frozen=True):
    """What an item or a training row asks: its prompt key, its last user turn, and that turn without case and signs."""

    prompt: bytes
    turn: str
    alike: str


def turn_of(messages: Any) -> Turn:
    """Return the keys of a prompt by which train rows and eval items are told to be the same."""
    from ftspec.evals.items import message_text, prompt_key

    users = [m for m in messages if m.get("role") == "user"]
    text = message_text(users[-1].get("content")) if users else ""
    return Turn(prompt_key(messages), text, "".join(c for c in text.casefold() if c.isalnum()))


def item_turns(suite: PlannedSuite) -> dict[str, Turn]:
    """Return the turns of a suite's items by item id; items that its request cannot ask are left out."""
    from ftspec.data.template import MissingFieldError
    from ftspec.evals.requests import messages_of

    plain = Arm(model="@base")
    found = {}
    for item in suite.suite.items:
        try:
            found[item.id] = turn_of(messages_of(suite.suite.suite.request, plain, item))
        except (MissingFieldError, ValueError):
            continue
    return found


@cache
def train_turns(path: Path) -> tuple[Turn, ...]:
    """Return the turn of every row of a rendered part, in order."""
    from ftspec.evals.items import read_rows, split_turn

    return tuple(turn_of(split_turn(row)[0]) for row in read_rows(path))
