"""Suites of paired runs: which stop being comparable and why, and which train rows repeat their items."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ftspec.workflows.review.changes import Baseline, Overlap, Suite
from ftspec.workflows.review.existing import Existing
from ftspec.workflows.review.pairing import Paired, is_free
from ftspec.workflows.sides import ExperimentSide, RunSide, SuiteSide, Turn, item_turns, train_turns

_CAUSES = {
    "messages": "request messages",
    "params": "sampling parameters",
    "parse": "how answers are parsed",
    "samples": "answers per item",
    "metrics": "metrics",
}


def suite_changes(paired: Iterable[Paired], base: Mapping[str, ExperimentSide], there: Existing) -> list[Suite]:
    """Return every suite whose digest is new, gone or another one, once per distinct change.

    A run that is new in an old experiment is held against that experiment: else new coordinates for every run would
    hide that a suite lost its items.
    """
    grouped: dict[tuple[str, str, str, str], tuple[SuiteSide | None, SuiteSide | None, list[Paired]]] = {}
    for found in paired:
        before = _before(found, base)
        if found.kind is None or found.new is None or before is None:
            continue
        old, new = before.suites, found.new.suites
        for name in dict.fromkeys([*old, *new]):
            one, other = old.get(name), new.get(name)
            if one is not None and other is not None and one.digest == other.digest:
                continue
            key = (found.one.experiment, name, one.digest if one else "", other.digest if other else "")
            grouped.setdefault(key, (one, other, []))[2].append(found)
    return [_suite(key[0], key[1], *entry, there) for key, entry in grouped.items()]


def moved_baselines(
    paired: Iterable[Paired], base: Mapping[str, ExperimentSide], there: Existing
) -> Iterator[Baseline]:
    """Yield the arms that ask another base model than before, of suites that did not change."""
    told = set()
    for found in paired:
        before = _before(found, base)
        if before is None or found.new is None or found.kind is None:
            continue
        new, model = found.new, _base_model(found.new)
        for name, suite in new.suites.items():
            earlier = [run for run in base[before.experiment].runs if _digest_of(run, name) == suite.digest]
            arms = _of_base(suite)
            key = (new.experiment, name, model)
            if not arms or not earlier or key in told or any(_base_model(run) == model for run in earlier):
                continue
            told.add(key)
            yield Baseline(
                experiment=new.experiment,
                suite=name,
                arms=tuple(arms),
                old=_base_model(before),
                new=model,
                answers=suite.n_items * suite.samples * sum(not there.answered(new, suite, arm) for arm in arms),
                usd=0.0 if is_free(new) else None,
            )


def _base_model(run: RunSide) -> str:
    return f"{run.config['provider']['profile']}/{run.config['model']}"


def _digest_of(run: RunSide, suite: str) -> str | None:
    return run.suites[suite].digest if suite in run.suites else None


def _of_base(suite: SuiteSide) -> list[str]:
    """Return the baseline arms that ask the base model; all of them where only a lock tells about the suite."""
    arms: Mapping[str, Any] = suite.projection.get("arms") or {}
    return [name for name in suite.baselines if name not in arms or arms[name].get("model") == "@base"]


def _before(found: Paired, base: Mapping[str, ExperimentSide]) -> RunSide | None:
    """Return the run of the base that a run is held against: its own, else one of the same experiment."""
    if found.old is not None or found.new is None:
        return found.old
    experiment = base.get(found.new.experiment)
    if experiment is None or not experiment.runs:
        return None
    digests = {name: suite.digest for name, suite in found.new.suites.items()}

    def alike(run: RunSide) -> tuple[int, bool]:
        shared = sum(name in run.suites and run.suites[name].digest == value for name, value in digests.items())
        return shared, found.new is not None and run.data.digest == found.new.data.digest

    return max(experiment.distinct, key=alike)


def _suite(
    experiment: str,
    name: str,
    old: SuiteSide | None,
    new: SuiteSide | None,
    found: list[Paired],
    there: Existing,
) -> Suite:
    added, removed, edited = _items(old, new) if old and new else (0, 0, 0)
    baselines = new.baselines if new else ()
    kind = "changed" if old and new else "new" if new else "removed"
    one = found[0].one
    asked = [arm for arm in _asked(new) if not there.answered(one, new, arm)] if new else []
    answers = new.n_items * new.samples * len(asked) if new else 0
    return Suite(
        experiment=experiment,
        suite=name,
        kind=kind,  # type: ignore[arg-type]
        digest_old=old.digest if old else None,
        digest_new=new.digest if new else None,
        causes=tuple(_causes(old, new, added, removed, edited)) if old and new else (),
        items_old=old.n_items if old else None,
        items_new=new.n_items if new else None,
        items_added=added,
        items_removed=removed,
        items_edited=edited,
        runs=len(found),
        baselines=baselines,
        answers=answers,
        usd=0.0 if not answers or is_free(one) else None,
    )


def _items(old: SuiteSide, new: SuiteSide) -> tuple[int, int, int]:
    """Return how many items were added, removed and edited.

    An item whose id names its own text gets another id when it is edited: of those that came and went, the ones that
    ask the same conversation, instructions aside, are one item edited.
    """
    before, after = old.items, new.items
    came, went = after.keys() - before.keys(), before.keys() - after.keys()
    edited = sum(before[key] != after[key] for key in before.keys() & after.keys())
    if came and went and old.planned and new.planned:
        one, other = item_turns(old.planned), item_turns(new.planned)
        left = Counter(one[key].prompt for key in went if key in one)
        again = (left & Counter(other[key].prompt for key in came if key in other)).total()
        return len(came) - again, len(went) - again, edited + again
    return len(came), len(went), edited


def _asked(suite: SuiteSide) -> list[str]:
    """Return the baseline arms that ask a model."""
    arms: Mapping[str, Any] = suite.projection.get("arms") or {}
    return [name for name in suite.baselines if (arms.get(name) or {}).get("model") != "@majority"]


def _causes(old: SuiteSide, new: SuiteSide, added: int, removed: int, edited: int) -> Iterator[str]:
    one, other = old.projection, new.projection
    if not one or not other:
        if old.n_items != new.n_items:
            yield f"items: {old.n_items} to {new.n_items}"
        named = [part for part in old.parts if part in new.parts and old.parts[part] != new.parts[part]]
        yield from (f"{part} changed" for part in named if part != "items" or old.n_items == new.n_items)
        if not named and old.n_items == new.n_items:
            yield "the cause is not in the lock"
        return
    if one["items"] != other["items"]:
        counted = [f"{n} {word}" for n, word in ((added, "added"), (removed, "removed"), (edited, "edited")) if n]
        yield "items: " + (", ".join(counted) or "reordered")
    for key, words in _CAUSES.items():
        if one[key] != other[key]:
            yield words
    yield from _named(one["graders"], other["graders"], "grader")
    for name in dict.fromkeys([*one["arms"], *other["arms"]]):
        before, after = one["arms"].get(name), other["arms"].get(name)
        if before != after:
            yield _arm_cause(name, before, after)


def _named(old: Mapping[str, Any], new: Mapping[str, Any], word: str) -> Iterator[str]:
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None or after is None:
            yield f"{word} {name} {'added' if before is None else 'removed'}"
        else:
            keys = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
            yield f"{word} {name}: {', '.join(keys)}"


def _arm_cause(name: str, before: Any, after: Any) -> str:
    if before is None or after is None:
        return f"arm {name} {'added' if before is None else 'removed'}"
    if before.get("shots") != after.get("shots"):
        return f"arm {name}: other examples out of the training part"
    if before.get("answer") != after.get("answer"):
        return f"arm {name}: another commonest label"
    return f"arm {name}: prompt or model"


def overlaps(paired: Iterable[Paired], base: Mapping[str, ExperimentSide]) -> list[Overlap]:
    """Return train rows that repeat items of a suite, introduced by the change or older, per experiment and suite."""
    found: dict[tuple[str, str], Overlap] = {}
    seen: set[tuple[str, str, str, str]] = set()
    for one in paired:
        if one.new is None:
            continue
        for name, suite in one.new.suites.items():
            old = _before(one, base)
            old_suite = old.suites.get(name) if old else None
            old_train = old.data.train.sha256 if old else ""
            key = (one.new.data.train.sha256, suite.digest, old_train, old_suite.digest if old_suite else "")
            if key in seen:
                continue
            seen.add(key)
            made = _overlap(one.new, suite, old, old_suite)
            place = (one.new.experiment, name)
            if made is not None and (place not in found or found[place].introduced < made.introduced):
                found[place] = made
    return list(found.values())


def _overlap(new: RunSide, suite: SuiteSide, old: RunSide | None, old_suite: SuiteSide | None) -> Overlap | None:
    # Where one side can only be told by its keys, so is the other: else its alike rows would look like new ones.
    by_text = all(s is None or r is None or _has_texts(r, s) for r, s in ((new, suite), (old, old_suite)))
    find = _hits if by_text else _key_hits
    after = find(new, suite)
    before = Counter(key for _, key, _ in find(old, old_suite)) if old and old_suite else Counter()
    introduced = []
    for number, key, level in after:
        if before[key] > 0:
            before[key] -= 1
        else:
            introduced.append((number, level))
    if not after:
        return None
    rows = {row.i: f"{row.source}:{row.line}" for row in new.data.rows or () if row.part == "train"}
    levels = Counter(level for _, level in introduced)
    return Overlap(
        experiment=new.experiment,
        suite=suite.name,
        introduced=len(introduced),
        existing=len(after) - len(introduced),
        same_prompt=levels["prompt"],
        same_turn=levels["turn"],
        alike=levels["alike"],
        places=tuple(rows[number] for number, _ in introduced[:20] if number in rows),
        keys_only=not by_text,
    )


def _has_texts(run: RunSide, suite: SuiteSide) -> bool:
    return suite.planned is not None and run.data.train.path is not None


def _key_hits(run: RunSide, suite: SuiteSide) -> list[tuple[int, str, str]]:
    """Return the same out of the keys of rows alone, for a suite over a held-out part of the data."""
    rows = run.data.rows or ()
    asked = {row.prompt for row in rows if suite.part and row.part == suite.part}
    return [(row.i, row.prompt, "prompt") for row in rows if row.part == "train" and row.prompt in asked]


def _hits(run: RunSide, suite: SuiteSide) -> list[tuple[int, str, str]]:
    """Return (row number, key, level) of train rows that repeat an item; the strongest level counts."""
    assert suite.planned is not None
    assert run.data.train.path is not None
    asked = item_turns(suite.planned).values()
    prompts, turns = {t.prompt for t in asked}, {t.turn for t in asked if t.turn}
    alike = {t.alike for t in asked if t.alike}
    found = []
    for number, row in enumerate(train_turns(run.data.train.path)):
        level = _level(row, prompts, turns, alike)
        if level:
            found.append((number, row.alike or row.prompt.hex(), level))
    return found


def _level(row: Turn, prompts: set[bytes], turns: set[str], alike: set[str]) -> str:
    if row.prompt in prompts:
        return "prompt"
    if row.turn and row.turn in turns:
        return "turn"
    return "alike" if row.alike and row.alike in alike else ""
