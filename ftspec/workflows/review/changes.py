"""What a pull request changes, as frozen data: the shape of `plan.json`, version 1.

Unknown prices are null, never 0. `changes.schema.json` beside this file is its JSON Schema; `read_changes` checks a
file of unknown origin against it before anything is made of it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from ftspec.spec.errors import DataError

SCHEMA = 1
SCHEMA_FILE = Path(__file__).with_name("changes.schema.json")
MAX_BYTES = 5 * 1024 * 1024
Role = Literal["", "system", "developer", "user", "assistant", "tool", "function"]
Kind = Literal["new", "removed", "retrain", "re-score", "metadata", "renamed"]


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all parts; unknown fields are errors."""


class Side(Shape, frozen=True):
    """One of the two revisions; `commit` is null for the working tree."""

    name: str
    commit: str | None
    tree: str


class Field(Shape, frozen=True):
    """One value of the resolved experiment. `where` is `file:line`; `hidden` values stay out of comments."""

    path: str
    old: str | None
    new: str | None
    where: str
    hidden: bool = False


class FieldGroup(Shape, frozen=True):
    """Fields that changed in the same way in several runs."""

    experiment: str
    runs: tuple[str, ...]
    fields: tuple[Field, ...]


class Run(Shape, frozen=True):
    """One run that is not unchanged. `reasons` name what made it so; sizes and prices are those of the training.

    `same_training` names the run that trains the same already: this one costs nothing more. `trained` says where the
    training is finished: `runs` here, or the `results` that the change commits. `answers` are still to be asked to
    score the run by its new and changed suites, for `usd_answers`; null is unknown, never nothing.
    """

    experiment: str
    label: str
    kind: Kind
    reasons: tuple[str, ...]
    old_name: str | None
    train_old: str | None
    train_new: str | None
    rows_old: int | None
    rows_new: int | None
    learned_old: int | None
    learned_new: int | None
    usd_old: float | None
    usd_new: float | None
    verdicts: bool = False
    same_training: str | None = None
    answers: int = 0
    usd_answers: float | None = None
    trained: Literal["", "runs", "results"] = ""

    @property
    def reused(self) -> bool:
        """Whether it needs a training, and there is one."""
        return self.kind in ("new", "retrain") and (self.same_training is not None or self.trained != "")


class Totals(Shape, frozen=True):
    """The train part of one data set: rows, messages and tokens, and how many of them are learned."""

    rows: int
    validation: int
    test: int
    messages: int
    learned_messages: int
    tokens: int
    learned_tokens: int
    policy: str
    counter: str


class Source(Shape, frozen=True):
    """One source file: sha256 of its bytes in either revision."""

    path: str
    old: str | None
    new: str | None
    rows_old: int | None
    rows_new: int | None


class Turned(Shape, frozen=True):
    """Re-weighted rows of which one message is learned now (`learned`), or no longer: the `number`-th of its role,
    from 1. `role` is empty where the rows lie outside git: then `number` counts all messages.
    """

    role: Role
    number: int
    learned: bool
    rows: int


class Rows(Shape, frozen=True):
    """Counts over the train and validation rows. `edited` rows keep their prompt, or their place and half their text:
    other tools, other instructions or other messages (`edited_answer`), in this order of precedence; their sum is less
    where texts are not at hand. `edited_read` of `edited_answer` teach the same words: only what is read is another.

    `from_test` of the added rows stood in the test part, `to_test` of the removed ones stand there now.
    `learned_more` and `learned_less` count messages that turn from weight 0 to 1 and from 1 to 0 in re-weighted rows;
    `turned` says which.
    """

    added: int
    removed: int
    edited: int
    edited_answer: int
    edited_system: int
    edited_tools: int
    reweighted: int
    learned_more: int
    learned_less: int
    moved: int
    reordered: bool
    without_target: int
    edited_read: int = 0
    turned: tuple[Turned, ...] = ()
    from_test: int = 0
    to_test: int = 0


class Sample(Shape, frozen=True):
    """One changed row: where it stands (a removed one in the base revision); its learned words for `--show-text`."""

    kind: Literal["added", "removed", "edited", "reweighted"]
    where: str
    old: str | None
    new: str | None


class Data(Shape, frozen=True):
    """A change of the data of one experiment; `runs` are those it concerns. `rows` null: no rows to compare."""

    experiment: str
    runs: tuple[str, ...]
    old: Totals | None
    new: Totals | None
    sources: tuple[Source, ...]
    rows: Rows | None
    note: str
    samples: tuple[Sample, ...]


class Suite(Shape, frozen=True):
    """A suite whose scores no longer compare, or that is new or gone. `answers` are needed to score its baselines."""

    experiment: str
    suite: str
    kind: Literal["new", "removed", "changed"]
    digest_old: str | None
    digest_new: str | None
    causes: tuple[str, ...]
    items_old: int | None
    items_new: int | None
    items_added: int
    items_removed: int
    items_edited: int
    runs: int
    baselines: tuple[str, ...]
    answers: int
    usd: float | None


class Baseline(Shape, frozen=True):
    """Arms of a suite that did not change, whose answers come from another base model now: `old` and `new` are
    `provider/model`. `answers` are to be asked for, at `usd`; gains over these arms do not compare.
    """

    experiment: str
    suite: str
    arms: tuple[str, ...]
    old: str
    new: str
    answers: int
    usd: float | None


class Overlap(Shape, frozen=True):
    """Train rows that repeat items of a suite: what this change introduces, and what was there before.

    `keys_only`: the rows lie outside git, so that equal conversations were found, but no alike ones.
    """

    experiment: str
    suite: str
    introduced: int
    existing: int
    same_prompt: int
    same_turn: int
    alike: int
    places: tuple[str, ...]
    keys_only: bool = False


class Known(Shape, frozen=True):
    """A score on file. Old and new stand in one row only under one eval digest: a suite that changed has a row of its
    old digest, where `comparable` is false, and one of its new digest once that is scored. `new` is null for a run
    that is gone, `old` for one that is new.
    """

    experiment: str
    run: str
    suite: str
    metric: str
    digest: str
    old: float | None
    old_interval: tuple[float, float] | None
    new: float | None
    new_interval: tuple[float, float] | None
    n: int | None
    comparable: bool = True


class Gate(Shape, frozen=True):
    """One gate of the base revision's policy."""

    name: str
    passed: bool
    detail: str


class Trouble(Shape, frozen=True):
    """A problem found while composing one of the two revisions."""

    side: Literal["base", "head"]
    experiment: str
    severity: str
    code: str
    message: str
    place: str


class Experiment(Shape, frozen=True):
    """One experiment in numbers. `models` are those it trains and those that its arms ask. `touched` names the lines
    that the change touches where the experiment does not compose, so that nothing else can be said of them.
    """

    name: str
    kind: Literal["new", "removed", "changed", "unchanged", "broken"]
    provider: str
    model: str
    runs_old: int
    runs_new: int
    unchanged: int
    usd_all_old: float | None
    usd_all_new: float | None
    suites: tuple[str, ...] = ()
    lock: Literal["none", "current", "stale", "unknown"] = "none"
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()


class Changes(Shape, frozen=True):
    """All of it. `experiments` holds those that were composed; `untouched` counts the others. `base` is where the two
    revisions parted; `policy` is the commit whose gates judged: the tip of the base, which the change cannot choose.
    `beside` says what changed that is part of no experiment and may change what they mean or how they are judged.
    """

    schema: int
    ftspec: str
    key: str
    base: Side
    head: Side
    untrusted: bool
    limits: str
    untouched: int
    experiments: tuple[Experiment, ...]
    runs: tuple[Run, ...]
    fields: tuple[FieldGroup, ...]
    data: tuple[Data, ...]
    suites: tuple[Suite, ...]
    overlaps: tuple[Overlap, ...]
    known: tuple[Known, ...]
    notices: tuple[str, ...]
    troubles: tuple[Trouble, ...]
    gates: tuple[Gate, ...]
    prices_as_of: str
    show_text: bool = False
    policy: str | None = None
    beside: tuple[str, ...] = ()
    baselines: tuple[Baseline, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether nothing that matters changed."""
        loud = self.runs or self.suites or self.data or self.broken or self.failed_gates or self.beside
        return not (loud or self.new_scores)

    @property
    def new_scores(self) -> tuple[Known, ...]:
        """Scores that this change puts on file, or that it changes."""
        return tuple(known for known in self.known if known.new is not None and known.old != known.new)

    @property
    def new_version(self) -> bool:
        """Whether the change may bring another ftspec than the one that made this plan."""
        return any(text.startswith(("dependencies changed", "ftspec's own code changed")) for text in self.beside)

    @property
    def failed_gates(self) -> tuple[Gate, ...]:
        """The gates that failed."""
        return tuple(gate for gate in self.gates if not gate.passed)

    @property
    def broken(self) -> tuple[Trouble, ...]:
        """Errors of the head revision."""
        return tuple(t for t in self.troubles if t.side == "head" and t.severity == "error")

    def of_kind(self, *kinds: Kind) -> tuple[Run, ...]:
        """Runs of some kinds."""
        return tuple(run for run in self.runs if run.kind in kinds)

    @property
    def trainings(self) -> tuple[Run, ...]:
        """Runs whose trainings the change asks for, done or not; one training of several runs counts once."""
        return tuple(run for run in self.of_kind("new", "retrain") if run.same_training is None)

    @property
    def to_train(self) -> tuple[Run, ...]:
        """Those of them that are still to be trained."""
        return tuple(run for run in self.trainings if not run.trained)

    @property
    def usd(self) -> float | None:
        """Price of everything to train; None where one price is unknown."""
        return total(run.usd_new for run in self.to_train)

    @property
    def unchanged(self) -> int:
        """Runs of composed experiments that are the same in both revisions."""
        return sum(experiment.unchanged for experiment in self.experiments)


def total(prices: Any) -> float | None:
    """Add prices up; None where one of them is unknown."""
    found = list(prices)
    return None if any(price is None for price in found) else float(sum(found))


def to_json(changes: Changes) -> dict[str, Any]:
    """Return plain JSON. It fits the schema, which is made of the same shapes: checked here by those, in a fraction of
    the time that a schema takes; what is read is checked by both.
    """
    plain: dict[str, Any] = msgspec.to_builtins(changes)
    msgspec.convert(plain, Changes)
    return plain


def read_changes(content: bytes) -> Changes:
    """Read a `plan.json` of unknown origin by its schema. Raises DataError for any other shape, and beyond 5 MiB."""
    if len(content) > MAX_BYTES:
        raise DataError("plan_size", f"plan.json is larger than {MAX_BYTES >> 20} MiB")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError("plan_json", f"plan.json is no JSON: {error}") from error
    _check(value)
    return shaped(content)


def shaped(content: bytes) -> Changes:
    """Read what another process of this ftspec wrote, by the shapes that the schema is made of: they refuse the same.

    Raises DataError for any other shape or version.
    """
    try:
        found = msgspec.json.decode(content, type=Changes)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise DataError("plan_shape", f"plan.json has another shape: {error}") from error
    if found.schema != SCHEMA:
        raise DataError("plan_schema", f"plan.json has version {found.schema}, this ftspec reads {SCHEMA}")
    return found


@cache
def schema() -> dict[str, Any]:
    """Return the published JSON Schema."""
    found: dict[str, Any] = json.loads(SCHEMA_FILE.read_bytes())
    return found


def make_schema() -> dict[str, Any]:
    """Build the JSON Schema from the shapes; a test keeps the published file equal to it."""
    made = msgspec.json.schema(Changes)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "ftspec/plan/1", **made}


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


def _check(value: Any) -> None:
    wrong = next(iter(_validator().iter_errors(value)), None)
    if wrong is not None:
        place = "/".join(map(str, wrong.absolute_path)) or "the top"
        raise DataError("plan_shape", f"plan.json does not fit its schema at {place}: {wrong.message[:200]}")


if __name__ == "__main__":
    text = json.dumps(make_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    SCHEMA_FILE.write_text(text, "utf-8")
