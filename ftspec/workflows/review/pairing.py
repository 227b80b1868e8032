"""Runs of two revisions, paired by experiment and sweep coordinates, and what became of each. Pure."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftspec.compose.shape import is_default
from ftspec.workflows.review.changes import Field, FieldGroup, Kind, Run
from ftspec.workflows.review.existing import Existing
from ftspec.workflows.review.places import Places
from ftspec.workflows.sides import ExperimentSide, RunSide, SuiteSide

Path = tuple[str | int, ...]

# Values of these paths may be shown in a comment, whose history everybody can read for ever.
_SHOWN = re.compile(
    r"(model|method|seed|repeats|budget|tags|suffix|sweep|weights|hyperparameters|provider\.profile|provider\.concurrency)"
    r"(\..*|\[.*)?"
    r"|dataset\.(split|metadata)(\..*|\[.*)?"
    r"|dataset\.sources\[\d+\]\.(path|format|fraction|count|sha256|revision|name|split)"
    r"|dataset\.messages\[\d+\]\.(role|weight)"
    r"|evals\.\w+\.(data|samples|metrics|compare|max_error_rate|kind)(\..*|\[.*)?"
    r"|evals\.\w+\.request\.(params|parse)(\.(temperature|top_p|max_completion_tokens|seed|tool_choice))?"
    r"|evals\.\w+\.graders\.\w+\.(type|operation|match|order|extra|fields)(\..*)?"
    r"|evals\.\w+\.arms\.\w+\.(model|shots)(\..*)?|baselines\.\w+\.(model|shots)(\..*)?"
)
_MAX_VALUE = 120


@dataclass(frozen=True)
class Paired:
    """An old and a new run; one of them may be missing."""

    kind: Kind | None
    old: RunSide | None
    new: RunSide | None

    @property
    def one(self) -> RunSide:
        """The new run, or the old one where it is gone."""
        found = self.new or self.old
        assert found is not None
        return found


def pair(old: Sequence[RunSide], new: Sequence[RunSide]) -> list[Paired]:
    """Pair all runs of all composed experiments: by coordinates first, then by equal training. New ones in order."""
    before = {(run.experiment, run.point): run for run in old}
    partners: dict[int, RunSide | None] = {}
    for run in new:
        partners[id(run)] = before.pop((run.experiment, run.point), None)
    left: dict[str, list[RunSide]] = {}
    for run in before.values():
        left.setdefault(run.train, []).append(run)
    found: list[Paired] = []
    for run in new:
        partner = partners[id(run)]
        if partner is not None:
            found.append(Paired(kind_of(partner, run), partner, run))
        elif left.get(run.train):
            found.append(Paired("renamed", left[run.train].pop(0), run))
        else:
            found.append(Paired("new", None, run))
    gone = {id(run) for runs in left.values() for run in runs}
    found += [Paired("removed", run, None) for run in before.values() if id(run) in gone]
    return found


def kind_of(old: RunSide, new: RunSide) -> Kind | None:
    """Return what became of a run; None where nothing changed."""
    if old.train != new.train:
        return "retrain"
    if {n: s.digest for n, s in old.suites.items()} != {n: s.digest for n, s in new.suites.items()}:
        return "re-score"
    return "metadata" if old.config != new.config else None


def describe_all(paired: Sequence[Paired], elsewhere: Mapping[str, str], there: Existing) -> Iterator[Run]:
    """Yield the changed runs as they stand in plan.json. A training is paid for once, and not where there is one:
    in the base revision, or `elsewhere` (train digest to the name of a run of an experiment that was not composed).
    """
    trained = dict(elsewhere) | {found.old.train: found.old.name for found in reversed(paired) if found.old is not None}
    for found in paired:
        if found.kind is None:
            continue
        same = trained.get(found.new.train) if found.new is not None and found.kind in ("new", "retrain") else None
        yield _describe(found, same, there)
        if found.new is not None:
            trained.setdefault(found.new.train, found.new.name)


def _describe(found: Paired, same_training: str | None, there: Existing) -> Run:
    assert found.kind is not None
    old, new = found.old, found.new
    answers = _answers(found, there)
    return Run(
        experiment=found.one.experiment,
        label=found.one.label,
        kind=found.kind,
        reasons=tuple(_reasons(found)),
        old_name=old.name if old and found.kind == "renamed" else None,
        train_old=old.train if old else None,
        train_new=new.train if new else None,
        rows_old=old.data.train.rows if old else None,
        rows_new=new.data.train.rows if new else None,
        learned_old=old.data.train.learned_tokens if old else None,
        learned_new=new.data.train.learned_tokens if new else None,
        usd_old=old.usd if old else None,
        usd_new=new.usd if new else None,
        verdicts=bool(old and new and _verdicts(old.config) != _verdicts(new.config)),
        same_training=same_training,
        answers=answers,
        usd_answers=0.0 if not answers or (new is not None and is_free(new)) else None,
        trained=there.trained(new.train) if new is not None and found.kind in ("new", "retrain") else "",
    )


def _answers(found: Paired, there: Existing) -> int:
    """Return how many answers scoring the run asks for: those of suites that are not scored under their digest."""
    new = found.new
    if new is None:
        return 0
    known: Mapping[str, SuiteSide] = {}
    if found.old is not None and found.old.train == new.train:
        known = found.old.suites
    wanted = (s for name, s in new.suites.items() if name not in known or known[name].digest != s.digest)
    return sum(s.n_items * s.samples * s.trained_arms for s in wanted if not there.scored(new, s))


def is_free(run: RunSide) -> bool:
    """Tell whether answers cost nothing: the embedded provider's. Other hosts have no price of an answer on file."""
    from ftspec.providers.profiles import load_profile

    return load_profile(str(run.config["provider"]["profile"])).family == "embedded"


def _verdicts(config: Mapping[str, Any]) -> Any:
    suites = config.get("evals") or {}
    compared = {name: [suite.get("compare"), suite.get("max_error_rate")] for name, suite in suites.items()}
    return [config.get("sweep"), compared]


def _reasons(found: Paired) -> Iterator[str]:
    old, new = found.old, found.new
    if old is None or new is None:
        return
    if found.kind in ("retrain", "renamed"):
        yield from _train_reasons(old, new)
    for name in dict.fromkeys([*old.suites, *new.suites]):
        one, other = old.suites.get(name), new.suites.get(name)
        if one is None or other is None or one.digest != other.digest:
            yield f"eval {name}"
    if found.kind == "metadata":
        yield from dict.fromkeys(str(path[0]) for path, _, _ in differences(old.config, new.config))


def _train_reasons(old: RunSide, new: RunSide) -> Iterator[str]:
    if old.data.digest != new.data.digest:
        weights = old.config.get("weights") != new.config.get("weights")
        rows = old.config.get("dataset") != new.config.get("dataset") or old.data.sources != new.data.sources
        if rows or not weights:
            yield "data"
        if weights:
            yield "weights"
    names = {"n_epochs": "epochs", "batch_size": "batch size"}
    before, after = old.config.get("hyperparameters") or {}, new.config.get("hyperparameters") or {}
    for key in dict.fromkeys([*before, *after]):
        if before.get(key) != after.get(key):
            yield names.get(key, "learning rate")
    for key in ("model", "seed", "method"):
        if old.config.get(key) != new.config.get(key):
            yield key
    if old.config.get("provider") != new.config.get("provider"):
        yield "provider"


def differences(old: Any, new: Any, at: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Yield (path, old, new) of every leaf that differs; `MISSING` stands for a key that is not there."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key, MISSING), new.get(key, MISSING), (*at, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and _nested(old, new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, (*at, number))
    elif old is MISSING and isinstance(new, dict) and new:
        for key, value in new.items():
            yield from differences(MISSING, value, (*at, key))
    elif new is MISSING and isinstance(old, dict) and old:
        for key, value in old.items():
            yield from differences(value, MISSING, (*at, key))
    elif old is MISSING or new is MISSING or old != new or isinstance(old, bool) != isinstance(new, bool):
        yield at, old, new


def _nested(old: list[Any], new: list[Any]) -> bool:
    return any(isinstance(item, (dict, list)) for item in (*old, *new))


class _Missing:
    def __repr__(self) -> str:
        return "missing"


MISSING = _Missing()


def field_groups(
    paired: Iterable[Paired], places: Mapping[str, tuple[Places, Places]], show_text: bool
) -> list[FieldGroup]:
    """Return the field changes of paired runs; runs with the same changes stand together."""
    grouped: dict[str, tuple[list[str], list[tuple[Path, Any, Any]], Paired]] = {}
    for found in paired:
        if found.kind in (None, "new", "removed") or found.old is None or found.new is None:
            continue
        changes = list(differences(found.old.config, found.new.config))
        changes = [change for change in changes if _said(change, places.get(found.one.experiment))]
        if changes:
            key = found.one.experiment + repr(changes)
            grouped.setdefault(key, ([], changes, found))[0].append(found.one.label)
    made = []
    for labels, changes, found in grouped.values():
        head = places.get(found.one.experiment)
        fields = tuple(_field(change, head, show_text) for change in changes)
        made.append(FieldGroup(experiment=found.one.experiment, runs=tuple(labels), fields=fields))
    return made


def sweep_fields(
    base: Mapping[str, ExperimentSide],
    head: Mapping[str, ExperimentSide],
    paired: Sequence[Paired],
    places: Mapping[str, tuple[Places, Places]],
    show_text: bool,
) -> Iterator[FieldGroup]:
    """Yield what changed in experiments whose runs came or went: the axis, or what made its runs others."""
    for name in sorted(base.keys() & head.keys()):
        mine = [found for found in paired if found.one.experiment == name]
        runs = tuple(found.one.label for found in mine if found.kind in ("new", "removed"))
        told: set[str] = set()
        for found in mine:
            if found.old is not None and found.new is not None:
                told |= {repr(change) for change in differences(found.old.config, found.new.config)}
        changes = [c for c in differences(base[name].config, head[name].config) if repr(c) not in told]
        changes = [change for change in changes if _said(change, places.get(name))]
        if runs and changes:
            fields = tuple(_field(change, places.get(name), show_text) for change in changes)
            yield FieldGroup(experiment=name, runs=runs, fields=fields)


def _said(change: tuple[Path, Any, Any], places: tuple[Places, Places] | None) -> bool:
    """Tell whether somebody wrote a change: a default that came, or went, with the block around it was not."""
    path, old, new = change
    if old is not MISSING and new is not MISSING:
        return True
    side = places[old is MISSING] if places is not None else None
    return not is_default(path, old if new is MISSING else new) or (side is not None and side.writes(path))


def _field(change: tuple[Path, Any, Any], places: tuple[Places, Places] | None, show_text: bool) -> Field:
    path, old, new = change
    dotted = _dotted(path)
    where = ""
    if places is not None:
        before, after = places
        where = after.of(path) if new is not MISSING else before.of(path)
        where = f"{where} (base)" if where and new is MISSING else where
    hidden = not _SHOWN.fullmatch(dotted)
    return Field(
        path=dotted,
        old=_text(old, hidden and not show_text),
        new=_text(new, hidden and not show_text),
        where=where,
        hidden=hidden,
    )


def _dotted(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _text(value: Any, hidden: bool) -> str | None:
    if value is MISSING:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if hidden:
        kind = "text" if isinstance(value, str) else "value"
        sha256 = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        return f"{kind} of {len(text):,} characters, sha256 {sha256[:8]}"
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}... ({len(text):,} characters)"
