"""Gates of the base revision's `.ftspec/policy.yaml` over a finished plan. Pure."""

import json
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ftspec.spec.errors import Problem, SpecError
from ftspec.workflows.review.changes import Changes, Gate, total

if TYPE_CHECKING:  # pydantic takes longer to import than many a review takes
    from ftspec.spec.policy import Policy

PATH = ".ftspec/policy.yaml"


def read_policy(content: bytes | None) -> "Policy":
    """Read a policy; none is an empty one. Raises SpecError naming the file (the strict model's words)."""
    import yaml
    from pydantic import ValidationError

    from ftspec.compose.scan import scan
    from ftspec.spec.policy import Policy

    if content is None:
        return Policy()
    document, text, problems = scan(content, PATH, "policy", False)
    if document is None:
        raise SpecError.many(problems)
    try:
        return Policy.model_validate(yaml.safe_load(text) or {})
    except ValidationError as error:
        raise SpecError.many(
            Problem("policy", str(one["msg"]), ".".join(map(str, one["loc"])), PATH) for one in error.errors()
        ) from None


def differences(old: "Policy | None", new: "Policy | None") -> Iterator[str]:
    """Yield which gates were set otherwise."""
    if old is None or new is None:
        yield "it cannot be read"
        return
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    for name in before:
        if before[name] != after[name]:
            loosened = "loosened " if _loosened(name, before[name], after[name]) else ""
            yield f"{loosened}{name}: {_setting(before[name])} → {_setting(after[name])}"


def _loosened(name: str, old: Any, new: Any) -> bool:
    """Tell whether a gate lets through more than before, and nothing less."""
    if name == "accept_unknown":
        return bool(new)
    if isinstance(old, bool):
        return old
    if name == "required_suites":
        return set(new) < set(old)
    if old is None or new is None:  # a limit or a list that is not set refuses nothing
        return new is None
    return set(old) < set(new) if isinstance(old, list) else bool(new > old)


def _setting(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e6 else f"{value:,.2f}"
    return "not set" if value is None or value == [] else json.dumps(value)


def judge(policy: "Policy", changes: Changes) -> tuple[Gate, ...]:
    """Return every gate that the policy declares, with what it found."""
    return tuple(_gates(policy, changes))


def _gates(policy: "Policy", changes: Changes) -> Iterator[Gate]:
    if policy.max_usd is not None:
        yield _max_usd(policy, changes)
    if policy.max_runs is not None:
        count = len(changes.trainings)
        yield Gate(
            name="max_runs", passed=count <= policy.max_runs, detail=f"{count} runs to train of {policy.max_runs}"
        )
    if policy.required_suites:
        yield _required(policy, changes)
    if policy.no_shrinking_eval:
        bad = [
            f"{s.suite} loses {s.items_removed} items ({s.items_old} to {s.items_new or 0})"
            for s in changes.suites
            if s.kind != "new" and (s.kind == "removed" or (s.items_new or 0) < (s.items_old or 0))
        ]
        yield _gate("no_shrinking_eval", bad, "no suite loses items")
    if policy.no_new_overlap:
        bad = [
            f"{o.introduced} train rows repeat items of {o.suite} ({o.experiment})"
            for o in changes.overlaps
            if o.introduced
        ]
        yield _gate("no_new_overlap", bad, "no train row newly repeats an eval item")
    if policy.no_row_without_target:
        bad = [
            f"{d.rows.without_target} rows of {d.experiment} learn nothing"
            for d in changes.data
            if d.rows and d.rows.without_target
        ]
        yield _gate("no_row_without_target", bad, "every changed data set learns something from each row")
    if policy.lock_current:
        bad = [f"{e.name}: the lock is {e.lock}" for e in changes.experiments if e.lock in ("stale", "unknown")]
        bad += [
            f"{e.name}: there is no lock"
            for e in changes.experiments
            if e.lock == "none" and e.kind in ("changed", "unchanged")
        ]
        yield _gate("lock_current", bad, "locks describe their experiments")
    if policy.eval_change_needs_baselines:
        bad = [
            f"{s.suite} changed and has no arm to score again"
            for s in changes.suites
            if s.kind == "changed" and not s.baselines
        ]
        yield _gate("eval_change_needs_baselines", bad, "changed suites have baselines to score again")
    yield from _allowed(policy, changes)


def _gate(name: str, bad: list[str], good: str) -> Gate:
    shown = "; ".join(bad[:5]) + (f" and {len(bad) - 5} more" if len(bad) > 5 else "")
    return Gate(name=name, passed=not bad, detail=shown or good)


def _max_usd(policy: "Policy", changes: Changes) -> Gate:
    assert policy.max_usd is not None
    usd = total(run.usd_new for run in changes.trainings)
    if usd is None:
        known = sum(run.usd_new or 0 for run in changes.trainings)
        passed = policy.accept_unknown and known <= policy.max_usd
        return Gate(name="max_usd", passed=passed, detail=f"a price is unknown; the limit is ${policy.max_usd:,.2f}")
    return Gate(name="max_usd", passed=usd <= policy.max_usd, detail=f"${usd:,.2f} of ${policy.max_usd:,.2f}")


def _required(policy: "Policy", changes: Changes) -> Gate:
    present = [e for e in changes.experiments if e.kind not in ("removed", "broken")]
    bad = [f"{e.name} lacks {name}" for e in present for name in policy.required_suites if name not in e.suites]
    return _gate("required_suites", bad, "every changed experiment has " + ", ".join(policy.required_suites))


def _allowed(policy: "Policy", changes: Changes) -> Iterator[Gate]:
    training = {run.experiment for run in changes.trainings}
    looked: tuple[tuple[str, list[str] | None, Callable[[str], bool]], ...] = (
        ("providers", policy.providers, lambda value: any(fnmatchcase(value, p) for p in policy.providers or ())),
        ("models", policy.models, lambda value: any(fnmatchcase(value, p) for p in policy.models or ())),
    )
    for name, patterns, allowed in looked:
        if patterns is None:
            continue
        bad = []
        for experiment in changes.experiments:
            values = experiment.providers if name == "providers" else experiment.models
            if experiment.name in training:
                bad += [f"{experiment.name} uses {value}" for value in values if not allowed(value)]
        yield _gate(name, bad, "only " + ", ".join(patterns))
